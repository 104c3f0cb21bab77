"""A day in bounded memory: nothing is lost on the way to the coarse slots, and every stretch can be read."""

import gc

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from denet_tui.model import NOTHING, Counters, Syscall, added_up
from denet_tui.watch.timeline import LEVELS, Timeline

READ, WRITE, LATE = (Syscall(0, number, name) for number, name in enumerate(("read", "write", "late")))
SMALL = ((0.0, 8), (2.0, 6), (10.0, 12))
"""At 2 ticks a second: every tick for 4 s, 2 s for 12 s, 10 s for two minutes."""


def some(calls: int, longest: int = 5_000) -> Counters:
    """`calls` calls of two latencies, one of them as long as `longest`."""
    return Counters(calls, calls, calls // 3, 0, calls * 700, longest, (calls << 64 * 2) + (1 << 64 * 20))


def filled(ticks: int, levels: tuple[tuple[float, int], ...] = SMALL) -> Timeline:
    """A timeline of half-second ticks, tick n with n reads and a write."""
    timeline = Timeline(levels)
    for tick in range(ticks):
        rows = {READ: some(tick, tick * 1000), WRITE: some(1)}
        timeline.add(tick / 2, (tick + 1) / 2, added_up(rows.values()), rows)
    return timeline


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=40), st.integers(1, 9))
def test_columns_add_up_to_what_was_put_in(calls: list[int], ticks_each: int) -> None:
    timeline = Timeline()
    for tick, number in enumerate(calls):
        timeline.add(tick / 2, (tick + 1) / 2, some(number), {READ: some(number)})
    width = ticks_each / 2
    count = -(-len(calls) // ticks_each)
    for syscalls in (None, (READ,), (READ, WRITE)):
        columns = timeline.columns(0.0, width, count, syscalls)
        assert added_up([column.counters for column in columns]) == added_up([some(number) for number in calls])
        assert sum(column.seconds for column in columns) == len(calls) / 2
        assert columns[0].counters == added_up([some(number) for number in calls[:ticks_each]])


@pytest.mark.parametrize("syscalls", [None, (READ,), (WRITE,), (READ, WRITE), ()])
def test_coarse_slots_are_exact_sums(syscalls: tuple[Syscall, ...] | None) -> None:
    timeline = filled(200)
    wanted = (READ, WRITE) if syscalls is None else syscalls

    def exact(start: int, end: int) -> Counters:
        rows = [{READ: some(tick, tick * 1000), WRITE: some(1)} for tick in range(start, end)]
        return added_up([row[syscall] for row in rows for syscall in wanted])

    # The last 4 s tick by tick, before that 2 s at a time, before that 10 s.
    assert [column.counters for column in timeline.columns(96, 0.5, 8, syscalls)] == [
        exact(tick, tick + 1) for tick in range(192, 200)
    ]
    assert timeline.columns(90, 2, 1, syscalls)[0] == (2.0, exact(180, 184))
    assert timeline.columns(20, 10, 3, syscalls) == [(10.0, exact(start, start + 20)) for start in (40, 60, 80)]
    assert timeline.columns(0, 10, 1, syscalls)[0] == (10.0, exact(0, 20))


def test_a_slot_that_is_longer_than_a_column_stands_in_each_of_them() -> None:
    timeline = filled(200)
    columns = timeline.columns(20, 1, 10, (WRITE,))
    assert {(column.seconds, column.counters.calls) for column in columns} == {(10.0, 20)}
    assert {column.counters.calls for column in timeline.columns(99.5, 0.1, 5, (READ,))} == {199}


def test_nothing_is_known_of_other_times() -> None:
    timeline = filled(200)
    nothing = (0, NOTHING)
    assert timeline.columns(-10, 1, 10) == [nothing] * 10
    assert timeline.columns(100, 5, 3, (READ,)) == [nothing] * 3
    assert Timeline().columns(0, 1, 2) == [nothing] * 2


def test_what_is_older_than_the_coarsest_slots_is_gone() -> None:
    timeline = filled(400)
    assert len(timeline) == 8 + 6 + 12
    assert timeline.columns(79, 0.5, 1) == [(0, NOTHING)]
    assert timeline.columns(80, 10, 1, (WRITE,))[0].counters.calls == 20


def test_a_syscall_that_comes_later_is_not_in_older_slots() -> None:
    timeline = Timeline(SMALL)
    for tick in range(100):
        rows = {READ: some(3)} if tick < 90 else {LATE: Counters.without_row(7), READ: some(1)}
        timeline.add(tick / 2, (tick + 1) / 2, added_up(rows.values()), rows)
    assert timeline.columns(0, 10, 4, (LATE,)) == [(10.0, NOTHING)] * 4
    assert timeline.columns(46, 2, 1, (LATE,))[0].counters == Counters.without_row(28)
    assert timeline.columns(0, 50, 1, (WRITE,)) == [(50.0, NOTHING)]


def test_slow_ticks_fill_a_slot_each() -> None:
    timeline = Timeline(SMALL)
    for tick in range(30):
        timeline.add(tick * 10.0, tick * 10.0 + 10, some(2), {READ: some(2)})
    assert timeline.columns(180, 10, 12, (READ,)) == [(10.0, some(2))] * 12


@pytest.mark.slow
def test_a_day_and_more_stays_bounded() -> None:
    """26 hours at 2 Hz, the last 2 of them over a full day: no slot more, and no memory either."""
    names = [Syscall(0, number, f"call_{number}") for number in range(4)]
    ticks = [{name: some(tick * place + 1) for place, name in enumerate(names)} for tick in range(7)]
    totals = [added_up(rows.values()) for rows in ticks]
    timeline = Timeline()

    def pass_hours(start: int, end: int) -> None:
        for tick in range(start * 7200, end * 7200):
            timeline.add(tick / 2, (tick + 1) / 2, totals[tick % 7], ticks[tick % 7])

    pass_hours(0, 25)
    most = sum(kept for _, kept in LEVELS)
    assert len(timeline) == most
    gc.collect()
    before = psutil.Process().memory_info().rss
    pass_hours(25, 26)
    gc.collect()
    assert len(timeline) == most
    assert psutil.Process().memory_info().rss - before < 2_000_000
    day = timeline.columns(2 * 3600, 3600, 24, names)
    assert all(column.seconds == pytest.approx(3600, abs=61) for column in day)
    each = sum(rows[names[3]].calls for rows in ticks) / 7
    assert timeline.columns(25 * 3600, 3600, 1, (names[3],))[0].counters.calls == pytest.approx(7200 * each, rel=0.02)
