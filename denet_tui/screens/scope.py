"""A process and everything below it, and sums over several processes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from denet_tui.model import Counters, ProcessInfo, Syscall
from denet_tui.widgets.processes import ProcessKey, parents, process_key


def subtree(processes: Sequence[ProcessInfo], root: ProcessKey) -> list[ProcessInfo]:
    """The process `root` and all its descendants, as far as they are in `processes`."""
    inside: set[int] = set()
    for index, parent in enumerate(parents(processes)):
        if parent in inside or process_key(processes[index]) == root:
            inside.add(index)
    return [processes[index] for index in sorted(inside)]


def added(tables: Iterable[Mapping[Syscall, Counters]]) -> dict[Syscall, Counters]:
    """The sums over several tables."""
    total: dict[Syscall, Counters] = {}
    for table in tables:
        for syscall, counters in table.items():
            known = total.get(syscall)
            total[syscall] = counters if known is None else known.plus(counters)
    return total
