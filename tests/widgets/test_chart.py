"""The chart: its scale, its curves, its cursor, and how often it is drawn."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.geometry import Size

from denet_tui.model import Counters
from denet_tui.widgets import timeview
from denet_tui.widgets.chart import Chart, Curve, draw_chart, rates, round_top
from denet_tui.widgets.timeview import TimeView
from denet_tui.widgets.window import Grid, Reader, Window


@given(st.floats(0, 1e15))
def test_the_top_is_round_and_above(value: float) -> None:
    top = round_top(value)
    assert max(1, value) <= top <= max(1, value * 1.51)


@pytest.mark.parametrize(("value", "top"), [(0, 1), (1, 1), (1.2, 1.5), (37_792, 40_000), (10, 10), (100_001, 150_000)])
def test_tops(value: float, top: float) -> None:
    assert round_top(value) == top


def drawn(values: Sequence[float | None], width: int, height: int, more: int = 0) -> list[str]:
    grid = Grid(-60.0, 60 / max(1, len(values)), len(values))
    lines = draw_chart([values] * (1 + more), grid, [(-60, "-60s"), (0, "now")], Size(width, height))
    return ["".join(text for text, _ in line) for line in lines]


@pytest.mark.parametrize(("width", "height"), [(20, 4), (48, 6), (72, 13), (190, 40)])
@pytest.mark.parametrize(
    "values", [[], [5.0], [None] * 9, [None, 3.0, None], [0.0] * 30, [float(value * value) for value in range(200)]]
)
def test_every_line_has_the_width_asked_for(width: int, height: int, values: list[float | None]) -> None:
    assert [len(line) for line in drawn(values, width, height)] == [width] * height


def test_a_steady_rate_is_not_drawn_at_zero() -> None:
    lines = drawn([80.0] * 9, 60, 9)
    curve = [index for index, line in enumerate(lines) if any("\u2800" < char <= "\u28ff" for char in line)]
    assert curve == [0]
    assert lines[0].startswith("    80┤")


def test_the_axes_start_at_zero() -> None:
    lines = drawn([1.0, 400.0], 60, 12)
    assert [line.split("┤")[0].strip() for line in lines if "┤" in line] == ["400", "300", "200", "100", "0"]
    assert lines[-1].split() == ["-60s", "now"]


def test_several_curves_are_told_by_marks_and_by_colour() -> None:
    grid = Grid(0.0, 1.0, 100)
    lines = draw_chart([[10.0] * 100, [50.0] * 100, [90.0] * 100], grid, [(0, "0"), (100, "100")], Size(70, 12))
    found = {(char, number) for line in lines for text, number in line for char in text if char in "●▲■◆★"}
    assert found == {("●", 1), ("▲", 2), ("■", 3)}
    rows = [next(y for y, line in enumerate(lines) if mark in "".join(text for text, _ in line)) for mark in "■▲●"]
    assert all(above < below for above, below in pairwise(rows))
    assert not any(mark in line for line in drawn([10.0] * 100, 70, 12) for mark in "●▲■")


def ramp(factor: int = 1) -> Reader:
    """`factor` times n calls in the second n, watched from 0 to 100."""

    def read(start_s: float, width_s: float, count: int) -> list[tuple[float, Counters]]:
        middles = [start_s + (at + 0.5) * width_s for at in range(count)]
        return [(1.0, Counters(int(at) * factor)) if 0 <= at < 100 else (0.0, Counters()) for at in middles]

    return read


def test_rates_are_none_where_nothing_was_watched() -> None:
    assert rates(ramp()(-2.0, 1.0, 5)) == [None, None, 0.0, 1.0, 2.0]


class Still(Chart):
    """A chart of 60x12 cells without a screen."""

    @property
    def size(self) -> Size:
        return Size(60, 12)


def text(widget: TimeView) -> list[str]:
    return [widget.render_line(y).text for y in range(widget.size.height)]


def test_title_and_lines() -> None:
    widget = Still()
    widget.show([Curve("read", ramp())], Window(), 100.0)
    assert text(widget)[0].rstrip() == "read   now 99/s   peak 99/s"
    assert {widget.render_line(y).cell_length for y in range(14)} == {60}
    assert text(widget)[-1].split() == ["-120s", "-80s", "-40s", "now"]
    widget.show([Curve("read", ramp())], Window(), 100.0, final=True)
    assert text(widget)[0].startswith("read   last 99/s")


def test_the_cursor_shows_the_values_of_its_moment() -> None:
    widget = Still()
    window = Window(60.0, 90.0, 45.2)
    widget.show([Curve("read", ramp()), Curve("write", ramp(3))], window, 100.0)
    lines = text(widget)
    assert lines[0].rstrip() == "calls/s at 0:44.7   ● read 44   ▲ write 132"
    column = widget.grid.place(45.2)
    assert lines[1][7 + column] == "│"
    assert widget.cursor_column(widget.grid) == column
    # Out of sight it is not drawn, and the values are those of the end of the window.
    widget.show([Curve("read", ramp())], Window(30.0, 90.0, 45.0), 100.0)
    assert text(widget)[0].startswith("read   at 1:30.0 89/s")


def test_the_legend_takes_a_second_line_where_it_has_to() -> None:
    widget = Still()
    widget.show([Curve(f"syscall_{at}", ramp(at)) for at in range(1, 8)], Window(), 100.0)
    lines = text(widget)
    assert [mark for line in lines[:2] for mark in line if mark in "●▲■◆★"] == list("●▲■◆★")
    assert "now" in lines[-1]


def test_nothing_is_drawn_for_nothing() -> None:
    widget = Still()
    widget.show((), Window(), 0.0)
    assert not "".join(text(widget)).strip()


def test_new_values_are_drawn_at_most_twice_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now, built = [100.0], []
    monkeypatch.setattr(timeview.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(Still, "build", lambda widget, size: built.append(widget.now_s) or [])
    widget = Still()
    curves = [Curve("read", ramp())]
    for step in range(10):
        widget.show(curves, Window(), step / 10)
        widget.render_line(0)
        now[0] += 0.1
    assert len(built) == 2
    widget.show(curves, Window(), 0.9, final=True)
    widget.render_line(0)
    widget.show(curves, Window(60.0), 0.9, final=True)
    widget.render_line(0)
    widget.show([Curve("write", ramp())], Window(60.0), 0.9, final=True)
    widget.render_line(0)
    widget.render_line(0)
    assert len(built) == 5
    # Nothing new: nothing to draw, however long ago it was.
    now[0] += 9
    widget.render_line(0)
    assert len(built) == 5
