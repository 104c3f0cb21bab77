"""Where the time of threads went: its parts, and in words; and what was used beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from denet_tui.detail import NO_WAITS, Accounts, Time, Wait
from denet_tui.model import Counters
from denet_tui.syscalls import for_children
from denet_tui.system.visible import how_many, visible

NO_WAIT = Wait()
_NAMED = 3
"""Calls that are named as what was waited in."""


class Parts(NamedTuple):
    """All of a time, in ns; what was blocked for the process's own children is work of theirs."""

    user_ns: int
    kernel_ns: int
    runqueue_ns: int
    blocked_ns: int
    children_ns: int
    unknown_ns: int


def parts(spent: Time) -> Parts:
    """A time cut into parts that are all of it."""
    inside = sum(wait.blocked_ns for call, wait in spent.waits.items() if for_children(call))
    children = min(inside, spent.blocked_ns)
    blocked = spent.blocked_ns - children
    return Parts(spent.user_ns, spent.kernel_ns, spent.runqueue_ns, blocked, children, spent.unknown_ns)


def together(times: Iterable[Time | None]) -> Time | None:
    """All added up, what was waited in calls too; None if it is not known of one."""
    sums, blocked, runqueue = Time(), Counter[Any](), Counter[Any]()
    for each in times:
        if each is None:
            return None
        sums = sums.plus(each)
        for call, (blocked_ns, runqueue_ns) in each.waits.items():
            blocked[call] += blocked_ns
            runqueue[call] += runqueue_ns
    return sums._replace(waits={call: Wait(ns, runqueue[call]) for call, ns in blocked.items()} or NO_WAITS)


def longest(spent: Time) -> list[tuple[Any, Wait]]:
    """What was waited in calls, by call, the longest first."""
    return sorted(spent.waits.items(), key=lambda item: (-item[1].blocked_ns, item[0]))


def outside_calls(spent: Time) -> int:
    """How long (ns) it was blocked in no call that is counted: by page faults that wait for disks, by stops, and
    in calls that had begun before they were watched.

    0 where what it was blocked in is not known.
    """
    inside = spent.blocked_ns if spent.waits is NO_WAITS else sum(wait.blocked_ns for wait in spent.waits.values())
    return max(spent.blocked_ns - inside, 0)


def kernel_in(spent: Time, calls: Mapping[Any, Counters]) -> list[tuple[Any, int]]:
    """The calls that it was on a CPU in the kernel in, and for how long (ns), the longest first.

    Calls that a thread is in are left out: their waits are known by now, and their time is not.
    """
    if spent.waits is NO_WAITS:
        return []
    found = (
        (call, min(counted.time_ns - sum(spent.waits.get(call, NO_WAIT)), spent.kernel_ns))
        for call, counted in calls.items()
        if not counted.in_flight
    )
    return sorted(((call, ns) for call, ns in found if ns > 0), key=lambda item: (-item[1], item[0]))


def most_kernel_in(spent: Time, calls: Mapping[Any, Counters]) -> str:
    """Those that are a percent of it, two at most, in words."""
    found = kernel_in(spent, calls)[:2]
    return ", ".join(f"{visible(call.name)} {share(ns, spent)}" for call, ns in found if 100 * ns >= spent.whole_ns)


def blocked_in(spent: Time) -> list[tuple[str, int]]:
    """What most of a time was blocked in, and for how long (ns): calls that wait for no own children, and none."""
    found = [(visible(call.name), wait.blocked_ns) for call, wait in longest(spent) if not for_children(call)]
    found = [*found[:_NAMED], ("in no counted call", outside_calls(spent))]
    return [(name, ns) for name, ns in found if 200 * ns >= spent.whole_ns > 0]


def share(part_ns: int, spent: Time) -> str:
    """Of a whole time: `41 %`."""
    return f"{100 * part_ns / (spent.whole_ns or 1):.0f} %"


def _part(word: str, part_ns: int, spent: Time) -> list[str]:
    """A part that is named where it rounds to a percent: `for children 30 %`."""
    return [f"{word} {share(part_ns, spent)}"] if 200 * part_ns >= spent.whole_ns > 0 else []


def briefly(spent: Time) -> tuple[str, str]:
    """`on CPU 41 %, waits for CPU 8 %, blocked 51 %`, and what of that was for children: ` (for children 30 %)`."""
    user, kernel, runqueue, _, children, unknown = parts(spent)
    inside = "".join(f" ({part})" for part in _part("for children", children, spent))
    said = [f"on CPU {share(user + kernel, spent)}", f"waits for CPU {share(runqueue, spent)}"]
    said += [*_part("not known", unknown, spent), f"blocked {share(spent.blocked_ns, spent)}"]
    return ", ".join(said), inside


def in_words(spent: Time, kernel_in: str = "") -> str:
    """`on CPU 41 % (user 30 %, kernel 11 %), waits for CPU 8 %, blocked 51 % (for children 30 %, read 12 %)`."""
    user, kernel, runqueue, _, children, unknown = parts(spent)
    inside = _part("for children", children, spent) + [f"{name} {share(ns, spent)}" for name, ns in blocked_in(spent)]
    where = f" ({', '.join(inside)})" if inside else ""
    in_kernel = f"kernel {share(kernel, spent)}" + (f": {kernel_in}" if kernel_in else "")
    said = [
        f"on CPU {share(user + kernel, spent)} (user {share(user, spent)}, {in_kernel})",
        f"waits for CPU {share(runqueue, spent)}",
        *_part("not known", unknown, spent),
        f"blocked {share(spent.blocked_ns, spent)}{where}",
    ]
    return ", ".join(said)


def used_in_words(used: Accounts) -> tuple[str, str, str, str]:
    """CPU time, most memory, page faults and disks: `1,204 page faults, 3 of them from disk`; empty where not known."""
    cpu = memory = faults = disks = ""
    if used.cpu_ns is not None:
        cpu = f"{used.cpu_ns / 1e9:.3f} s of CPU"
    if used.max_rss_bytes is not None:
        memory = f"at most {used.max_rss_bytes // 1024:,} KiB of memory"
    if used.minor_faults is not None and used.major_faults is not None:
        faults = (
            f"{how_many(used.minor_faults + used.major_faults, 'page fault')}, {used.major_faults:,} of them from disk"
        )
    if used.read_bytes is not None and used.write_bytes is not None:
        disks = f"{how_many(used.read_bytes, 'byte')} read from disks, {used.write_bytes:,} written"
    return cpu, memory, faults, disks
