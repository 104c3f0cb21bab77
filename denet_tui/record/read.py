"""Recordings in: what a line means is known here, and nowhere else on this side.

A tick makes a Snapshot of the one before it. That holds all that it takes: any of them will do to go on from.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from operator import itemgetter
from types import MappingProxyType
from typing import Any

from denet_tui.counts import EMPTY, Counts, added
from denet_tui.detail import NO_USAGE, Detail, Exec, Gap, Programs, Time, Usage
from denet_tui.model import (
    BUCKETS,
    KEPT_ENDED,
    NOTHING,
    Errnos,
    InFlight,
    Loss,
    ProcessInfo,
    ProcessKey,
    RunInfo,
    Snapshot,
    Syscall,
    added_up,
)
from denet_tui.record import denet_lines, execs, files, times
from denet_tui.record.denet_lines import MOST, or_none, or_text, unix_ms, whole
from denet_tui.record.sink import RecordError
from denet_tui.record.tree import FORMAT
from denet_tui.syscalls import errno_number, named
from denet_tui.system.visible import visible

DAMAGE = (LookupError, TypeError, ValueError, AttributeError, OverflowError, struct.error)
"""What a line raises that is not what it should be."""

_SCALARS = itemgetter("calls", "returns", "errors", "unreturned", "time_ns")
_INSIDE = itemgetter("tid", "tgid", "syscall", "since_ns")
_PACKERS = [struct.Struct(f"<{size}Q").pack for size in range(5 + BUCKETS + 2)]
"""By the number of values of a row; behind its buckets stand calls of which nothing is known but their number."""

_PLACES = {name: at for at, name in enumerate(ProcessInfo._fields)}

Line = dict[str, Any]


class UnreadableError(RecordError):
    """Something is no recording, or not from here on; the text is one line that says why."""


def first_snapshot(info: RunInfo) -> Snapshot:
    """Before the first tick."""
    nothing: Mapping[Any, Any] = MappingProxyType({})
    return Snapshot(info.start_ns, info.start_wall_ms, 0, 0, nothing, nothing, nothing, (), NOTHING, NOTHING)


def run_info(line: Line) -> RunInfo:
    """What the first line says about the run; raises UnreadableError."""
    if denet_lines.kind(line) is None:
        raise UnreadableError("it is no recording of denet-tui or denet: its first line is something else")
    ours = line.get("denet_tui")
    written_as = ours.get("format") if isinstance(ours, dict) else None
    if isinstance(written_as, int) and written_as > FORMAT:
        raise UnreadableError(
            f"a newer denet-tui wrote it (format {written_as}; this one reads {FORMAT}): update denet-tui"
        )
    try:
        if not isinstance(ours, dict):
            return denet_lines.run_info(line)
        return RunInfo(
            argv=tuple(map(str, line["cmd"])),
            executable=str(line["executable"]),
            pid=whole(line["pid"]),
            method=str(ours["way"]),
            user=str(ours["user"]),
            interval_s=whole(ours["interval_ms"]) / 1000,
            start_wall_ms=unix_ms(line["t0_ms"]),
            start_ns=whole(ours["start_ns"]),
            notes=tuple(map(str, ours["notes"])),
            cpus=or_none(ours.get("cpus")),
        )
    except DAMAGE:
        raise UnreadableError("its first line is damaged") from None


def damage(problem: Exception) -> str:
    """What is wrong with a line that has raised one of DAMAGE, in words."""
    if isinstance(problem, KeyError):
        return f"the field {visible(str(problem.args[0]))[:40]} is missing"
    if isinstance(problem, TypeError | AttributeError):
        return "a field is of a wrong kind"
    if isinstance(problem, IndexError | struct.error):
        return "a list has too many or too few values, or one that there cannot be"
    if isinstance(problem, LookupError):
        return str(problem)
    return "a field has a value that there cannot be"


def advance(info: RunInfo, before: Snapshot, events: Iterable[Line], tree: Line) -> Snapshot:
    """The snapshot of a `tree` line; `events` are the lines between it and the one before. Raises UnreadableError."""
    try:
        if "denet_tui" not in tree:
            return denet_lines.advance(info, before, events, tree)
        return _Advance(info, before).snapshot(events, tree)
    except DAMAGE as problem:
        raise UnreadableError(f"it is damaged: {damage(problem)}") from None


@dataclass(slots=True)
class _Advance:
    """Takes one tick in; `living` and `over` are the processes as far as they have come."""

    info: RunInfo
    before: Snapshot
    living: dict[int, ProcessInfo] = field(default_factory=dict)
    """By pid."""
    over: list[ProcessInfo] = field(default_factory=list)
    """In the order of their ends."""
    final: set[ProcessKey] = field(default_factory=set)
    """Those of them whose last calls the tick before had: one that ended after its cut has more in this."""

    def snapshot(self, events: Iterable[Line], tree: Line) -> Snapshot:
        ours, before = tree["denet_tui"], self.before
        self._begin()
        happened = list[Line]()
        for event in events:
            if event.get("kind") == "process":
                happened.append(event)
            elif event.get("kind") == "more":
                _join(ours, event["denet_tui"])
        for event in sorted(happened, key=lambda each: whole(each["time_ns"])):
            self._take(event)
        usages = self._usages(tree)
        told = None if ours.get("execs") is None else tuple(map(execs.of_item, ours["execs"]))
        self._bring_up(usages, _News.of(ours, told, self.info.pid))
        recent, new = rows_of(ours["syscalls"])
        delta, time_ns, interval_ns = added_up(recent.values()), whole(ours["time_ns"]), whole(ours["interval_ns"])
        ended = [each for each in self.over if each.key not in self.final and (each.end_ns or 0) <= time_ns]
        return Snapshot(
            time_ns=time_ns,
            wall_ms=unix_ms(ours["wall_ms"]),
            elapsed_ns=whole(ours["elapsed_ns"]),
            interval_ns=interval_ns,
            syscalls=added((before.syscalls, recent)),
            recent=recent,
            errnos=_more(before.errnos, new),
            processes=tuple(sorted([*self.over[-KEPT_ENDED:], *self.living.values()], key=lambda each: each.start_ns)),
            total=before.total.plus(delta),
            delta=delta,
            loss=loss_of(ours["loss"]),
            in_flight=tuple(map(_in_flight, ours["in_flight"])),
            ended=tuple(ended),
            forgotten=before.forgotten + max(0, len(self.over) - KEPT_ENDED),
            running=bool(ours["running"]),
            status=status_of(ours["status"]),
            accounts=denet_lines.accounts(ours["accounts"]),
            cpu_percent=denet_lines.usage(tree["aggregated"]).cpu_percent,
            asleep_ns=whole(ours["asleep_ns"], -MOST),
            set_ns=whole(ours["wall_clock_set_ns"], -MOST),
            detail=self._detail(ours, told, whole(tree.get("left_out", 0)), whole(time_ns - interval_ns)),
        )

    def _detail(self, ours: Line, told: tuple[Exec, ...] | None, left_out: int, begun_ns: int) -> Detail:
        before = self.before.detail
        if begun_ns != self.before.time_ns and not left_out:
            from_ns = self.before.elapsed_ns
            before = before.with_gap(Gap("ticks are missing", from_ns, from_ns + begun_ns - self.before.time_ns))
        return Detail(
            told,
            _turned_away(ours),
            times.taken(ours.get("time")),
            files.taken(ours.get("touched"), before.touched),
            tuple(map(str, ours.get("notes", ()))),
            before.left_out + left_out,
            self.info.cpus,
            before.gaps,
        )

    def _begin(self) -> None:
        """From where the tick before left them."""
        for process in self.before.processes:
            if process.alive:
                self.living[process.pid] = process
            else:
                self.over.append(process)
                if process.lost or (process.end_ns or 0) <= self.before.time_ns:
                    self.final.add(process.key)
        self.over.sort(key=lambda each: each.end_ns or 0)

    def _take(self, event: Line) -> None:
        """A fork, an exec or an exit."""
        pid, time_ns, what = whole(event["pid"]), whole(event["time_ns"]), event["event"]
        known = self.living.get(pid)
        if what == "exit":
            if known is not None and known.start_ns < time_ns:
                self._end(known, end_ns=time_ns, status=_status(event), usage=denet_lines.ended_usage(event))
            return
        if what == "fork" or known is None:
            if known is not None:
                self._end(known, end_ns=time_ns)
            # The command itself forked before it was watched.
            start_ns = time_ns if what == "fork" else whole(event.get("start_ns", min(time_ns, self.info.start_ns)))
            known = ProcessInfo(whole(event["tgid"]), pid, whole(event["ppid"]), "", (), start_ns)
        executed: Line = {"execs": whole(event["execs"]), "exec_ns": time_ns} if what == "exec" else {}
        self.living[pid] = known._replace(
            comm=str(event["comm"]),
            cmdline=tuple(map(str, event.get("cmdline", known.cmdline))),
            cut=bool(event.get("cmdline_cut")),
            cgroup=or_text(event.get("cgroup")) or known.cgroup,
            **executed,
        )

    def _end(self, process: ProcessInfo, usage: Usage = NO_USAGE, **how: Any) -> None:
        del self.living[process.pid]
        self.over.append(process._replace(usage=usage, **how))

    def _usages(self, tree: Line) -> dict[int, Usage]:
        """What the living use; of one that is not listed the kernel side has lost the record."""
        metrics = {whole(child["pid"]): child["metrics"] for child in tree["children"]}
        if tree["parent"] is not None:
            metrics[self.info.pid] = tree["parent"]
        for process in [each for pid, each in self.living.items() if pid not in metrics]:
            self._end(process, lost=True)
        return {pid: denet_lines.usage(metrics[pid]) for pid in self.living}

    def _bring_up(self, usages: Mapping[int, Usage], news: _News) -> None:
        """All processes to this tick. A row may be of one that has just ended: the first one of that pid."""
        for place, process in enumerate(self.over):
            if process.key in self.final:
                if process.delta is not NOTHING:
                    self.over[place] = process._replace(recent=EMPTY, delta=NOTHING)
            else:
                self.over[place] = news.to(process, process.usage)
        for pid, process in self.living.items():
            self.living[pid] = news.to(process, usages[pid])
        if news.tables:
            raise LookupError("it has calls of a process that there is not")


def _join(ours: Line, more: Line) -> None:
    """What has found no room in the line of the tick."""
    ours["processes"].update(more.get("processes", ()))
    for name, items in more.get("touched", {}).items():
        ours["touched"][name].extend(items)


@dataclass(slots=True)
class _News:
    """What a tick has of the processes, by pid, or by `pid@start_ns` where that id had two owners."""

    tables: dict[str, Any]
    """What each has called; taken out as they are met."""
    times: Mapping[str, Time | None]
    rested_ns: int | None
    """For how long all threads of those not in `times` were blocked; None in older recordings, which name all."""
    execs: Mapping[int, Iterable[Exec]] | None
    """By tgid; None if that is not watched."""
    command: int
    """Its pid."""

    @classmethod
    def of(cls, ours: Line, told: Iterable[Exec] | None, command: int) -> _News:
        """From a tick; older recordings have only the tables."""
        mine: dict[int, list[Exec]] | None = None if told is None else {}
        for executed in told or ():
            assert mine is not None  # noqa: S101 - as `told` is not
            mine.setdefault(executed.tgid, []).append(executed)
        spent = {name: times.taken(numbers) for name, numbers in ours.get("times", {}).items()}
        return cls(dict(ours["processes"]), spent, or_none(ours.get("rested_ns")), mine, command)

    def to(self, process: ProcessInfo, usage: Usage) -> ProcessInfo:
        """The process as it is now."""
        names = f"{process.pid}@{process.start_ns}", f"{process.pid}"
        table = next((self.tables.pop(name) for name in names if name in self.tables), None)
        changes: dict[str, Any] = {}
        if table is not None:
            recent, new = rows_of(table)
            delta = recent.sum()
            so_far = process.syscalls if isinstance(process.syscalls, Counts) else EMPTY
            changes |= {"syscalls": so_far.plus(recent), "recent": recent}
            changes |= {"total": process.total.plus(delta), "delta": delta, "errnos": _more(process.errnos, new)}
        elif process.delta is not NOTHING:
            changes |= {"recent": EMPTY, "delta": NOTHING}
        if (time := self._time_of(process, names, usage.threads)) is not process.time:
            changes["time"] = time
        if self.execs is not None:
            changes["programs"] = _executed(process, self.execs, self.command)
        return _changed(process, usage=usage, **changes) if changes or usage != process.usage else process

    def _time_of(self, process: ProcessInfo, names: Iterable[str], threads: int) -> Time | None:
        if told := next((name for name in names if name in self.times), None):
            return self.times[told]
        if self.rested_ns is None:
            return None if self.times else process.time
        if self.rested_ns and process.time and process.alive:
            return times.rested(process.time, self.rested_ns, threads)
        return process.time


def _changed(process: ProcessInfo, **changes: Any) -> ProcessInfo:
    """As `_replace`, which takes twice as long: there are hundreds a tick."""
    values = list[Any](process)
    for name, value in changes.items():
        values[_PLACES[name]] = value
    return ProcessInfo._make(values)


def _turned_away(ours: Line) -> dict[str, int]:
    return {str(name): whole(count) for name, count in ours.get("turned_away", {}).items()}


def _executed(process: ProcessInfo, told: Mapping[int, Iterable[Exec]], command: int) -> Programs:
    """With what it has executed in this tick; the command has tried to before it began."""
    programs = process.programs or Programs()
    for executed in told.get(process.tgid, ()):
        begun = process.pid == command or process.start_ns <= executed.at_ns
        if begun and (process.end_ns or executed.at_ns) >= executed.at_ns:
            programs = programs.plus(executed)
    return programs


def rows_of(table: Mapping[str, Any]) -> tuple[Counts, dict[tuple[Syscall, int], int]]:
    """What was counted by syscall, and how often it failed with which errno."""
    lanes, errnos = [], dict[tuple[Syscall, int], int]()
    for name, row in table.items():
        values = (*_SCALARS(row), *row["buckets"])
        lanes.append(int.from_bytes(_PACKERS[len(values)](*values), "little"))
        if "errnos" in row:
            for word, count in row["errnos"].items():
                errnos[named(name), errno_number(word)] = whole(count)
    return Counts(_calls(*table), lanes, [whole(row["max_ns"]) for row in table.values()]), errnos


def counts_of(line: Line) -> tuple[Counts, dict[tuple[Syscall, int], int]]:
    """The same of a keyframe, where a row is a list (text.lists)."""
    table = line["syscalls"]
    if any(isinstance(row, dict) for row in table.values()):  # of an older denet-tui
        return rows_of(table)
    lanes, peaks = [], []
    for *numbers, max_ns, buckets in table.values():
        values = (*numbers, *buckets)
        lanes.append(int.from_bytes(_PACKERS[len(values)](*values), "little"))
        peaks.append(whole(max_ns))
    errnos = {(named(str(name)), whole(number)): whole(count) for name, number, count in line.get("errnos", ())}
    return Counts(_calls(*table), lanes, peaks), errnos


@lru_cache(4096)
def _calls(*names: str) -> list[Syscall]:
    """The same list for the same names: most tables of a process have those of the one before, and add up faster."""
    return list(map(named, names))


def _more(before: Errnos, new: Errnos) -> Errnos:
    if not new:
        return before  # most have none, and share what they had
    return {**before, **{key: before.get(key, 0) + count for key, count in new.items()}}


def _in_flight(call: Line) -> InFlight:
    return _inside(*_INSIDE(call), call.get("about"), call.get("earlier"))


@lru_cache(4096, typed=True)
def _inside(tid: object, tgid: object, call: object, since_ns: object, about: object, earlier: object) -> InFlight:
    """Most threads are in the same call as a tick ago."""
    return InFlight(whole(tid), whole(tgid), named(str(call)), whole(since_ns), or_text(about), bool(earlier))


def loss_of(counts: Line) -> Loss:
    """What could not be counted."""
    return Loss(*(or_none(counts.get(name, 0)) for name in Loss._fields))  # type: ignore[arg-type]


def _status(event: Line) -> int | None:
    """A wait status, of which only the core dump is not in the line."""
    if event["signal"] is not None:
        return status_of(event["signal"])
    return None if event["exit_code"] is None else status_of(whole(event["exit_code"]) << 8)


def status_of(value: object) -> int | None:
    """A wait status that there can be; raises ValueError for another."""
    if value is not None:
        os.waitstatus_to_exitcode(whole(value))
    return or_none(value)
