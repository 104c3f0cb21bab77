"""Sums over several processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from denet_tui.model import Counters, Errnos, ErrorKey, Syscall


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
