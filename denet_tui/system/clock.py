"""The one place where this process's clocks and the kernel side's meet, and what is said where they part.

The kernel side counts bpf_ktime_get_ns: CLOCK_MONOTONIC of the initial time namespace, which stands still while the
machine sleeps. Inside another time namespace one's own CLOCK_MONOTONIC is shifted against it (man 7 time_namespaces),
and the wall clock may be set at any moment.
"""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

from denet_tui.model import Snapshot

_NOTICEABLE_NS = 10_000_000
"""Clocks that are read one by one may seem to part by less, where this process was put aside in between."""
_INITIAL = 0xEFFFFFFA
"""PROC_TIME_INIT_INO of the kernel (include/linux/proc_ns.h)."""


class Clocks(NamedTuple):
    """One moment in ns by the kernel side's clock, by one that also counts the machine's sleep, and as Unix time."""

    kernel_ns: int
    boot_ns: int
    wall_ns: int

    def asleep_since(self, before: Clocks) -> int:
        """How long the machine slept in between, in ns."""
        return self.boot_ns - before.boot_ns - (self.kernel_ns - before.kernel_ns)

    def stepped_since(self, before: Clocks) -> int:
        """By how much the wall clock was set in between, in ns; negative where it was set back."""
        return self.wall_ns - before.wall_ns - (self.boot_ns - before.boot_ns)


def now_ns() -> int:
    """Now, as the kernel side has it."""
    return time.monotonic_ns() - shift_ns("monotonic")


def now() -> Clocks:
    """Now, by all clocks: as close together as reading them one by one allows."""
    best = None
    for _ in range(3):  # where this process was put aside in between, they are not of one moment
        before, boot, wall, after = now_ns(), time.clock_gettime_ns(time.CLOCK_BOOTTIME), time.time_ns(), now_ns()
        if best is None or after - before < best[0]:
            best = after - before, Clocks((before + after) // 2, boot, wall)
    assert best is not None  # noqa: S101 - there were three
    return best[1]


@cache
def shift_ns(clock: Literal["monotonic", "boottime"]) -> int:
    """How far a clock of this process is ahead of the kernel side's; a process keeps its namespace.

    The file says what children will have: right after unshare(2) that is another namespace than one's own.
    """
    try:
        own, children = (Path(f"/proc/self/ns/{name}").stat().st_ino for name in ("time", "time_for_children"))
        if own == _INITIAL or own != children:
            return 0
        lines = Path("/proc/self/timens_offsets").read_text(encoding="ascii").splitlines()
    except OSError:  # no time namespaces (before Linux 5.6), or no /proc
        return 0
    seconds, nanoseconds = next(map(int, line.split()[1:]) for line in lines if line.startswith(clock))
    return seconds * 10**9 + nanoseconds


def off_the_clock(snapshot: Snapshot) -> str:
    """What the times do not show: sleep of the machine, and steps of the wall clock; empty where there was none."""
    said, asleep_ns, set_ns = [], snapshot.asleep_ns, snapshot.set_ns
    if asleep_ns >= _NOTICEABLE_NS:
        said.append(f"the machine slept for {asleep_ns / 1e9:,.2f} s, which no time here counts")
    if abs(set_ns) >= _NOTICEABLE_NS:
        way = "forward" if set_ns > 0 else "back"
        step = f"the wall clock was set {way} by {abs(set_ns) / 1e9:,.2f} s"
        said.append(f"{step}: times of day in the recording go on from the start's")
    return "; ".join(said)
