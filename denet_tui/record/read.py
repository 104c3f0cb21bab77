"""Recordings in: what a line means is known here, and nowhere else on this side.

A tick makes a Snapshot of the one before it. That holds all that it takes: any of them will do to go on from.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from denet_tui.counts import EMPTY, Counts, added, counted
from denet_tui.detail import Detail, Exec, Programs
from denet_tui.model import (
    KEPT_ENDED,
    NO_USAGE,
    NOTHING,
    Accounts,
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
from denet_tui.record import denet_lines, execs, times
from denet_tui.record.denet_lines import MOST, whole
from denet_tui.record.sink import RecordError
from denet_tui.record.tree import FORMAT
from denet_tui.syscalls import errno_number, named

_DAMAGE = (LookupError, TypeError, ValueError, AttributeError, OverflowError, struct.error)
"""What a line raises that is not what it should be."""

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
            start_wall_ms=whole(line["t0_ms"]),
            start_ns=whole(ours["start_ns"]),
            notes=tuple(map(str, ours["notes"])),
        )
    except _DAMAGE:
        raise UnreadableError("its first line is damaged") from None


def advance(info: RunInfo, before: Snapshot, events: Iterable[Line], tree: Line) -> Snapshot:
    """The snapshot of a `tree` line; `events` are the lines between it and the one before. Raises UnreadableError."""
    try:
        if "denet_tui" not in tree:
            return denet_lines.advance(info, before, events, tree)
        return _Advance(info, before).snapshot(events, tree)
    except _DAMAGE as problem:
        raise UnreadableError(f"it is damaged ({type(problem).__name__})") from None


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
        happened = [event for event in events if event.get("kind") == "process"]
        for event in sorted(happened, key=lambda each: whole(each["time_ns"])):
            self._take(event)
        self._use(tree)
        left_out = before.detail.left_out + whole(tree.get("left_out", 0))
        detail = self._detail(ours)._replace(left_out=left_out, notes=_notes(ours, left_out))
        self._count(ours["processes"])
        recent, new = _rows(ours["syscalls"])
        delta, time_ns, interval_ns = added_up(recent.values()), whole(ours["time_ns"]), whole(ours["interval_ns"])
        ended = [each for each in self.over if each.key not in self.final and (each.end_ns or 0) <= time_ns]
        return Snapshot(
            time_ns=time_ns,
            wall_ms=whole(ours["wall_ms"]),
            elapsed_ns=whole(ours["elapsed_ns"]),
            interval_ns=interval_ns,
            syscalls=added((before.syscalls, recent)),
            recent=recent,
            errnos=_more(before.errnos, new),
            processes=tuple(sorted([*self.over[-KEPT_ENDED:], *self.living.values()], key=lambda each: each.start_ns)),
            total=before.total.plus(delta),
            delta=delta,
            loss=self._loss(ours["loss"], time_ns - interval_ns),
            in_flight=tuple(map(_in_flight, ours["in_flight"])),
            ended=tuple(ended),
            forgotten=before.forgotten + max(0, len(self.over) - KEPT_ENDED),
            running=bool(ours["running"]),
            status=_status_of(ours["status"]),
            accounts=Accounts(*(_or_none(ours["accounts"][name]) for name in Accounts._fields)),
            cpu_percent=denet_lines.usage(tree["aggregated"]).cpu_percent,
            asleep_ns=whole(ours["asleep_ns"], -MOST),
            set_ns=whole(ours["wall_clock_set_ns"], -MOST),
            detail=detail,
        )

    def _loss(self, counts: Line, begun_ns: int) -> Loss:
        loss = Loss(*(_or_none(counts.get(name, 0)) for name in Loss._fields))  # type: ignore[arg-type]
        if begun_ns != self.before.time_ns or self.before.loss.missed is None:
            return loss._replace(missed=None)  # ticks are not there, or were not: what they had is not known
        return loss

    def _begin(self) -> None:
        """From where the tick before left them."""
        for process in self.before.processes:
            resting = process if process.delta is NOTHING else replace(process, recent=EMPTY, delta=NOTHING)
            if process.alive:
                self.living[process.pid] = resting
            else:
                self.over.append(resting)
                if process.lost or (process.end_ns or 0) <= self.before.time_ns:
                    self.final.add(process.key)
        self.over.sort(key=lambda each: each.end_ns or 0)

    def _take(self, event: Line) -> None:
        """A fork, an exec or an exit."""
        pid, time_ns, what = whole(event["pid"]), whole(event["time_ns"]), event["event"]
        known = self.living.get(pid)
        if what == "exit":
            if known is not None and known.start_ns < time_ns:
                self._end(known, end_ns=time_ns, status=_status(event))
            return
        if what == "fork" or known is None:
            if known is not None:
                self._end(known, end_ns=time_ns)
            # The command itself forked before anybody watched.
            start_ns = time_ns if what == "fork" else whole(event.get("start_ns", min(time_ns, self.info.start_ns)))
            known = ProcessInfo(whole(event["tgid"]), pid, whole(event["ppid"]), "", (), start_ns)
        words = tuple(map(str, event.get("cmdline", known.cmdline)))
        known = replace(known, comm=str(event["comm"]), cmdline=words, cut=bool(event.get("cmdline_cut")))
        self.living[pid] = replace(known, execs=whole(event["execs"]), exec_ns=time_ns) if what == "exec" else known

    def _end(self, process: ProcessInfo, **how: Any) -> None:
        del self.living[process.pid]
        self.over.append(replace(process, usage=NO_USAGE, **how))

    def _detail(self, ours: Line) -> Detail:
        """What there is besides the calls; older recordings have none of it."""
        spent = {name: times.taken(numbers) for name, numbers in ours.get("times", {}).items()}
        if spent:
            for place, each in enumerate(self.over):
                if each.key not in self.final:
                    time = spent.get(f"{each.pid}@{each.start_ns}") or spent.get(f"{each.pid}")
                    self.over[place] = replace(each, time=time)
            for pid, process in self.living.items():
                self.living[pid] = replace(process, time=spent.get(f"{pid}"))
        turned_away = {str(name): whole(count) for name, count in ours.get("turned_away", {}).items()}
        if ours.get("execs") is None:
            return Detail(None, turned_away, times.taken(ours.get("time")))
        told = tuple(map(execs.of_item, ours["execs"]))
        mine: dict[int, list[Exec]] = {}
        for executed in told:
            mine.setdefault(executed.tgid, []).append(executed)
        for place, process in enumerate(self.over):
            self.over[place] = _executing(process, mine, self.info.pid)
        for pid, process in self.living.items():
            self.living[pid] = _executing(process, mine, self.info.pid)
        return Detail(told, turned_away, times.taken(ours.get("time")))

    def _use(self, tree: Line) -> None:
        """What the living use; of one that is not listed the kernel side has lost the record."""
        metrics = {whole(child["pid"]): child["metrics"] for child in tree["children"]}
        if tree["parent"] is not None:
            metrics[self.info.pid] = tree["parent"]
        for pid, process in list(self.living.items()):
            if pid in metrics:
                self.living[pid] = replace(process, usage=denet_lines.usage(metrics[pid]))
            else:
                self._end(process, lost=True)

    def _count(self, tables: Mapping[str, Any]) -> None:
        """What each has called. A row may be of one that has just ended: the first one of that pid."""
        for name, table in tables.items():
            pid, at, start = name.partition("@")
            number = int(pid)
            over = [
                place
                for place, each in enumerate(self.over)
                if each.pid == number and each.key not in self.final and (not at or each.start_ns == int(start))
            ]
            recent, new = _rows(table)
            if over:
                self.over[over[0]] = _counted(self.over[over[0]], recent, new)
            else:
                self.living[number] = _counted(self.living[number], recent, new)


def _notes(ours: Line, left_out: int) -> tuple[str, ...]:
    """What has come up in the run, and in its recording."""
    lacking = (f"{left_out:,} ticks are not in the recording: its reader was too slow for them",) if left_out else ()
    return (*map(str, ours.get("notes", ())), *lacking)


def _executing(process: ProcessInfo, told: Mapping[int, Iterable[Exec]], command: int) -> ProcessInfo:
    """With what it has executed in this tick; the command has tried to before it began."""
    programs = process.programs or Programs()
    for executed in told.get(process.tgid, ()):
        begun = process.pid == command or process.start_ns <= executed.at_ns
        if begun and (process.end_ns or executed.at_ns) >= executed.at_ns:
            programs = programs.plus(executed)
    return process if programs is process.programs else replace(process, programs=programs)


def _rows(table: Mapping[str, Any]) -> tuple[Counts, dict[tuple[Syscall, int], int]]:
    calls, lanes, peaks, errnos = [], [], [], {}
    for name, row in table.items():
        call, buckets = named(name), row["buckets"]
        values = (row["calls"], row["returns"], row["errors"], row["unreturned"], row["time_ns"], *buckets)
        calls.append(call)
        lanes.append(int.from_bytes(struct.pack(f"<{len(values)}Q", *values), "little"))
        peaks.append(whole(row["max_ns"]))
        for word, count in row.get("errnos", {}).items():
            errnos[call, errno_number(word)] = whole(count)
    return Counts(calls, lanes, peaks), errnos


def _counted(process: ProcessInfo, recent: Counts, new: Mapping[tuple[Syscall, int], int]) -> ProcessInfo:
    delta = recent.sum()
    so_far = process.syscalls if isinstance(process.syscalls, Counts) else EMPTY
    return replace(
        process,
        total=process.total.plus(delta),
        delta=delta,
        syscalls=so_far.plus(recent),
        recent=recent,
        errnos=_more(process.errnos, new),
    )


def _more(before: Errnos, new: Errnos) -> Errnos:
    return counted((before, new)) if new else before  # most have none, and share what they had


def _in_flight(call: Line) -> InFlight:
    return InFlight(whole(call["tid"]), whole(call["tgid"]), named(str(call["syscall"])), whole(call["since_ns"]))


def _status(event: Line) -> int | None:
    """A wait status, of which only the core dump is not in the line."""
    if event["signal"] is not None:
        return _status_of(event["signal"])
    return None if event["exit_code"] is None else _status_of(whole(event["exit_code"]) << 8)


def _status_of(value: object) -> int | None:
    """A wait status that there can be; raises ValueError for another."""
    if value is not None:
        os.waitstatus_to_exitcode(whole(value))
    return _or_none(value)


def _or_none(value: object) -> int | None:
    return None if value is None else whole(value)
