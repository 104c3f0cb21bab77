"""Where the time of watched threads went, from the tables of the kernel side (kernel/times.c)."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Mapping
from operator import add
from typing import NamedTuple

from denet_tui.bpf import rows
from denet_tui.bpf.maps import Map
from denet_tui.bpf.records import Process
from denet_tui.bpf.tasks import BLOCKED, ON_CPU, RUNNABLE, UNMET, UNTIMED, Task
from denet_tui.detail import Time, Wait
from denet_tui.model import Syscall
from denet_tui.syscalls import syscall

_TIMES = struct.Struct("<5qQ")
_WAIT = struct.Struct("<2Q")
_LOST = 1 << 31
"""A count of threads that is not known has gone below 0."""

Waits = dict[int, dict[Syscall, Wait]]
"""By tgid and call."""


_Parts = tuple[int, ...]
"""On a CPU, in calls of that, waiting for one, blocked, not known; each may be some microseconds below 0 (times.c)."""


def _until(now_ns: int, thread: Task) -> tuple[_Parts, Wait]:
    """How long a thread has been where until `now_ns`, and what it has waited so far in its call.

    Where it has moved on since, that is taken off again from where it is: all together it is no more.
    """
    its = thread.clock
    since = now_ns - its.mark_ns
    cpu, runqueue, blocked, unmet = (since if its.where == place else 0 for place in (ON_CPU, RUNNABLE, BLOCKED, UNMET))
    kernel, wait = its.kernel_ns, Wait()
    if thread.inside:
        until_ns = its.mark_ns + (cpu if its.where == ON_CPU else -its.asleep_ns)
        kernel += max(until_ns - thread.since_ns - its.away_ns, 0)
        wait = wait if its.where == ON_CPU else Wait(max(blocked + its.asleep_ns, 0), max(runqueue, 0))
    unknown = its.unknown_ns + unmet + (its.asleep_ns if its.late else 0)
    return (its.cpu_ns + cpu, kernel, its.runqueue_ns + runqueue, its.blocked_ns + blocked, unknown), wait


def _time(cpu: int, kernel: int, *others: int) -> Time:
    """What a part lacks is taken from the others, the longest first."""
    parts = [cpu, *others]
    lacking = -sum(part for part in parts if part < 0)
    for place in sorted(range(len(parts)), key=parts.__getitem__, reverse=True) if lacking else ():
        taken = min(max(parts[place], 0), lacking)
        parts[place] = max(parts[place], 0) - taken
        lacking -= taken
    cpu, runqueue, blocked, unknown = parts
    kernel = min(max(kernel, 0), cpu)
    return Time(cpu - kernel, kernel, runqueue, blocked, unknown_ns=unknown)


class Spent(NamedTuple):
    """All by tgid: the time (None: not known), what was waited in the interval, and so far in open calls."""

    times: dict[int, Time | None]
    waits: Waits
    open: Waits


def read(table: Map, now_ns: int, threads: Iterable[Task], expected: Mapping[int, int]) -> Spent:
    """As of `now_ns`, a moment ago; `expected` are the threads of processes that may have some that were not met.

    What was waited in the interval is not known before its side is at rest (see `waits`).
    """
    sums: dict[int, _Parts] = {}
    unknown: set[int] = set()
    for keys, values in table.read():
        for (tgid,), (*parts, strangers) in zip(
            struct.iter_unpack("<I", keys), _TIMES.iter_unpack(values), strict=True
        ):
            sums[tgid] = tuple(parts)
            unknown |= {tgid} if strangers else set()
    present: Waits = {}
    met = Counter[int]()
    for thread in threads:
        met[thread.tgid] += 1
        if thread.clock.where == UNTIMED:
            unknown.add(thread.tgid)
        until, wait = _until(now_ns, thread)
        before = sums.get(thread.tgid, (0,) * len(until))
        sums[thread.tgid] = tuple(map(add, before, until))
        if any(wait):
            calls, call = present.setdefault(thread.tgid, {}), syscall(thread.abi, thread.nr)
            calls[call] = calls.get(call, Wait()).plus(wait)
    unknown |= {tgid for tgid, number in expected.items() if met[tgid] < number < _LOST}
    times = {tgid: None if tgid in unknown else _time(*parts) for tgid, parts in sums.items()}
    return Spent(times, {}, present)


def of_unmet(now_ns: int, processes: Iterable[Process], spent: Spent) -> dict[int, Time]:
    """The time of processes with one thread that nothing was told of since they were born: where, is not known."""
    return {
        each.tgid: Time(unknown_ns=max((each.end_ns or now_ns) - each.start_ns, 0))
        for each in processes
        if each.tgid not in spent.times
    }


def waits(table: Map, side: int) -> Waits:
    """What was waited in calls, taken out of a side that is at rest."""
    found: Waits = {}
    for keys, values in rows.take(table, side):
        for (where, nr), wait in zip(rows.KEY.iter_unpack(keys), _WAIT.iter_unpack(values), strict=True):
            found.setdefault(where & rows.TGID, {})[syscall(where >> rows.ABI_BIT, nr)] = Wait(*wait)
    return found
