"""What a view is narrowed to, and the sums over it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from denet_tui.model import Counters, ProcessInfo, Snapshot, Syscall
from denet_tui.widgets.processes import ProcessKey, parents, process_key


class Sums(NamedTuple):
    """Counters per syscall, since the start and of the last interval."""

    counted: Mapping[Syscall, Counters]
    recent: Mapping[Syscall, Counters]


def subtree(processes: Sequence[ProcessInfo], root: ProcessKey) -> list[ProcessInfo]:
    """The process `root` and all its descendants, as far as they are in `processes`."""
    inside: set[int] = set()
    for index, parent in enumerate(parents(processes)):
        if parent in inside or process_key(processes[index]) == root:
            inside.add(index)
    return [processes[index] for index in sorted(inside)]


def sums(snapshot: Snapshot, root: ProcessKey | None) -> Sums:
    """The counters of everything (root None), or of one process and its descendants."""
    if root is None:
        return Sums(snapshot.syscalls, snapshot.recent)
    chosen = subtree(snapshot.processes, root)
    if len(chosen) == len(snapshot.processes) and not snapshot.forgotten and snapshot.exact:
        return Sums(snapshot.syscalls, snapshot.recent)
    return Sums(
        _added([process.syscalls for process in chosen]),
        _added([process.recent for process in chosen]),
    )


def _added(parts: Sequence[Mapping[Syscall, Counters]]) -> dict[Syscall, Counters]:
    total: dict[Syscall, Counters] = {}
    for part in parts:
        for syscall, counters in part.items():
            known = total.get(syscall)
            total[syscall] = counters if known is None else known.plus(counters)
    return total
