"""The difference between two runs, system call by system call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from denet_tui.model import NOTHING, Counters, Syscall


class Change(NamedTuple):
    """One system call in both runs; what was not called at all is NOTHING."""

    syscall: Syscall
    before: Counters
    after: Counters

    @property
    def calls(self) -> int:
        """Calls more than before."""
        return self.after.calls - self.before.calls

    @property
    def errors(self) -> int:
        """Errors more than before."""
        return self.after.errors - self.before.errors

    @property
    def time_ns(self) -> int:
        """Time more than before, in ns."""
        return self.after.time_ns - self.before.time_ns


def compare(before: Mapping[Syscall, Counters], after: Mapping[Syscall, Counters]) -> list[Change]:
    """Every system call of either run, the largest change in calls first, then in errors, then in time."""
    changes = [
        Change(syscall, before.get(syscall, NOTHING), after.get(syscall, NOTHING))
        for syscall in before.keys() | after.keys()
    ]
    return sorted(changes, key=lambda each: (-abs(each.calls), -abs(each.errors), -abs(each.time_ns), each.syscall))
