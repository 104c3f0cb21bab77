"""The sampler against a made-up kernel side: whatever happens between two readings, every snapshot adds up."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from denet_tui.bpf.records import Process
from denet_tui.bpf.tasks import Clock, Task
from denet_tui.bpf.tracer import Reading, index_of
from denet_tui.model import ABI_NATIVE, NOTHING, Counters, ErrorKey, Loss, Snapshot, Syscall
from denet_tui.syscalls import syscall
from denet_tui.watch.sampler import Sampler
from tests.invariants import broken
from tests.watch.helpers import rows_of

NUMBERS = (0, 1, 39, 60, 1000, -1)
"""Two of them have no name, and share one place in the totals."""
ERRNOS = (2, 9, 38)
SECOND = 1_000_000_000


@dataclass
class Living:
    """A process of the made-up kernel side, and the calls that it is inside of, by number."""

    record: Process
    inside: dict[int, int] = field(default_factory=dict)


class MadeUpKernel:
    """Keeps what the kernel side keeps: rows since the last reading, totals, errnos, and a record per process."""

    def __init__(self) -> None:
        self.now = SECOND
        self.living: dict[int, Living] = {}
        self.records: dict[int, Process] = {}
        self.ends: list[tuple[int, int]] = []
        """(tgid, start) of every process that has ended."""
        self._clear()

    def _clear(self) -> None:
        self.rows: dict[int, dict[Syscall, Counters]] = {}
        self.errnos: dict[int, dict[ErrorKey, int]] = {}
        self.calls: dict[tuple[int, int], int] = {}
        self.loss = Loss()

    def _add(self, tgid: int, nr: int, counters: Counters) -> None:
        rows, call = self.rows.setdefault(tgid, {}), syscall(ABI_NATIVE, nr)
        rows[call] = rows.get(call, NOTHING).plus(counters)
        place = (ABI_NATIVE, index_of(ABI_NATIVE, nr))
        if counters.calls:
            self.calls[place] = self.calls.get(place, 0) + counters.calls

    def start(self, tgid: int) -> None:
        """A fork; where the id was used by one whose record was not read yet, it is lost, and that is counted."""
        if tgid in self.living:
            return
        self.now += 1
        if tgid in self.records:
            self.loss = self.loss._replace(reused=self.loss.reused + 1)
        self.records[tgid] = Process(tgid, 1, self.now, 0, 0, 1, 0, None, "made", ("made", "up"), tgid)
        self.living[tgid] = Living(self.records[tgid])

    def execute(self, tgid: int) -> None:
        if tgid in self.living:
            self.now += 1
            old = self.records[tgid]
            self.records[tgid] = old._replace(execs=old.execs + 1, exec_ns=self.now, comm=f"exec{old.execs}")

    def enter(self, tgid: int, nr: int, count: int) -> None:
        if tgid in self.living:
            self._add(tgid, nr, Counters(calls=count))
            inside = self.living[tgid].inside
            inside[nr] = inside.get(nr, 0) + count

    def leave(self, tgid: int, nr: int, count: int, number: int) -> None:
        """Up to `count` of those inside return; with an errno where that is not 0."""
        if tgid not in self.living or not (count := min(count, self.living[tgid].inside.get(nr, 0))):
            return
        self.living[tgid].inside[nr] -= count
        bucket = count << 64 * 3
        failed = count if number else 0
        self._add(tgid, nr, Counters(0, count, failed, 0, 700 * count, 700 + count, bucket))
        if number:
            errnos, key = self.errnos.setdefault(tgid, {}), (syscall(ABI_NATIVE, nr), number)
            errnos[key] = errnos.get(key, 0) + count

    def lose(self, nr: int, count: int) -> None:
        """Calls that find the map of rows full."""
        place = (ABI_NATIVE, index_of(ABI_NATIVE, nr))
        self.calls[place] = self.calls.get(place, 0) + count
        self.loss = self.loss._replace(rows=self.loss.rows + count)

    def end(self, tgid: int) -> None:
        """What is still open never returns."""
        if tgid not in self.living:
            return
        self.now += 1
        for nr, count in self.living.pop(tgid).inside.items():
            if count:
                self._add(tgid, nr, Counters(unreturned=count))
        self.records[tgid] = self.records[tgid]._replace(end_ns=self.now, threads=0, status=0)
        self.ends.append((tgid, self.records[tgid].start_ns))

    def read(self, late: list[tuple]) -> Reading:  # type: ignore[type-arg]
        """Cut here; `late` happens after the cut, but before the processes and tasks are read."""
        self.now += 1
        cut = self.now
        rows = {tgid: rows_of(counted) for tgid, counted in self.rows.items()}
        errnos, calls, loss = self.errnos, self.calls, self.loss
        self._clear()
        self.play(late)
        tasks = [
            Task(10_000 + tgid, tgid, True, ABI_NATIVE, nr, self.now, Clock(*(0,) * 10))
            for tgid, living in self.living.items()
            for nr, count in living.inside.items()
            if count
        ]
        return Reading(cut, rows, errnos, calls, loss, tasks, list(self.records.values()))

    def play(self, events: list[tuple]) -> None:  # type: ignore[type-arg]
        for name, *arguments in events:
            getattr(self, name)(*arguments)

    def forget(self, snapshot: Snapshot) -> None:
        """As Session.tick does with what has ended."""
        for process in snapshot.ended:
            record = self.records.get(process.tgid)
            if record is not None and record.start_ns == process.start_ns:
                del self.records[process.tgid]


tgids, numbers, counts = st.integers(100, 103), st.sampled_from(NUMBERS), st.integers(1, 5)
events = st.one_of(
    st.tuples(st.just("start"), tgids),
    st.tuples(st.just("execute"), tgids),
    st.tuples(st.just("enter"), tgids, numbers, counts),
    st.tuples(st.just("leave"), tgids, numbers, counts, st.sampled_from((0, 0, *ERRNOS))),
    st.tuples(st.just("end"), tgids),
)
losses = st.tuples(st.just("lose"), numbers, counts)
ticks = st.lists(st.tuples(st.lists(events, max_size=12), st.lists(events, max_size=4)), max_size=8)
ticks_with_losses = st.lists(
    st.tuples(st.lists(st.one_of(events, losses), max_size=12), st.lists(events, max_size=4)), max_size=8
)


def play(script: list[tuple[list, list]]) -> tuple[MadeUpKernel, list[Snapshot]]:  # type: ignore[type-arg]
    """Every snapshot of a script, and two more after everybody has ended."""
    kernel, sampler, snapshots = MadeUpKernel(), Sampler(SECOND), []
    farewell = [("end", tgid) for tgid in range(100, 104)]
    for early, late in [*script, (farewell, []), ([], [])]:
        kernel.play([("start", 100), *early])
        reading = kernel.read(late)
        snapshots.append(sampler.add(reading))
        kernel.forget(snapshots[-1])
    return kernel, snapshots


def broken_in(snapshots: list[Snapshot]) -> list[str]:
    pairs = zip(snapshots, [None, *snapshots], strict=False)
    return [text for now, before in pairs for text in broken(now, before)]


def at_most_one_life_at_a_time(kernel: MadeUpKernel, snapshots: list[Snapshot]) -> bool:
    """False if an id came round again before its end was read: two processes then share a row, and that is said."""
    return not snapshots[-1].loss.reused


@settings(max_examples=70)
@given(ticks)
def test_every_snapshot_adds_up(script: list) -> None:  # type: ignore[type-arg]
    kernel, snapshots = play(script)
    if at_most_one_life_at_a_time(kernel, snapshots):
        assert broken_in(snapshots) == []
        assert snapshots[-1].exact
    else:
        assert not snapshots[-1].exact


@settings(max_examples=50)
@given(ticks)
def test_each_ended_process_ends_in_exactly_one_snapshot(script: list) -> None:  # type: ignore[type-arg]
    kernel, snapshots = play(script)
    told = sorted((process.tgid, process.start_ns) for snapshot in snapshots for process in snapshot.ended)
    assert len(told) == len(set(told))
    if at_most_one_life_at_a_time(kernel, snapshots):
        assert told == sorted(kernel.ends)
        assert all(process.status == 0 for snapshot in snapshots for process in snapshot.ended)
    else:  # a record that was replaced before anybody read it is not known at all
        assert set(told) <= set(kernel.ends)


@settings(max_examples=50)
@given(ticks_with_losses)
def test_deltas_add_up_to_the_totals_with_and_without_losses(script: list) -> None:  # type: ignore[type-arg]
    _, snapshots = play(script)
    total, by_syscall = NOTHING, dict.fromkeys(snapshots[-1].syscalls, NOTHING)
    for snapshot in snapshots:
        total = total.plus(snapshot.delta)
        for call, counters in snapshot.recent.items():
            by_syscall[call] = by_syscall[call].plus(counters)
        everyone = {process.key: process for process in (*snapshot.processes, *snapshot.ended)}.values()
        assert sum(process.delta.calls for process in everyone) == snapshot.delta.calls - snapshot.delta.unkept
    assert total.packed == snapshots[-1].total.packed
    assert by_syscall == snapshots[-1].syscalls
    final = snapshots[-1]
    assert final.loss.unsettled == 0
    assert final.total.unkept == final.loss.rows
    assert final.total.in_flight == 0
    assert final.exact is (final.loss.rows == 0 and final.loss.reused == 0)


@settings(max_examples=25)
@given(ticks, st.integers(1, 9), numbers)
def test_calls_that_nobody_accounts_for_are_said(script: list, missing: int, nr: int) -> None:  # type: ignore[type-arg]
    """The totals, which cannot fill up, know of calls that neither a row nor a loss explains."""
    kernel, sampler = MadeUpKernel(), Sampler(SECOND)
    kernel.play([("start", 100), ("lose", nr, missing)])
    kernel.loss = Loss()
    snapshot = sampler.add(kernel.read([]))
    assert snapshot.loss == Loss(unsettled=missing)
    assert not snapshot.exact


def test_a_process_that_ends_after_the_cut_is_final_one_snapshot_later() -> None:
    kernel, sampler = MadeUpKernel(), Sampler(SECOND)
    kernel.play([("start", 100), ("enter", 100, 39, 2), ("leave", 100, 39, 2, 0)])
    first = sampler.add(kernel.read([("enter", 100, 60, 1), ("end", 100)]))
    assert first.ended == ()
    second = sampler.add(kernel.read([]))
    (process,) = second.ended
    assert process.total.calls == 3
    assert process.total.unreturned == 1


def test_ended_processes_are_forgotten_in_the_list_and_not_in_the_sums() -> None:
    kernel, sampler = MadeUpKernel(), Sampler(SECOND)
    for tgid in range(1000, 1700):
        kernel.play([("start", tgid), ("enter", tgid, 39, 1), ("leave", tgid, 39, 1, 0), ("end", tgid)])
    snapshot = sampler.add(kernel.read([]))
    assert len(snapshot.ended) == 700
    assert len(snapshot.processes) + snapshot.forgotten == 700
    assert snapshot.forgotten > 0
    assert snapshot.total.calls == 700


def test_of_many_that_end_between_two_looks_those_that_ended_last_are_kept() -> None:
    kernel, sampler = MadeUpKernel(), Sampler(SECOND)
    kernel.play([("start", 999)])
    for tgid in range(1000, 1700):
        kernel.play([("start", tgid), ("end", tgid)])
    snapshot = sampler.add(kernel.read([("end", 999)]))
    kept = {process.tgid for process in sampler.add(kernel.read([])).processes}
    assert snapshot.forgotten > 0
    assert {999, 1699} <= kept, "what has started them is the root of the tree"
    assert 1000 not in kept


def test_a_process_whose_record_was_lost_is_not_alive_and_its_end_is_not_known() -> None:
    kernel, sampler = MadeUpKernel(), Sampler(SECOND)
    kernel.play([("start", 100), ("enter", 100, 39, 2), ("start", 101), ("enter", 101, 39, 3)])
    del kernel.records[100], kernel.records[101]
    del kernel.living[101]  # of the other one a thread is still there
    first = sampler.add(kernel.read([]))
    assert [(each.tgid, each.alive, each.lost, each.end_ns) for each in first.ended] == [(101, False, True, None)]
    assert [each.tgid for each in first.processes if each.alive] == [100]
    kernel.play([("leave", 100, 39, 2, 0)])
    second = sampler.add(kernel.read([]))
    assert [each.tgid for each in second.ended] == [100]
    assert second.total.calls == 5
