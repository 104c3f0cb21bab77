"""The difference between two runs, system call by system call."""

from __future__ import annotations

from collections.abc import Mapping

from denet_tui.counts import Difference
from denet_tui.model import NOTHING, Counters, Syscall


def compare(before: Mapping[Syscall, Counters], after: Mapping[Syscall, Counters]) -> list[Difference]:
    """Every system call of either run, the largest change in calls first, then in errors, then in time."""
    changes = [
        Difference(syscall, before.get(syscall, NOTHING), after.get(syscall, NOTHING))
        for syscall in before.keys() | after.keys()
    ]
    return sorted(changes, key=lambda each: (-abs(each.calls), -abs(each.errors), -abs(each.time_ns), each.syscall))
