"""A trace as Perfetto's rules have it: tracks before their events, slices one in the other, values over time."""

from __future__ import annotations

import io
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as proto

from denet_tui.detail import Detail, Exec, Programs
from denet_tui.model import InFlight, Snapshot
from denet_tui.record.perfetto import Trace
from denet_tui.record.sink import RecordError
from denet_tui.touched import File, SlowCall, Touched, Use
from tests.record.made import EXITED_3, INFO, OPENAT, READ, START_MS, START_NS, WRITE, counted, idle, process, snapshot
from tests.record.test_read import chained, recorded
from tests.watch.helpers import DENET


class Slice(NamedTuple):
    name: str
    start_ms: float
    end_ms: float | None
    depth: int
    notes: dict[str, Any]


class Read:
    """What Perfetto makes of it (track_event_tokenizer.cc): events by time, those of one time as they stand there."""

    def __init__(self, raw: bytes) -> None:
        self.tracks: dict[int, Any] = {}
        self.slices: dict[int, list[Slice]] = defaultdict(list)
        self.values: dict[int, list[tuple[float, float]]] = defaultdict(list)
        open_ones: dict[int, list[int]] = defaultdict(list)
        events = []
        for packet in proto.Trace.FromString(raw).packet:
            assert packet.trusted_packet_sequence_id
            if packet.HasField("clock_snapshot"):
                self.clocks = {each.clock_id: each.timestamp for each in packet.clock_snapshot.clocks}
            elif packet.HasField("track_descriptor"):
                about = packet.track_descriptor
                assert about.uuid not in self.tracks
                assert about.parent_uuid in (0, *self.tracks)
                self.tracks[about.uuid] = about
            else:
                events.append(packet)
        for packet in sorted(events, key=lambda each: each.timestamp):
            event, at_ms = packet.track_event, (packet.timestamp - START_NS) / 1e6
            track, kind = event.track_uuid, event.type
            assert track in self.tracks
            assert self.tracks[track].HasField("counter") == (kind == event.TYPE_COUNTER)
            if kind == event.TYPE_COUNTER:
                self.values[track].append((at_ms, event.double_counter_value))
            elif kind == event.TYPE_SLICE_END:
                at = open_ones[track].pop()
                self.slices[track][at] = self.slices[track][at]._replace(end_ms=at_ms)
            else:
                end_ms = at_ms if kind == event.TYPE_INSTANT else None
                notes = {each.name: each.string_value or each.int_value for each in event.debug_annotations}
                if end_ms is None:
                    open_ones[track].append(len(self.slices[track]))
                depth = len(open_ones[track]) + (end_ms is not None)
                self.slices[track].append(Slice(event.name, at_ms, end_ms, depth, notes))

    def of_process(self, pid: int) -> list[Slice]:
        (track,) = (each.uuid for each in self.tracks.values() if each.process.pid == pid)
        return self.slices[track]

    def below(self, parent: str, name: str) -> list[tuple[float, float]]:
        (track,) = (
            each.uuid
            for each in self.tracks.values()
            if each.name == name and each.parent_uuid and self.tracks[each.parent_uuid].name == parent
        )
        return self.values[track]


def at(ms: float) -> int:
    return START_NS + int(ms * 1e6)


def run_of() -> list[Snapshot]:
    """make waits for sh, which fails to execute one thing, executes another, and ends with 3."""
    ran = Exec(1001, at(200), "/usr/bin/cc\x1b", ("cc", "a.c"), "/src", 1000, None)
    tried = ran._replace(at_ns=at(150), path="/opt/cc", errno=2)
    make = process(INFO.pid, {READ: counted(1000), WRITE: counted(50)}, comm="make")
    shell = process(
        1001, {OPENAT: counted(5)}, comm="sh", start_s=0.1, end_s=0.4, status=EXITED_3, programs=Programs((tried, ran))
    )
    slow = tuple(SlowCall("openat", 1001, 20_000_000, at(ms), "/a") for ms in (210, 220, 300))
    touched = Touched({File("file", "/a"): Use(5, 5, 0, 1000, 0)}, slowest=slow)
    inside = [InFlight(INFO.pid, INFO.pid, READ, at(300)), InFlight(1007, INFO.pid, WRITE, at(495))]
    one = snapshot(
        0.5, [make, shell], ended=[shell], in_flight=(*inside,), detail=Detail((tried, ran), touched=touched)
    )
    two = snapshot(1.0, [idle(make)], in_flight=(*inside[:1],), detail=Detail((), touched=touched))
    return chained(
        [one, two._replace(syscalls=one.syscalls), two._replace(syscalls=one.syscalls, running=False, status=0)]
    )


def test_a_trace_has_processes_programs_calls_and_rates(tmp_path: Path) -> None:
    path = recorded(tmp_path / "rec.jsonl", run_of())
    with (tmp_path / "rec.pftrace").open("wb") as out:
        done = subprocess.run([*DENET, "export", "--to", "perfetto", path], stdout=out, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, b"")
    trace = Read((tmp_path / "rec.pftrace").read_bytes())
    assert trace.clocks == {1: START_MS * 1_000_000, 6: START_NS}
    assert trace.of_process(1001) == [
        Slice("sh", 100, 400, 1, {"ppid": 1000, "exit_code": 3}),
        Slice("/opt/cc: ENOENT", 150, 150, 2, {"path": "/opt/cc", "argv": "cc a.c", "cwd": "/src", "uid": 1000}),
        Slice("cc\\x1b", 200, 400, 2, {"path": "/usr/bin/cc\\x1b", "argv": "cc a.c", "cwd": "/src", "uid": 1000}),
    ]
    (living,) = trace.of_process(INFO.pid)
    assert (living.name, living.start_ms, living.end_ms) == ("make", 0, None)
    (threads,) = ([each] for each in trace.tracks.values() if each.HasField("thread"))
    assert [(each.thread.pid, each.thread.tid) for each in threads] == [(INFO.pid, INFO.pid)]
    assert [each[:3] for each in trace.slices[threads[0].uuid]] == [("read", 300, 1000)]
    rows = [each.uuid for each in trace.tracks.values() if each.name == "slowest calls"]
    assert [[each[:3] for each in trace.slices[row]] for row in rows] == [
        [("openat", 210, 230), ("openat", 300, 320)],
        [("openat", 220, 240)],
    ]
    assert trace.below("system calls", "read") == [(0, 2000), (500, 0), (1000, 0)]
    assert trace.below("CPU and bytes", "read by calls") == [(0, 2000), (500, 0), (1000, 0)]
    assert trace.below("CPU and bytes", "CPU")[0] == (0, 12.5)


def test_without_its_package_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "perfetto.protos.perfetto.trace", None)
    with (
        (tmp_path / "out").open("wb") as out,
        pytest.raises(RecordError, match=r"perfetto: .* pip install 'perfetto>="),
    ):
        Trace(INFO, out)


def test_numbers_that_there_cannot_be_are_no_failure() -> None:
    most = (1 << 63) - 1
    out = io.BytesIO()
    trace = Trace(INFO, out)
    odd = process(1, {})._replace(
        pid=most,
        ppid=most,
        start_ns=most - 2,
        end_ns=1,
        programs=Programs((Exec(1, most, None, None, None, most, None),)),
    )
    trace.process(odd)
    slow = SlowCall("x", most, most, most, "\udcff")
    inside = InFlight(most, 1, READ, 0)
    trace.tick(
        snapshot(0.5, [odd._replace(end_ns=None)])._replace(
            in_flight=(inside,),
            time_ns=most,
            detail=Detail(touched=Touched(slowest=(slow,))),
        )
    )
    trace.finish(snapshot(1, []))
    assert {"x", "cc1"} <= {each.name for some in Read(out.getvalue()).slices.values() for each in some}
