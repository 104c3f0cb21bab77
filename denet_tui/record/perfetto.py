"""A recording as Perfetto takes it: TrackEvents (https://perfetto.dev/docs/reference/synthetic-track-event)."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import count
from operator import itemgetter
from typing import Any, BinaryIO

from denet_tui.detail import Exec
from denet_tui.model import ProcessInfo, ProcessKey, RunInfo, Snapshot
from denet_tui.record.sink import RecordError
from denet_tui.record.text import ending
from denet_tui.syscalls import errno_name
from denet_tui.system.extras import needs
from denet_tui.system.visible import visible
from denet_tui.touched import SlowCall

LONG_NS = 10_000_000
"""A call that is in flight at the end of a tick is a slice from this length on."""
_CALLS, _REST = "system calls", "CPU and bytes"
_REALTIME, _BOOTTIME = 1, 6
"""Clocks (builtin_clock.proto); a packet that names none has BOOTTIME's."""


class Trace:
    """Writes what it is told, `finish` the rest; each of them may raise OSError."""

    def __init__(self, info: RunInfo, out: BinaryIO) -> None:
        """Raises RecordError where the package is not here."""
        try:
            from perfetto.protos.perfetto.trace import perfetto_trace_pb2
        except ImportError:
            raise RecordError(needs("--to perfetto", "perfetto>=0.16")) from None
        self._proto, self._out, self._ids = perfetto_trace_pb2, out, count(1)
        self._processes: dict[ProcessKey, int] = defaultdict(self._ids.__next__)
        """The track of each."""
        self._owners: dict[int, list[tuple[int, int]]] = defaultdict(list)
        """By pid: start and track."""
        self._groups: dict[str, int] = {}
        self._counters: dict[tuple[str, str], tuple[int, float]] = {}
        """Track and last value, by group and name."""
        self._threads: dict[tuple[ProcessKey, int], int] = {}
        self._inside: dict[tuple[int, int], tuple[ProcessInfo, str, int]] = {}
        """Calls in flight by thread and beginning: whose, which, and when it was seen last."""
        self._slow = set[SlowCall]()
        self._sizes: dict[str, int] = {}
        at = ((_BOOTTIME, info.start_ns), (_REALTIME, info.start_wall_ms * 1_000_000))
        clocks = [{"clock_id": clock, "timestamp": time_ns} for clock, time_ns in at]
        self._put(sequence_flags=1, clock_snapshot={"primary_trace_clock": _BOOTTIME, "clocks": clocks})

    def process(self, process: ProcessInfo) -> None:
        """One that has ended, or lives at the end: a slice for all of it, and one for each program that it ran."""
        track = self._processes[process.key]
        self._owners[process.pid].append((process.start_ns, track))
        about = {"pid": _id(process.pid), "process_name": visible(process.comm), "start_timestamp_ns": process.start_ns}
        self._track(track, process={**about, "cmdline": list(map(visible, process.cmdline))})
        self._begin(track, process.start_ns, process.comm, ppid=process.ppid, **ending(process.status))
        for executed, ran_ns in process.programs.ran(process.end_ns) if process.programs else ():
            self._executed(track, max(executed.at_ns, process.start_ns), executed, ran_ns)
        if process.end_ns is not None:
            self._end(track, max(process.end_ns, process.start_ns))

    def tick(self, snapshot: Snapshot) -> None:
        """Counters of its interval, and calls that have ended since the one before."""
        seconds, begun_ns = max(snapshot.interval_ns, 1) / 1e9, snapshot.time_ns - snapshot.interval_ns
        rates = dict.fromkeys((name for group, name in self._counters if group == _CALLS), 0.0)
        rates |= {call.name: each.calls / seconds for call, each in snapshot.recent.items()}
        for name, rate in rates.items():
            self._count(begun_ns, _CALLS, name, "calls/s", rate)
        self._count(begun_ns, _REST, "CPU", "%", snapshot.cpu_percent)
        for name, size in _sizes(snapshot):
            self._count(begun_ns, _REST, name, "B/s", (size - self._sizes.get(name, 0)) / seconds)
            self._sizes[name] = size
        if snapshot.detail.touched:
            self._slow.update(snapshot.detail.touched.slowest)
        living = {each.tgid: each for each in snapshot.processes if each.alive}
        before = self._inside
        self._inside = {
            (each.tid, each.since_ns): (living[each.tgid], each.syscall.name, snapshot.time_ns)
            for each in snapshot.in_flight
            if each.tgid in living
        }
        self._tell_long(before.keys() - self._inside.keys(), before)

    def finish(self, last: Snapshot) -> None:
        """What is known only now."""
        for track, _ in self._counters.values():
            self._event(track, last.time_ns, self._proto.TrackEvent.TYPE_COUNTER, double_counter_value=0.0)
        self._tell_long(self._inside, self._inside)
        for owners in self._owners.values():
            owners.sort()
        rows: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for slow in sorted(self._slow, key=lambda each: (each.at_ns, -each.time_ns)):
            owners = self._owners.get(slow.pid, [])
            at = bisect_right(owners, slow.at_ns, key=itemgetter(0))
            process = owners[at - 1][1] if at else 0
            self._slow_call(rows[process], process, slow)

    def _executed(self, track: int, at_ns: int, executed: Exec, ran_ns: int | None) -> None:
        name, words = executed.path or "exec", executed.argv and " ".join(executed.argv)
        told: dict[str, Any] = {"path": executed.path, "argv": words, "cwd": executed.cwd, "uid": executed.uid}
        if executed.errno:
            failed = f"{name}: {errno_name(executed.errno)}"
            self._event(track, at_ns, self._proto.TrackEvent.TYPE_INSTANT, failed, told)
            return
        self._begin(track, at_ns, name.rpartition("/")[2] or name, **told)
        if ran_ns is not None:
            self._end(track, max(executed.at_ns + ran_ns, at_ns))

    def _slow_call(self, rows: list[tuple[int, int]], process: int, slow: SlowCall) -> None:
        """Its thread is not known: it is put in the first of the process's rows that is free, by end and track."""
        row = next((place for place, (until_ns, _) in enumerate(rows) if until_ns <= slow.at_ns), len(rows))
        if row == len(rows):
            rows.append((0, next(self._ids)))
            self._track(rows[row][1], name="slowest calls", parent_uuid=process)
        track, end_ns = rows[row][1], slow.at_ns + slow.time_ns
        rows[row] = end_ns, track
        self._begin(track, slow.at_ns, slow.syscall, about=slow.about)
        self._end(track, end_ns)

    def _tell_long(
        self, over: Iterable[tuple[int, int]], inside: dict[tuple[int, int], tuple[ProcessInfo, str, int]]
    ) -> None:
        """Of those that are long enough, a slice up to when they were seen last: they ended within a tick of that."""
        for tid, since_ns in sorted(over):
            process, call, seen_ns = inside[tid, since_ns]
            if seen_ns - since_ns < LONG_NS:
                continue
            if (process.key, tid) not in self._threads:
                track = self._threads[process.key, tid] = next(self._ids)
                shown = process.pid if tid == process.tgid else tid
                self._track(track, thread={"pid": _id(process.pid), "tid": _id(shown)})
            track = self._threads[process.key, tid]
            self._begin(track, since_ns, call, seen="at the ends of ticks; it took no less than this")
            self._end(track, seen_ns)

    def _count(self, time_ns: int, group: str, name: str, unit: str, value: float) -> None:
        if (group, name) not in self._counters:
            if group not in self._groups:
                self._groups[group] = next(self._ids)
                self._track(self._groups[group], name=group)
            self._counters[group, name] = next(self._ids), 0.0
            self._track(
                self._counters[group, name][0],
                name=visible(name),
                parent_uuid=self._groups[group],
                counter={"unit_name": unit},
            )
        track, before = self._counters[group, name]
        if value != before:
            self._counters[group, name] = track, value
            self._event(track, time_ns, self._proto.TrackEvent.TYPE_COUNTER, double_counter_value=value)

    def _begin(self, track: int, time_ns: int, name: str, **told: object) -> None:
        self._event(track, time_ns, self._proto.TrackEvent.TYPE_SLICE_BEGIN, name, told)

    def _end(self, track: int, time_ns: int) -> None:
        self._event(track, time_ns, self._proto.TrackEvent.TYPE_SLICE_END)

    def _event(
        self, track: int, time_ns: int, kind: int, name: str = "", told: dict[str, Any] | None = None, **more: object
    ) -> None:
        notes = [
            {"name": key, "int_value" if isinstance(value, int) else "string_value": _text(value)}
            for key, value in (told or {}).items()
            if value is not None
        ]
        event = {"track_uuid": track, "type": kind, "debug_annotations": notes, **more}
        self._put(timestamp=time_ns, track_event={**event, "name": visible(name)} if name else event)

    def _track(self, track: int, **about: object) -> None:
        self._put(track_descriptor={"uuid": track, **about})

    def _put(self, **fields: object) -> None:
        packet = self._proto.TracePacket(trusted_packet_sequence_id=1, **fields)
        self._out.write(self._proto.Trace(packet=[packet]).SerializeToString())


def _id(number: int) -> int:
    """As the proto has room for it; a recording may say anything."""
    return min(number, (1 << 31) - 1)


def _text(value: object) -> object:
    return value if isinstance(value, int) else visible(str(value))


def _sizes(snapshot: Snapshot) -> Iterator[tuple[str, int]]:
    """What has been read and written since the start, as far as it is known."""
    used, touched = snapshot.accounts, snapshot.detail.touched
    if used.read_bytes is not None:
        yield "read from disks", used.read_bytes
    if used.write_bytes is not None:
        yield "written to disks", used.write_bytes
    if touched:
        yield "read by calls", sum(use.read_bytes for use in touched.files.values())
        yield "written by calls", sum(use.write_bytes for use in touched.files.values())
