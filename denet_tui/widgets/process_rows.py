"""The rows of the process tree: a process, or all processes of one command name."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from denet_tui.model import InFlight, ProcessInfo, ProcessKey
from denet_tui.system.cgroup import short_name
from denet_tui.system.visible import visible
from denet_tui.widgets import formatting

Rates = Callable[[ProcessKey], Sequence[float]]
"""The last calls/s of a process, oldest first."""

Grouping = Literal["name", "cgroup"]

BLOCKED_NS = 1_000_000_000
"""A process is called blocked once a thread of it is longer than this inside one call."""


def parents(processes: Sequence[ProcessInfo]) -> list[int]:
    """For every process the place of its parent in `processes`, -1 where it is not among them."""
    newest: dict[int, int] = {}
    found: list[int] = []
    for index, process in enumerate(processes):
        # In the order of their start, so the newest one of that id so far is the one that forked.
        found.append(newest.get(process.ppid, -1))
        newest[process.pid] = index
    return found


def subtree(processes: Sequence[ProcessInfo], root: ProcessKey) -> list[ProcessInfo]:
    """The process `root` and all its descendants, as far as they are in `processes`."""
    inside: set[int] = set()
    for index, parent in enumerate(parents(processes)):
        if parent in inside or processes[index].key == root:
            inside.add(index)
    return [processes[index] for index in sorted(inside)]


class Blocked(NamedTuple):
    """The call that a process has been inside for longest."""

    name: str
    for_ns: int
    earlier: bool = False
    """Whether it is longer: it had begun before it was attached to."""


class ProcessRow(NamedTuple):
    """One process as it stands in the tree; `seconds` is the length of the interval that rates are of."""

    process: ProcessInfo
    seconds: float
    blocked: Blocked | None = None
    guide: str = ""
    folded: int = 0

    @property
    def key(self) -> ProcessKey:
        """What tells it from every other row."""
        return self.process.key

    @property
    def alive(self) -> bool:
        """False once it has ended."""
        return self.process.alive

    @property
    def name(self) -> str:
        """Its command line."""
        return formatting.command(self.process.cmdline, self.process.comm, cut=self.process.cut)

    @property
    def whole(self) -> str:
        """Its command line as a shell would take it, after its file where that is another."""
        process = self.process
        last = process.programs and process.programs.last
        file = f"({last.file}) " if last and last.file else ""
        return visible(file + (shlex.join(process.cmdline) or process.comm)) + "…" * process.cut

    @property
    def rate(self) -> float:
        """Calls/s of the last interval; 0.0 for one that has ended."""
        process = self.process
        return process.delta.calls / self.seconds if self.seconds and process.alive else 0.0

    @property
    def errors(self) -> float:
        """Failed calls/s of the last interval; 0.0 for one that has ended."""
        process = self.process
        return process.delta.errors / self.seconds if self.seconds and process.alive else 0.0

    @property
    def calls(self) -> int:
        """Calls in all."""
        return self.process.total.calls

    @property
    def failed(self) -> int:
        """Failed calls in all."""
        return self.process.total.errors

    @property
    def cpu(self) -> float:
        """CPU in percent of one core."""
        return self.process.usage.cpu_percent

    @property
    def rss(self) -> int:
        """Memory in use, in bytes."""
        return self.process.usage.rss_bytes

    @property
    def threads(self) -> int:
        """Threads that live."""
        return self.process.usage.threads


class GroupRow(NamedTuple):
    """All processes of one command name, or of one cgroup; numbers are sums over them."""

    group: str
    """The name or the path; empty where it is not known."""
    title: str
    members: list[ProcessInfo]
    living: int
    rate: float
    errors: float
    calls: int
    failed: int
    cpu: float
    rss: int
    threads: int
    blocked: Blocked | None

    @property
    def key(self) -> str:
        """What tells it from every other row."""
        return self.group

    @property
    def alive(self) -> bool:
        """True while one of them lives."""
        return self.living > 0

    @property
    def name(self) -> str:
        """The command name, or what the cgroup is called."""
        return visible(self.title)


def blocked(in_flight: Iterable[InFlight], now_ns: int) -> dict[int, Blocked]:
    """The longest call of every process that is inside one for longer than `BLOCKED_NS`, by tgid."""
    found: dict[int, Blocked] = {}
    for each in in_flight:
        for_ns = now_ns - each.since_ns
        if for_ns > BLOCKED_NS and (each.tgid not in found or for_ns > found[each.tgid].for_ns):
            found[each.tgid] = Blocked(each.syscall.name, for_ns, each.earlier)
    return found


def cgroups(processes: Sequence[ProcessInfo]) -> list[str]:
    """The cgroup of every process; of one that ended too soon for that to be seen, that of its parent, or empty."""
    found: list[str] = []
    for process, parent in zip(processes, parents(processes), strict=True):
        found.append(process.cgroup or (found[parent] if parent >= 0 else ""))
    return found


def _titles(paths: Iterable[str]) -> dict[str, str]:
    """What cgroups are called: as short as tells them apart."""
    short = {path: short_name(path) or "cgroup not known" for path in paths}
    many = Counter(short.values())
    return {path: path if many[name] > 1 else name for path, name in short.items()}


def groups_of(processes: Sequence[ProcessInfo], by: Grouping) -> list[str]:
    """The group of every process."""
    return cgroups(processes) if by == "cgroup" else [process.comm for process in processes]


def group_rows(
    processes: Sequence[ProcessInfo], seconds: float, waiting: Mapping[int, Blocked], by: Grouping
) -> list[GroupRow]:
    """One row for every group, in the order of these."""
    groups: dict[str, list[ProcessInfo]] = {}
    for process, name in zip(processes, groups_of(processes, by), strict=True):
        groups.setdefault(name, []).append(process)
    names = _titles(groups) if by == "cgroup" else dict(zip(groups, groups, strict=True))
    return [_group(name, names[name], groups[name], seconds, waiting) for name in sorted(groups)]


def _group(
    group: str, title: str, members: list[ProcessInfo], seconds: float, waiting: Mapping[int, Blocked]
) -> GroupRow:
    living = [process for process in members if process.alive]
    inside = [waiting[process.tgid] for process in living if process.tgid in waiting]
    usages = [process.usage for process in living]
    return GroupRow(
        group,
        title,
        members,
        len(living),
        # With those that lived for less than an interval, as most of a shell loop's do.
        sum(process.delta.calls for process in members) / seconds if seconds else 0.0,
        sum(process.delta.errors for process in members) / seconds if seconds else 0.0,
        sum(process.total.calls for process in members),
        sum(process.total.errors for process in members),
        sum(usage.cpu_percent for usage in usages),
        sum(usage.rss_bytes for usage in usages),
        sum(usage.threads for usage in usages),
        max(inside, key=lambda each: each.for_ns, default=None),
    )
