"""The heat map: what its shades, rows, marks and bars stand for."""

import random
from bisect import bisect_right

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.geometry import Size

from denet_tui.model import BUCKETS, Counters, bucket_floor_ns
from denet_tui.widgets.latency import (
    SHADES,
    LatencyView,
    Scale,
    bands,
    bar,
    heat_columns,
    lines_each,
    percentile_bucket,
)
from denet_tui.widgets.window import Reader, Window


def counted(buckets: dict[int, int], **more: int) -> Counters:
    """Calls in so many buckets."""
    calls = sum(buckets.values())
    longest = bucket_floor_ns(max(buckets)) + 1 if buckets else 0
    return Counters(calls, calls, 0, 0, 0, longest, sum(count << 64 * at for at, count in buckets.items()))


def always(counters: Counters, seconds: float = 1.0) -> Reader:
    return lambda start_s, width_s, count: [(seconds, counters)] * count


def sized(width: int, height: int) -> LatencyView:
    kind = type(
        "Still", (LatencyView,), {"size": Size(width, height), "COMPONENT_CLASSES": LatencyView.COMPONENT_CLASSES}
    )
    return kind()


def shown(view: LatencyView) -> list[str]:
    lines = [view.render_line(y).text for y in range(view.size.height)]
    assert {len(line) for line in lines} == {view.size.width}
    return lines


@given(st.lists(st.integers(1, 10**10), min_size=1, max_size=300), st.floats(0.01, 1))
def test_the_percentile_lies_in_its_bucket(times: list[int], share: float) -> None:
    floors = [bucket_floor_ns(index) for index in range(BUCKETS)]
    buckets = [0] * BUCKETS
    for time in times:
        buckets[bisect_right(floors, time) - 1] += 1
    rank = next(rank for rank in range(1, len(times) + 1) if rank >= share * len(times))
    assert percentile_bucket(buckets, share) == bisect_right(floors, sorted(times)[rank - 1]) - 1


@pytest.mark.parametrize(
    ("low", "high", "rows", "expected"),
    [
        (3, 5, 6, [(3, 4), (4, 5), (5, 6), (6, 7), (7, 8), (8, 9)]),
        (20, 22, 6, [(at, at + 1) for at in range(18, 24)]),
        (2, 9, 4, [(2, 4), (4, 6), (6, 8), (8, 10)]),
        (2, 8, 5, [(2, 4), (4, 6), (6, 8), (8, 10), (10, 12)]),
        (0, 23, 5, [(0, 5), (5, 10), (10, 15), (15, 20), (20, 24)]),
        (0, 23, 40, [(at, at + 1) for at in range(24)]),
    ],
)
def test_rows_hold_all_buckets_that_are_used(low: int, high: int, rows: int, expected: list[tuple[int, int]]) -> None:
    assert [(band.start, band.stop) for band in bands(low, high, rows)] == expected


@pytest.mark.parametrize(
    ("low", "high", "rows", "expected"), [(3, 5, 12, 1), (0, 23, 40, 1), (3, 18, 40, 2), (3, 4, 40, 2), (0, 23, 72, 3)]
)
def test_a_row_takes_more_lines_where_all_buckets_have_room(low: int, high: int, rows: int, expected: int) -> None:
    assert lines_each(low, high, rows) == expected


def test_a_high_screen_is_used() -> None:
    view = sized(100, 45)
    view.show("read", always(counted({3: 5, 18: 700})), Window(), 500.0)
    lines = [line[6:].rstrip() for line in shown(view)[1:41]]
    assert [line[0] for line in lines] == ["│", "┤"] * 20
    low = next(pair for pair in zip(lines[::2], lines[1::2], strict=True) if pair[1].endswith("700"))
    assert "█" in low[0]
    assert not low[0].endswith("700")
    assert sum("●" in line for line in lines) == 1


def test_shades_are_tenths_of_the_busiest() -> None:
    scale = Scale.over(4321.0)
    assert [scale.shade(rate) for rate in (0, 0.5, 9.9, 10, 99, 100, 999, 1000, 4321)] == [0, 1, 1, 2, 2, 3, 3, 4, 4]
    legend = "".join(text for text, _ in scale.legend())
    assert legend == "calls/s  █ 1,000+  ▓ 100+  ▒ 10+  ░ fewer"
    assert Scale.over(0.5).shade(0.5) == 4
    assert "█ 0.1+" in "".join(text for text, _ in Scale.over(0.5).legend())


@pytest.mark.parametrize(("share", "drawn"), [(0, ""), (1, "████"), (0.5, "██"), (0.0001, "▏"), (0.28, "█▏")])
def test_bars(share: float, drawn: str) -> None:
    assert bar(share, 4) == drawn.ljust(4)


def test_columns_tell_zero_from_not_known() -> None:
    columns = [(0.0, Counters()), (0.5, counted({3: 9, 8: 1})), (0.5, Counters.without_row(7))]
    nothing, some, unkept = heat_columns(columns)
    assert (nothing.lines, nothing.kept) == ((), True)
    assert (some.rates[3], some.rates[8], some.lines, some.kept) == (18.0, 2.0, (3, 3, 8), True)
    assert (unkept.lines, unkept.kept) == ((), False)


def test_the_map_shows_each_bucket_in_its_row() -> None:
    view = sized(100, 20)
    view.show("read", always(counted({2: 700, 5: 280, 9: 20})), Window(), 500.0)
    lines = shown(view)
    cells = slice(view.first_cell(), view.first_cell() + view.columns())
    by_label = {line[:6].strip(): line[cells] for line in lines[1:] if "┤" in line}
    assert set(by_label["512ns"]) == {"○"}
    assert set(by_label["4.1µs"]) == {"◐"}
    assert set(by_label["66µs"]) == {"●"}
    assert all(not line.strip() for label, line in by_label.items() if label not in {"512ns", "4.1µs", "66µs"})
    assert lines[0].startswith("read   now 1,000/s   p50≤")
    assert "█ 100+" in "".join(lines)


def test_shades_follow_the_counts() -> None:
    view = sized(100, 20)
    view.show("read", always(counted({2: 7000, 3: 3000, 4: 300, 5: 30, 6: 3})), Window(), 500.0)
    first = [line[view.first_cell()] for line in shown(view) if "┤" in line]
    # From the slowest down; the percentiles stand where the shades of the two fastest would be.
    assert [char for char in first if char != " "] == [SHADES[0], SHADES[1], "●", "◐", "○"]


def test_the_histogram_is_that_of_the_cursor() -> None:
    def read(start_s: float, width_s: float, count: int) -> list[tuple[float, Counters]]:
        return [(1.0, counted({2: int(start_s + (at + 0.5) * width_s), 6: 4})) for at in range(count)]

    view = sized(100, 20)
    view.show("read", read, Window(60.0, 90.0, 45.2), 500.0)
    grid = view.grid
    lines = shown(view)
    at = grid.place(45.2)
    counts = {line[:6].strip(): line[-10:].strip() for line in lines[1:] if "┤" in line}
    assert counts["512ns"] == str(int(grid.middle_s(at)))
    assert counts["8.2µs"] == "4"
    assert sum(map(bool, counts.values())) == 2
    assert f"{int(grid.middle_s(at)) + 4} calls in 1.0 s" in "".join(lines)
    axis = next(line for line in lines if "└" in line)
    assert axis[view.first_cell() + at] == "▲"
    assert any(line[view.first_cell() + at] == "│" for line in lines)
    # Without a cursor it is the newest.
    view.show("read", read, Window(), 500.0)
    assert "503 calls" in "".join(shown(view))


def test_the_rows_do_not_shrink_again_until_something_else_is_shown() -> None:
    view = sized(100, 12)
    view.show("read", always(counted({0: 5, 23: 5})), Window(), 100.0)
    wide = [line[:6] for line in shown(view)]
    view.show("read", always(counted({5: 5})), Window(), 500.0)
    view._drawn = None
    assert [line[:6] for line in shown(view)][1:] == wide[1:]
    view.show("write", always(counted({5: 5})), Window(), 500.0)
    assert [line[:6] for line in shown(view)][1:] != wide[1:]


def test_times_that_were_not_kept_are_said_to_be() -> None:
    def read(start_s: float, width_s: float, count: int) -> list[tuple[float, Counters]]:
        return [(1.0, Counters.without_row(7) if at < count / 2 else counted({5: 5})) for at in range(count)]

    view = sized(110, 20)
    view.show("read", read, Window(), 500.0)
    lines = shown(view)
    assert any(line.rstrip().endswith("· counted, times not kept") for line in lines)
    bottom = [line for line in lines if "┤" in line][-1]
    assert bottom.count("·") == view.columns() // 2 + view.columns() % 2


@pytest.mark.parametrize(("width", "height"), [(50, 12), (78, 17), (118, 33), (198, 50), (20, 3), (9, 1)])
def test_every_size(width: int, height: int) -> None:
    rng = random.Random(width)
    buckets = {at: rng.randrange(10_000_000) for at in range(24)}
    for window in (Window(), Window(60.0, 90.0, 45.2)):
        view = sized(width, height)
        view.show("pselect6", always(counted(buckets)), window, 500.0)
        shown(view)


def test_without_calls() -> None:
    view = sized(80, 20)
    view.show("read", always(Counters()), Window(), 5.0)
    assert "no call that returned in this time" in "".join(shown(view))
    view.show("wait4", always(Counters(calls=3)), Window(), 5.0)
    assert "no call that returned" in "".join(shown(view))


def test_where_percentiles_meet_the_highest_is_drawn() -> None:
    view = sized(100, 20)
    view.show("read", always(counted({2: 95, 5: 5})), Window(), 500.0)
    first = [line[view.first_cell()] for line in shown(view) if "┤" in line]
    assert [char for char in first if char != " "] == ["●", "◐"]
