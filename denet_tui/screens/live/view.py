"""What the user has chosen to see, and what a Snapshot looks like through that choice. Pure: no widget, no clock.

Narrowing is a change of the Snapshot, not of the widgets: whatever is drawn from the outcome follows by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from denet_tui.counts import added, counted, new_errnos
from denet_tui.model import NOTHING, Counters, Errnos, ProcessInfo, Snapshot, Syscall, added_up
from denet_tui.widgets.narrowing import Narrowing
from denet_tui.widgets.process_rows import parents


@dataclass(frozen=True, slots=True)
class View:
    """The choices of the user; the newest narrowing is the last in `trail`."""

    trail: tuple[Narrowing, ...] = ()
    paused: bool = False
    cumulative: bool = True
    """False: the numbers of the last interval in place of those since the start."""

    def narrowed(self, *steps: Narrowing) -> View:
        """Narrower by so many steps; a step of a kind that is there already takes its place."""
        trail = list(self.trail)
        for step in steps:
            kinds = [type(each) for each in trail]
            if type(step) in kinds:
                trail[kinds.index(type(step))] = step
            else:
                trail.append(step)
        return replace(self, trail=tuple(trail))

    def widened(self) -> View:
        """One step wider."""
        return replace(self, trail=self.trail[:-1])

    def inside(self, processes: Sequence[ProcessInfo]) -> Sequence[ProcessInfo]:
        """Those that the view is narrowed to, whatever they call."""
        for step in self.trail:
            processes = step.inside(processes)
        return processes

    @property
    def of_processes(self) -> bool:
        """Whether the view is narrowed to some of the processes."""
        return any(step.of == "processes" for step in self.trail)

    @property
    def of_syscalls(self) -> bool:
        """Whether the view is narrowed to some of the syscalls."""
        return any(step.of != "processes" for step in self.trail)

    @property
    def of_errors(self) -> bool:
        """Whether the view is narrowed to some of the errors."""
        return any(step.of == "errors" for step in self.trail)

    def wants(self, syscall: Syscall, errno: int | None = None) -> bool:
        """Whether the view is not narrowed to other syscalls, or to other errors than this one."""
        return all(step.matches(syscall, errno) for step in self.trail)


def crumbs(view: View) -> list[str]:
    """What the view is narrowed to, step by step: `all`, `make (1234)`, `%file`, `ENOENT`."""
    return ["all", *(step.label for step in view.trail)]


def seen_through(view: View, snapshot: Snapshot, before: Snapshot | None = None) -> Snapshot:
    """The snapshot as `view` shows it: only what it is narrowed to, and of the last interval where it says so.

    `before` is the snapshot before this one: errnos are only counted since the start.
    Under an errno, `errors` counts this errno alone, and only syscalls and processes that it came from are left.
    """
    if not view.cumulative:
        snapshot = _of_interval(snapshot, before)
    return _narrowed(view, snapshot) if view.trail else snapshot


Table = Mapping[Syscall, Counters]


class _Numbers(NamedTuple):
    """The tables that a Snapshot and a ProcessInfo have in common."""

    syscalls: Table
    recent: Table
    errnos: Errnos


def _narrowed(view: View, snapshot: Snapshot) -> Snapshot:
    inside = view.inside(snapshot.processes)
    whole = _Numbers(snapshot.syscalls, snapshot.recent, snapshot.errnos)
    if len(inside) < len(snapshot.processes) or (view.of_processes and (snapshot.forgotten or not snapshot.exact)):
        whole = _Numbers(
            added(process.syscalls for process in inside),
            added(process.recent for process in inside),
            counted(process.errnos for process in inside),
        )
    if view.of_syscalls:
        whole = _chosen(view, whole)
        inside = _that_called([_only(view, process) for process in inside])
    tgids = {process.tgid for process in inside}
    return snapshot._replace(
        processes=tuple(inside),
        forgotten=0 if view.of_processes else snapshot.forgotten,
        syscalls=whole.syscalls,
        recent=whole.recent,
        errnos=whole.errnos,
        total=added_up(whole.syscalls.values()),
        delta=added_up(whole.recent.values()),
        in_flight=tuple(each for each in snapshot.in_flight if each.tgid in tgids and view.wants(each.syscall)),
    )


def _only(view: View, process: ProcessInfo) -> ProcessInfo:
    kept = _chosen(view, _Numbers(process.syscalls, process.recent, process.errnos))
    return process._replace(
        **kept._asdict(), total=added_up(kept.syscalls.values()), delta=added_up(kept.recent.values())
    )


def _chosen(view: View, numbers: _Numbers) -> _Numbers:
    errnos = {key: count for key, count in numbers.errnos.items() if count and view.wants(*key)}
    if not view.of_errors:
        syscalls = {call: counters for call, counters in numbers.syscalls.items() if view.wants(call)}
    else:
        syscalls = {
            call: _with_errors(numbers.syscalls.get(call, NOTHING), count) for (call, _), count in errnos.items()
        }
    return _Numbers(syscalls, {call: counters for call, counters in numbers.recent.items() if call in syscalls}, errnos)


def _with_errors(counters: Counters, errors: int) -> Counters:
    return Counters(
        counters.calls,
        counters.returns,
        errors,
        counters.unreturned,
        counters.time_ns,
        counters.max_ns,
        counters.buckets,
    )


def _that_called(processes: Sequence[ProcessInfo]) -> list[ProcessInfo]:
    """Those with calls, and whatever stands above them in the tree."""
    above = parents(processes)
    kept: set[int] = set()
    for index in range(len(processes) - 1, -1, -1):  # children come after their parents
        if index in kept or processes[index].total.calls:
            kept.add(index)
            kept.add(above[index])
    return [process for index, process in enumerate(processes) if index in kept]


def _of_interval(snapshot: Snapshot, before: Snapshot | None) -> Snapshot:
    known = {process.key: process.errnos for process in before.processes} if before else {}
    return snapshot._replace(
        elapsed_ns=snapshot.interval_ns,
        # Those that were not called stay, as 0: rows that come and go could not be read.
        syscalls={call: snapshot.recent.get(call, NOTHING) for call in snapshot.syscalls},
        total=snapshot.delta,
        errnos=new_errnos(snapshot.errnos, before.errnos if before else {}),
        processes=tuple(
            process._replace(
                syscalls=process.recent,
                total=process.delta,
                errnos=new_errnos(process.errnos, known.get(process.key, {})),
            )
            for process in snapshot.processes
        ),
    )
