"""The rules: each a small function that looks at a Snapshot and says at most one thing.

A rule speaks where something is rare in runs that are well. The thresholds come from such runs: shells, interpreters,
builds, package managers and searches miss files, ask `isatty` and look for programs along PATH by the hundred, wait for
their children, for input and for each other, and are kept waiting for a processor by other runs.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from denet_tui.findings import paths
from denet_tui.model import InFlight, Snapshot, Syscall
from denet_tui.syscalls import PARTNERS, WAITS, errno_name
from denet_tui.system.visible import how_many, visible

MOST = 5
"""So many are said; more nobody reads."""

_BROKEN = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.EROFS)
"""What fails with one of these has run into a limit or a fault of the machine, once is enough."""
_ENDS = {("read", errno.EIO), *((call, errno.EROFS) for call in ("access", "faccessat", "faccessat2"))}
"""But for these: a terminal reports its end so, and what asks whether it may write is answered."""
_ENDS_LEAST = 3
_UNREACHED = (errno.ECONNREFUSED, errno.ETIMEDOUT, errno.EHOSTUNREACH)
_UNREACHED_LEAST = 5
_EXECS_LEAST, _EXECS_SHARE = 500, 0.9
"""Along PATH some are missed for each that is found, however long the run is."""
_FAILED_LEAST, _FAILED_SHARE, _FAILED_OF_ALL = 5_000, 0.5, 0.10
_NOT_YET = (errno.EAGAIN, errno.EINPROGRESS)
_ANSWERS = {
    ("access", errno.ENOENT),
    ("unlink", errno.ENOENT),
    ("unlinkat", errno.ENOENT),
    *(
        (call, number)
        for call in ("fgetxattr", "getxattr", "lgetxattr")
        for number in (errno.ENODATA, errno.EOPNOTSUPP)
    ),
    ("ioctl", errno.ENOTTY),
    ("readlink", errno.EINVAL),
    ("readlinkat", errno.EINVAL),
    ("wait4", errno.ECHILD),
}
"""Errors that answer what was asked: no such file (nor is one to be taken away), attribute, terminal, link, child."""
_SYNCS = frozenset(["fdatasync", "fsync", "msync", "sync", "sync_file_range", "syncfs"])
_SYNC_SHARE, _SYNC_NS = 0.2, 500_000_000
_SLOW_NS, _SLOW_SHARE = 1_000_000_000, 0.1
_STUCK_NS = 10_000_000_000
_CROWDED_NS, _CROWD = 2_000_000_000, 3
"""Threads that want a CPU for each that there is: with twice as many as CPUs builds are begun."""
_WAIT = WAITS | PARTNERS
_NOT_SLOW = _WAIT | _SYNCS
_TOWARDS = ("connect", "sendto")
_LET_GO = {"connect", "flock", "fcntl"}
"""Of those that wait for another process these are expected to be let go soon."""
_NOT_STUCK = _WAIT - _LET_GO


class RunFinding(NamedTuple):
    """One thing that stands out; `figures` are the numbers of its `text`, times in ns."""

    rule: str
    text: str
    figures: Mapping[str, int | str]
    weight: float
    """What comes first: 1.0 and more is why the run fails or stands still, below it is a share of the run."""
    tab: str
    """The tab of the live screen that shows more of it."""


def findings(snapshot: Snapshot) -> tuple[RunFinding, ...]:
    """What stands out, the weightiest first, at most MOST."""
    found = [finding for rule in RULES for finding in rule(snapshot)]
    return tuple(sorted(found, key=lambda each: -each.weight)[:MOST])


def sentences(snapshot: Snapshot) -> list[str]:
    """The same in words, one line each; one line too where nothing does, in what was counted."""
    counted = "" if snapshot.exact else " in what was counted"
    return [f"stands out: {each.text}" for each in findings(snapshot)] or [f"nothing stands out{counted}"]


def broken(snapshot: Snapshot) -> Iterator[RunFinding]:
    """Disks that are full or broken, descriptors that have run out."""
    for (call, number), count in snapshot.errnos.items():
        if number in _BROKEN and count and ((_plain(call), number) not in _ENDS or count >= _ENDS_LEAST):
            more, figures = paths.failures(snapshot, call, number)
            text = f"{visible(call.name)} failed {_times(count)} with {_why(number)}{more}"
            yield RunFinding("broken", text, _error(call, number, count) | figures, 2.0, "errors")


def unreached(snapshot: Snapshot) -> Iterator[RunFinding]:
    """Peers that refuse, or do not answer."""
    for (call, number), count in snapshot.errnos.items():
        if _plain(call) == "connect" and number in _UNREACHED and count >= _UNREACHED_LEAST:
            calls = snapshot.syscalls[call].calls
            more, figures = paths.failures(snapshot, call, number)
            text = f"connect failed {count:,} times of {calls:,} with {_why(number)}{more}"
            yield RunFinding("unreached", text, _error(call, number, count) | figures, 1.2, "errors")


def execs(snapshot: Snapshot) -> Iterator[RunFinding]:
    """Programs that are not there, looked for again and again."""
    for call, counted in snapshot.syscalls.items():
        if _plain(call) not in ("execve", "execveat") or counted.errors < _EXECS_LEAST:
            continue
        if counted.errors >= _EXECS_SHARE * counted.calls:
            number, count = _most_frequent(snapshot, call)
            text = (
                f"{visible(call.name)} failed {counted.errors:,} times of {counted.calls:,}, mostly with {_why(number)}"
            )
            more, figures = paths.failures(snapshot, call, number)
            yield RunFinding("execs", text + more, _error(call, number, count) | figures, 1.1, "errors")


def failing(snapshot: Snapshot) -> Iterator[RunFinding]:
    """A call that mostly fails in one way, and is much of what the run does."""
    for (call, number), count in snapshot.errnos.items():
        calls, share = snapshot.syscalls[call].calls, count / (snapshot.total.calls or 1)
        if count < max(_FAILED_LEAST, _FAILED_SHARE * calls) or share < _FAILED_OF_ALL:
            continue
        if number in _NOT_YET or (_plain(call), number) in _ANSWERS:
            continue
        more, figures = paths.failures(snapshot, call, number)
        more = more or f": {100 * share:.0f} % of all calls were such failures{paths.mostly(snapshot, call, number)}"
        text = f"{100 * count // calls} % of {visible(call.name)} failed with {_why(number)}{more}"
        yield RunFinding("failing", text, _error(call, number, count) | figures, share, "errors")


def syncing(snapshot: Snapshot) -> Iterator[RunFinding]:
    """Time spent until data is on a disk."""
    some = {call: each for call, each in snapshot.syscalls.items() if _plain(call) in _SYNCS and each.returns}
    time_ns, calls = sum(each.time_ns for each in some.values()), sum(each.returns for each in some.values())
    if snapshot.detail.time:  # without what waited for a CPU
        time_ns = sum(wait.blocked_ns for call, wait in snapshot.detail.time.waits.items() if _plain(call) in _SYNCS)
    if time_ns < max(_SYNC_NS, _SYNC_SHARE * snapshot.elapsed_ns):
        return
    call = max(some, key=lambda each: some[each].time_ns)
    share = time_ns / snapshot.elapsed_ns if snapshot.elapsed_ns else 0.0
    text = f"{_long(time_ns)} went into waiting for disks, in {how_many(calls, 'call')} of {visible(call.name)}"
    text += " and its like" if len(some) > 1 else ""
    text += f": {100 * share:.0f} % of the run" if share <= 1 else ", in several threads at once"
    where, figures = paths.slowest(snapshot, lambda name: _base(name) in _SYNCS)
    text += f"; the longest was on {where}" * bool(where)
    yield RunFinding("syncing", text, {"calls": calls, "time_ns": time_ns, **figures}, min(share, 1.0), "latency")


def crowded(snapshot: Snapshot) -> Iterator[RunFinding]:
    """More threads of the run itself than CPUs: others may make it wait as long, and are none of its doing."""
    time, cpus = snapshot.detail.time, snapshot.detail.cpus
    if time is None or not cpus or time.runqueue_ns < _CROWDED_NS:
        return
    wanted_ns = time.user_ns + time.kernel_ns + time.runqueue_ns
    if wanted_ns < _CROWD * cpus * snapshot.elapsed_ns:
        return
    threads, share = round(wanted_ns / (snapshot.elapsed_ns or 1)), time.runqueue_ns / wanted_ns
    text = f"on average {threads} threads at once want to run on {how_many(cpus, 'CPU')}"
    text += f": they wait for a CPU {100 * share:.0f} % of that time"
    figures: dict[str, int | str] = {"threads": threads, "cpus": cpus, "runqueue_ns": time.runqueue_ns}
    yield RunFinding("crowded", text, figures, min(share, 0.9), "overview")


def hung(snapshot: Snapshot) -> Iterator[RunFinding]:
    """A call that another process should have let go soon, and that is over: it was `stuck`."""
    yield from _longest(snapshot, "hung", _LET_GO.__contains__, _STUCK_NS)


def slow(snapshot: Snapshot) -> Iterator[RunFinding]:
    """A single call that took long, of those that wait for no other process."""
    yield from _longest(snapshot, "slow", lambda name: name not in _NOT_SLOW, _SLOW_NS)


def _longest(snapshot: Snapshot, rule: str, of: Callable[[str], bool], least_ns: int) -> Iterator[RunFinding]:
    some = ((counted.max_ns, call) for call, counted in snapshot.syscalls.items() if of(_plain(call)))
    longest_ns, call = max(some, default=(0, None))
    if call is not None and longest_ns >= max(least_ns, _SLOW_SHARE * snapshot.elapsed_ns):
        where, more = paths.slowest(snapshot, call.name.__eq__)
        text = f"one {visible(call.name)} took {_long(longest_ns)}"
        text += f": {_preposition(call)} {where}" * bool(where)
        figures: dict[str, int | str] = {"syscall": call.name, "max_ns": longest_ns, **more}
        yield RunFinding(rule, text, figures, min(longest_ns / (snapshot.elapsed_ns or 1), 1.0), "latency")


def stuck(snapshot: Snapshot) -> Iterator[RunFinding]:
    """The thread that is longest in a call which should be over soon."""
    now = snapshot.time_ns
    some = [
        each
        for each in snapshot.in_flight
        if now - each.since_ns >= _STUCK_NS and _plain(each.syscall) not in _NOT_STUCK
    ]
    if some and snapshot.running:
        first = min(some, key=lambda each: each.since_ns)
        since_ns = now - first.since_ns
        where = f" {_preposition(first.syscall)} {paths.short(first.about)}" if first.about else ""
        than = "more than " if first.earlier else ""
        text = f"{_name(snapshot, first)} has been in {visible(first.syscall.name)}{where} for {than}{_long(since_ns)}"
        figures: dict[str, int | str] = {"tid": first.tid, "syscall": first.syscall.name, "time_ns": since_ns}
        figures |= {"about": first.about} if first.about else {}
        yield RunFinding("stuck", text, figures, 1.5, "inflight")


RULES: tuple[Callable[[Snapshot], Iterator[RunFinding]], ...] = (
    broken,
    stuck,
    unreached,
    execs,
    failing,
    syncing,
    crowded,
    hung,
    slow,
)


def _plain(call: Syscall) -> str:
    """Its name without that of a foreign ABI."""
    return _base(call.name)


def _preposition(call: Syscall) -> str:
    return "to" if _plain(call) in _TOWARDS else "on"


def _base(name: str) -> str:
    return name.rpartition(":")[2]


def _error(call: Syscall, number: int, count: int) -> dict[str, int | str]:
    return {"syscall": call.name, "errno": errno_name(number), "count": count}


def _most_frequent(snapshot: Snapshot, call: Syscall) -> tuple[int, int]:
    """The errno that a call failed with most often, 0 if none is known, and how often."""
    some = ((count, number) for (each, number), count in snapshot.errnos.items() if each == call)
    count, number = max(some, default=(0, 0))
    return number, count


def _why(number: int) -> str:
    return f"{errno_name(number)} ({os.strerror(number).lower()})"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _long(time_ns: int) -> str:
    return f"{time_ns / 1e9:.3g} s" if time_ns < 999.5e9 else f"{time_ns / 60e9:,.0f} min"


def _name(snapshot: Snapshot, call: InFlight) -> str:
    process = next((each for each in snapshot.processes if each.tgid == call.tgid and each.alive), None)
    return f"{visible(process.comm)} ({process.pid})" if process else f"thread {call.tid}"
