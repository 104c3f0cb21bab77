"""A process and everything below it, and sums over several processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from denet_tui.model import Counters, Errnos, ErrorKey, ProcessInfo, ProcessKey, Syscall
from denet_tui.widgets.process_rows import parents


def subtree(processes: Sequence[ProcessInfo], root: ProcessKey) -> list[ProcessInfo]:
    """The process `root` and all its descendants, as far as they are in `processes`."""
    inside: set[int] = set()
    for index, parent in enumerate(parents(processes)):
        if parent in inside or processes[index].key == root:
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


def counted(tables: Iterable[Errnos]) -> Errnos:
    """The sums over the errnos of several processes."""
    total: Counter[ErrorKey] = Counter()
    for table in tables:
        if table:
            total.update(table)
    return total
