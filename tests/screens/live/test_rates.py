"""What the screen remembers: everything, and what a view is narrowed to, back to before it was narrowed."""

from collections.abc import Sequence

import pytest

from denet_tui.counts import added
from denet_tui.model import Counters, ProcessInfo, Snapshot, Syscall, added_up
from denet_tui.screens.live import rates as module
from denet_tui.screens.live.rates import Rates
from tests.screens.live.double import SYSCALLS, Build

READ, OPENAT, BOTH = SYSCALLS[0], SYSCALLS[2], SYSCALLS[9]


def second(processes: Sequence[ProcessInfo]) -> list[ProcessInfo]:
    """The second process and the fourth."""
    return [processes[1], processes[3]]


def fed(ticks: int, build: Build | None = None) -> tuple[Rates, list[Snapshot]]:
    build = build or Build()
    snapshots = [build.step() for _ in range(ticks)]
    rates = Rates()
    for snapshot in snapshots:
        rates.add(snapshot)
    return rates, snapshots


def of_second(snapshot: Snapshot) -> dict[Syscall, Counters]:
    return added(process.recent for process in second(snapshot.processes))


def test_the_timeline_is_in_seconds_since_the_start() -> None:
    rates, snapshots = fed(10)
    columns = rates.timeline.columns(0.0, 0.5, 10)
    assert [column.counters for column in columns] == [snapshot.delta for snapshot in snapshots]
    assert {column.seconds for column in columns} == {0.5}
    reads = rates.timeline.columns(4.5, 0.5, 1, (READ,))[0].counters
    assert reads == snapshots[-1].recent[READ]
    assert rates.view is rates.whole


def test_narrowing_looks_back_and_goes_on() -> None:
    build = Build()
    rates, snapshots = fed(20, build)
    rates.narrow(second, snapshots[-1].processes)
    expected = [added_up(of_second(snapshot).values()) for snapshot in snapshots]
    assert [column.counters for column in rates.timeline.columns(0, 0.5, 20)] == expected
    assert rates.view.last(BOTH, 3) == pytest.approx(
        [of_second(snapshot)[BOTH].calls / 0.5 for snapshot in snapshots[-3:]]
    )
    following = build.step()
    rates.add(following)
    column = rates.timeline.columns(10, 0.5, 1, (BOTH,))[0]
    assert column == (0.5, of_second(following)[BOTH])
    rates.narrow(None)
    assert rates.timeline.columns(10, 0.5, 1)[0].counters == following.delta


def test_where_the_tables_are_gone_the_calls_are_still_known(monkeypatch: pytest.MonkeyPatch) -> None:
    rates, snapshots = fed(1)
    rows = sum(len(process.recent) for process in snapshots[0].processes)
    monkeypatch.setattr(module, "_MOST_TABLES", 5 * rows)
    rates, snapshots = fed(20)
    assert 4 <= len(rates._ticks) <= 6
    rates.narrow(second, snapshots[-1].processes)
    columns = rates.timeline.columns(0, 0.5, 20)
    for at, (column, snapshot) in enumerate(zip(columns, snapshots, strict=True)):
        calls = sum(counters.calls for counters in of_second(snapshot).values())
        assert column.counters.calls == calls
        assert (column.counters.unkept == 0) == (at >= 20 - len(rates._ticks))


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_TABLES", 1000)
    rates, snapshots = fed(400, Build(size=6, width=8))
    rates.narrow(second, snapshots[-1].processes)
    assert len(rates._ticks) <= module._SHORT
    assert rates._kept_rows <= 1000
    assert rates._kept_rows == sum(len(table) for tick in rates._ticks for table in tick.tables.values())
    assert len(rates.whole.last(READ, 10_000)) == module._LONG


def failing(snapshot: Snapshot, per_process: Sequence[int]) -> Snapshot:
    """`snapshot` with so many failed openats, by process."""
    processes = [
        process._replace(errnos={(OPENAT, 2): count} if count else {})
        for process, count in zip(snapshot.processes, per_process, strict=True)
    ]
    return snapshot._replace(processes=tuple(processes), errnos={(OPENAT, 2): sum(per_process)})


def test_errors_are_told_by_the_second() -> None:
    build, rates = Build(size=4), Rates()
    snapshots = [failing(build.step(), counts) for counts in ([0, 4, 0, 0], [2, 4, 0, 1], [2, 4, 0, 1])]
    for snapshot in snapshots:
        rates.add(snapshot)
    assert rates.errors.last((OPENAT, 2), 3) == [8.0, 6.0, 0.0]
    rates.narrow(second, snapshots[-1].processes)
    # What was before is not known by process; what comes is.
    assert rates.errors.last((OPENAT, 2), 3) == [0.0, 0.0, 0.0]
    rates.add(failing(build.step(), [90, 5, 90, 2]))
    assert rates.errors.last((OPENAT, 2), 1) == [4.0]


def test_an_ended_process_stays_in_what_was_narrowed() -> None:
    rates, snapshots = fed(12)
    gone = next(process for process in snapshots[-1].processes if not process.alive)
    rates.narrow(lambda processes: [each for each in processes if each.key == gone.key],
                 snapshots[-1].processes)  # fmt: skip
    assert sum(column.counters.calls for column in rates.timeline.columns(0, 0.5, 12)) == gone.total.calls
