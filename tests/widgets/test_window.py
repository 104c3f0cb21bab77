"""Stretches of time: where they end, how they are cut, and where moving leads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from denet_tui.model import Counters
from denet_tui.widgets.window import SPANS, Columns, Grid, Watched, Window, marks

times = st.floats(0, 200_000)


def said(window: Window, now_s: float, cells: int = 60) -> list[str]:
    return [label for _, label in marks(window, window.grid(now_s, cells))]


@given(times, st.integers(1, 400), st.sampled_from(SPANS))
def test_the_grid_holds_now_and_lies_on_multiples(now_s: float, count: int, span: float) -> None:
    grid = Window(span).grid(now_s, count)
    assert grid.count == count
    assert grid.end_s - grid.width_s <= now_s + 1e-3
    assert now_s <= grid.end_s + 1e-3
    assert grid.start_s / grid.width_s == pytest.approx(round(grid.start_s / grid.width_s), abs=1e-3)
    assert grid.width_s * count == pytest.approx(Window(span).span(now_s))


def test_columns_stay_while_time_goes_by() -> None:
    before, after = Window(60).grid(100.0, 60), Window(60).grid(101.5, 60)
    assert before == Grid(40.0, 1.0, 60)
    assert after == Grid(42.0, 1.0, 60)
    assert before.place(99.9) == 59
    assert before.place(101) == 61
    assert before.middle_s(0) == 40.5


@pytest.mark.parametrize(("now_s", "span"), [(0, 15), (3, 15), (16, 30), (119, 120), (5000, 120)])
def test_a_young_run_fills_the_window(now_s: float, span: float) -> None:
    assert Window().span(now_s) == span


def test_scrolling_back_and_forth() -> None:
    now = 1000.0
    back = Window().scrolled(-0.5, now)
    assert (back.end_s, back.follows) == (940.0, False)
    assert back.scrolled(-0.5, now).end_s == 880.0
    assert back.scrolled(0.5, now) == Window()
    # Not before the start of the run; and it stands still while time goes by.
    oldest = back
    for _ in range(50):
        oldest = oldest.scrolled(-0.5, now)
    assert oldest.grid(now, 60).start_s == 0.0
    assert oldest.grid(now + 500, 60) == oldest.grid(now, 60)


def test_a_window_longer_than_the_run_cannot_be_scrolled() -> None:
    assert Window().scrolled(-0.5, 7.0) == Window(15.0, 7.0)


def test_zooming() -> None:
    now = 1000.0
    assert Window().zoomed(-1, now) == Window(60.0)
    assert Window().zoomed(1, now) == Window(300.0)
    assert Window().zoomed(-9, now).span_s == SPANS[0]
    # No further out than the run is old.
    assert Window(3600.0).zoomed(1, now).span(now) == 1800.0
    # Standing still it stays around its middle, or around the cursor.
    assert Window(120.0, 500.0).zoomed(-1, now) == Window(60.0, 470.0)
    assert Window(120.0, 500.0, 410.0).zoomed(-1, now) == Window(60.0, 455.0, 410.0)
    assert Window(120.0, 990.0).zoomed(2, now) == Window(600.0)


def test_a_cursor_stops_the_window() -> None:
    window = Window().pointed(950.0, 1000.0)
    assert window == Window(120.0, 1000.0, 950.0)
    assert window.latest() == Window()


@pytest.mark.parametrize(
    ("span", "labels"),
    [
        (15.0, ["-15s", "-10s", "-5s", "now"]),
        (120.0, ["-120s", "-80s", "-40s", "now"]),
        (300.0, ["-5m", "-4m", "-3m", "-2m", "-1m", "now"]),
        (3600.0, ["-60m", "-40m", "-20m", "now"]),
        (86400.0, ["-24h", "-16h", "-8h", "now"]),
    ],
)
def test_marks_are_round(span: float, labels: list[str]) -> None:
    assert said(Window(span), 100_000.0) == labels
    assert said(Window(span), 100_000.0, 30) == [labels[0], "now"]


def test_marks_of_a_window_that_stands_still_are_times_of_the_run() -> None:
    assert said(Window(120.0, 3600.0), 9999.0) == ["58:00", "58:40", "59:20", "1:00:00"]
    # Nothing was before the start.
    assert said(Window(15.0, 10.0), 10.0) == ["0:00.0", "0:05.0", "0:10.0"]


def test_columns_are_read_once_and_the_last_ones_again() -> None:
    asked: list[tuple[float, int]] = []
    now = [100.0]

    def read(start_s: float, width_s: float, count: int) -> list[Watched]:
        asked.append((start_s, count))
        ends = [start_s + (at + 1) * width_s for at in range(count)]
        return [(width_s, Counters(int(min(end, now[0]) * 10))) for end in ends]

    columns = Columns()

    def shown(window: Window, count: int) -> list[int]:
        grid = window.grid(now[0], count)
        found = [counters.calls for _, counters in columns.of(read, grid, now[0])]
        assert found == [counters.calls for _, counters in read(grid.start_s, grid.width_s, grid.count)]
        asked.pop()
        return found

    shown(Window(60), 60)
    assert asked == [(40.0, 60)]
    shown(Window(60), 60)
    assert len(asked) == 1
    for now[0] in (100.5, 101.2, 103.0):
        shown(Window(60), 60)
    assert asked[1:] == [(100.0, 1), (100.0, 2), (101.0, 2)]
    shown(Window(60, 90), 60)
    assert asked[4:] == [(30.0, 13)]
    shown(Window(60, 90), 30)
    assert asked[5:] == [(30.0, 30)]
