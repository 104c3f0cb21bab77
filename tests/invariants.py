"""What must hold in every snapshot, whether its readings were made up or came from the kernel."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable, Iterator, Mapping

from denet_tui.model import NOTHING, Counters, ProcessInfo, Snapshot, Syscall, unpack_buckets

LANES = ("calls", "returns", "errors", "unreturned", "time_ns", "unkept")


def broken(snapshot: Snapshot, before: Snapshot | None) -> list[str]:
    """Every invariant that a snapshot breaks, by itself or compared with the one before; empty where all hold."""
    return list(_broken(snapshot, before))


def _broken(snapshot: Snapshot, before: Snapshot | None) -> Iterator[str]:
    for name, rows, total in _tables(snapshot):
        if _sum(rows.values()).packed != total.packed:
            yield f"{name}: the rows do not add up to the total"
    for name, rows in [("all", snapshot.syscalls), *((f"{p.tgid}", p.syscalls) for p in snapshot.processes)]:
        for call, counters in rows.items():
            if counters.in_flight < 0 or counters.errors > counters.returns:
                yield f"{name}: {call.name} has more ends than beginnings: {_words(counters)}"
            if sum(unpack_buckets(counters.buckets)) != counters.returns:
                yield f"{name}: {call.name}: the histogram is not the returns: {_words(counters)}"
    yield from _errors(snapshot)
    if not snapshot.forgotten:
        yield from _processes(snapshot)
    for process in snapshot.ended:
        if process.total.in_flight:
            yield f"{process.tgid} has ended inside {process.total.in_flight} calls"
        if process.alive or (process not in snapshot.processes and not snapshot.forgotten):
            yield f"{process.tgid} is among the ended, and not shown as ended"
    if before is not None:
        yield from _growth(snapshot, before)


def _tables(snapshot: Snapshot) -> Iterator[tuple[str, Mapping[Syscall, Counters], Counters]]:
    yield "all", snapshot.syscalls, snapshot.total
    yield "all, recent", snapshot.recent, snapshot.delta
    for process in snapshot.processes:
        yield f"{process.tgid}", process.syscalls, process.total
        yield f"{process.tgid}, recent", process.recent, process.delta


def _errors(snapshot: Snapshot) -> Iterator[str]:
    if snapshot.loss.errnos:
        return
    owners: list[Snapshot | ProcessInfo] = [snapshot, *snapshot.processes]
    for owner in owners:
        name = "all" if isinstance(owner, Snapshot) else str(owner.tgid)
        counted = Tally[Syscall]()
        for (call, _), count in owner.errnos.items():
            counted[call] += count
        errors = {call: counters.errors for call, counters in owner.syscalls.items() if counters.errors}
        if {call: count for call, count in counted.items() if count} != errors:
            yield f"{name}: the errnos do not add up to the errors: {dict(counted)}, {errors}"


def _processes(snapshot: Snapshot) -> Iterator[str]:
    """The processes, of which none is forgotten, add up to the totals of all."""
    sums: dict[Syscall, Counters] = {}
    for process in snapshot.processes:
        for call, counters in process.syscalls.items():
            sums[call] = sums.get(call, NOTHING).plus(counters)
    for call in sums.keys() | snapshot.syscalls.keys():
        mine, all_of_them = sums.get(call, NOTHING), snapshot.syscalls.get(call, NOTHING)
        if mine.plus(Counters.without_row(all_of_them.unkept)) != all_of_them:
            yield f"{call.name}: processes {_words(mine)}, all {_words(all_of_them)}"
    # All of them: one that has ended stays here until its account is complete, and has no calls of an interval after.
    delta = _sum(process.delta for process in snapshot.processes).plus(Counters.without_row(snapshot.delta.unkept))
    if delta.packed != snapshot.delta.packed:
        yield f"this interval: processes {_words(delta)}, all {_words(snapshot.delta)}"


def _growth(snapshot: Snapshot, before: Snapshot) -> Iterator[str]:
    if snapshot.time_ns < before.time_ns or snapshot.interval_ns != snapshot.time_ns - before.time_ns:
        yield "time does not go on"
    for call in before.syscalls.keys() | snapshot.syscalls.keys():
        then, now = before.syscalls.get(call, NOTHING), snapshot.syscalls.get(call, NOTHING)
        if then.plus(snapshot.recent.get(call, NOTHING)) != now:
            yield f"{call.name}: {_words(then)} and what is recent do not make {_words(now)}"
    older = {(process.tgid, process.start_ns): process for process in before.processes}
    for process in snapshot.processes:
        then_process = older.get((process.tgid, process.start_ns))
        if then_process is None:
            continue
        if any(getattr(process.total, lane) < getattr(then_process.total, lane) for lane in LANES):
            yield f"{process.tgid} has less than before"
        if (then_process.end_ns or before.time_ns) < before.time_ns and process.total != then_process.total:
            yield f"{process.tgid} was final, and yet changed"


def _sum(counters: Iterable[Counters]) -> Counters:
    total = NOTHING
    for each in counters:
        total = total.plus(each)
    return total


def _words(counters: Counters) -> str:
    return " ".join(f"{lane} {getattr(counters, lane)}" for lane in LANES)
