"""What was written is read again, by whomever it was written and wherever it is cut off."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings

from denet_tui.detail import Accounts
from denet_tui.model import InFlight, Loss, ProcessInfo, RunInfo, Snapshot, Syscall
from denet_tui.record import keyframe, text
from denet_tui.record.lines import open_file
from denet_tui.record.read import UnreadableError
from denet_tui.record.totals import Totals
from denet_tui.record.track import Track
from denet_tui.record.writer import Recorder
from denet_tui.syscalls import errno_name, errno_number, named, syscall
from denet_tui.touched import SLOWEST, FailedPath, File, SlowCall, Touched, Use
from tests.record.made import FOREIGN, INFO, READ, START_NS, category, lines_of, story, summed
from tests.watch.test_sampler import SECOND, play, ticks_with_losses

UNNAMED = Syscall(0, 1234, "syscall_1234")
NOT_READ = {"usage"}
"""Of a process: denet's fields have kilobytes, and its zeros may be what is not known."""


def recorded(path: Path, snapshots: list[Snapshot], info: RunInfo = INFO) -> Path:
    recorder = Recorder(info, category, path=path)
    recorder.start()
    for each in snapshots:
        recorder.add(each)
    recorder.finish(snapshots[-1])
    assert recorder.failure is None
    return path


def opened(path: Path) -> Track:
    return Track(open_file(str(path)), str(path))


def read(path: Path) -> Iterator[Snapshot]:
    track = opened(path)
    now, at = track.start(), track.begin
    while (tick := track.tick(now, at)) is not None:
        now, at, _ = tick
        yield now


def plain(value: object) -> Any:
    """Anything of a Snapshot in a form that can be compared."""
    if isinstance(value, Snapshot):
        names = set(value._fields)
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, ProcessInfo):
        names = set(value._fields) - NOT_READ - ({"exec_ns"} if not value.execs else set())
        return {name: plain(getattr(value, name)) for name in names}
    if hasattr(value, "items"):
        # By name: of a row for several calls the number is no call's.
        return {key.name if isinstance(key, Syscall) else key: plain(each) for key, each in value.items()}
    if isinstance(value, tuple) and value and isinstance(value[0], ProcessInfo):
        return [plain(each) for each in sorted(value, key=lambda each: each.start_ns)]
    return value


def chained(snapshots: list[Snapshot]) -> list[Snapshot]:
    """With intervals that fit together, as those of a sampler do."""
    before, found = INFO.start_ns, []
    for each in snapshots:
        found.append(each._replace(interval_ns=each.time_ns - before))
        before = each.time_ns
    return found


def told() -> list[Snapshot]:
    flying = (InFlight(1003, 1003, READ, START_NS + 5), InFlight(1004, 1003, READ, START_NS + 6, "/a\n/é"))
    *begun, last = story()
    shown, ended = (
        tuple(each._replace(delta=summed(each.recent.values())) for each in some)
        for some in (last.processes, last.ended)
    )
    last = last._replace(processes=shown, ended=ended)
    begun[2] = begun[2]._replace(in_flight=flying, loss=Loss(rows=3), asleep_ns=-7, set_ns=-(10**9))
    whole = [*begun, last._replace(loss=Loss(rows=3), accounts=Accounts(1, None, 3, None, 5, 6))]
    return chained([each._replace(detail=each.detail._replace(touched=touched(at))) for at, each in enumerate(whole)])


def touched(at: int) -> Touched:
    """What grows from tick to tick: files, one by one, and what was done with them; the slowest change places."""
    names = (File("file", "/a\u202e"), File("pipe", "pipe:[7]"), File("file", None), File("tcp", "tcp 1.2.3.4:5"))[:at]
    by_process = {
        (pid, file): Use(1, at * place, 2, 3, 4, at // 2, pid - 1000)
        for place, file in enumerate(names)
        for pid in range(1000, 1000 + at)
    }
    files = {file: Use(at, at * at * place, 9, 9, 9, 9, 0) for place, file in enumerate(names)}
    failed = {FailedPath("openat", 2, path): 1 + at // 2 for path in ("/x", None, "\x1b")[:at]}
    slow = [SlowCall("read", 1000 + each, (each * 7) % 11 * 100, START_NS + each, None) for each in range(4 * at)]
    slow += [SlowCall("openat", 1000, each, START_NS + each, "/a") for each in range(at + 1)]
    kept = [sorted((each for each in slow if each.syscall == name), key=lambda each: -each.time_ns)[:SLOWEST]
            for name in ("openat", "read")]  # fmt: skip
    return Touched(files, by_process, failed, (*kept[0], *kept[1]), ("/", "/a b"))


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    written = told()
    found = list(read(recorded(tmp_path / "rec.jsonl", written)))
    for mine, theirs in zip(found, written, strict=True):
        assert plain(mine) == plain(theirs)
        assert [each.usage.rss_bytes for each in mine.processes if each.alive] == [
            each.usage.rss_bytes for each in theirs.processes if each.alive
        ]
    assert opened(tmp_path / "rec.jsonl").info == INFO


def test_a_tick_has_only_what_is_new_of_what_calls_were_about(tmp_path: Path) -> None:
    first, second, *_ = told()
    same = second._replace(time_ns=second.time_ns + 1, detail=second.detail._replace(touched=touched(1)))
    lines = (json.loads(line) for line in recorded(tmp_path / "rec.jsonl", [first, second, same]).open())
    ticks = [line["denet_tui"]["touched"] for line in lines if line["kind"] == "tree"]
    assert ticks[0]["mounts"] == ["/", "/a b"]
    assert [len(tick["files"]) for tick in ticks] == [0, 1, 0]
    assert ticks[1]["files"][0]["by"] == {"1000": [1, 0, 2, 3, 4, 0, 0]}
    assert ticks[2] == {"files": [], "failed_paths": [], "slowest": []}
    unwatched = [each._replace(detail=each.detail._replace(touched=None)) for each in (first, second)]
    assert [each.detail.touched for each in read(recorded(tmp_path / "none.jsonl", unwatched))] == [None, None]


@settings(max_examples=30)
@given(ticks_with_losses)
def test_any_history_is_read_again(tmp_path_factory: pytest.TempPathFactory, script: list[Any]) -> None:
    """Processes come, call, go on as others, end, in any order; calls find no row."""
    _, written = play(script)
    assume(not written[-1].loss.reused)  # of two with one id nobody knows which is which
    info = INFO._replace(start_ns=SECOND + 1, pid=100, cpus=os.cpu_count())  # when the command itself is born
    written = [written[0]._replace(interval_ns=written[0].time_ns - info.start_ns), *written[1:]]
    found = list(read(recorded(tmp_path_factory.getbasetemp() / "history.jsonl", written, info)))
    for mine, theirs in zip(found, written, strict=True):
        assert plain(mine) == plain(theirs)


def test_every_cut_opens_to_its_last_whole_line_and_says_so(tmp_path: Path) -> None:
    whole = recorded(tmp_path / "rec.jsonl", told()).read_bytes()
    path = tmp_path / "cut.jsonl"
    first = whole.index(b"\n") + 1
    for end in range(1, len(whole), 61):
        path.write_bytes(whole[:end])
        if end < first:
            with pytest.raises(
                UnreadableError, match=r"cut\.jsonl: it is no recording, or was cut off in its first line"
            ):
                opened(path)
            continue
        ticks = list(read(path))
        assert len(ticks) == sum(line.startswith(b'{"kind":"tree"') for line in _lines(whole[:end]))
        track = opened(path)
        assert not ticks or ticks[-1].elapsed_ns <= 2_000_000_000
        track.tick(track.start(), whole[:end].rfind(b"\n") + 1)
        assert "cut off" in track.ending()


def _lines(data: bytes) -> list[bytes]:
    return data[: data.rfind(b"\n") + 1].splitlines()


FIRST = {
    "kind": "metadata", "pid": 1000, "cmd": ["make"], "executable": "/usr/bin/make", "t0_ms": 1,
    "denet_tui": {"format": 1, "way": "raw", "interval_ms": 500, "user": "u", "start_ns": 5, "notes": []},
}  # fmt: skip


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "it is empty"),
        (b"hello\n", "line 1: it is not JSON"),
        (b"hello", "it is no recording, or was cut off"),
        (b"\x00\xff\n", "line 1: it is not JSON"),
        (b"[1]\n", "line 1: it is no JSON object"),
        (b"[" * 100_000 + b"\n", "line 1: it is not JSON"),
        (b'{"a": ' + b"9" * 100_000 + b"}\n", "line 1: it is not JSON"),
        (b'{"time": "12:00", "level": "info"}\n', "it is no recording of denet-tui or denet"),
        (b'{"kind": "pod"}\n', "it is no recording of denet-tui or denet"),
        (b'{"kind": "metadata"}\n', "its first line is damaged"),
        (json.dumps(FIRST | {"denet_tui": {"format": 99}}).encode() + b"\n", r"a newer denet-tui wrote it \(format 99"),
        (json.dumps(FIRST | {"pid": "x"}).encode() + b"\n", "its first line is damaged"),
    ],
)
def test_what_is_no_recording_is_one_clear_line(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "odd\x1b[2J.jsonl"
    path.write_bytes(content)
    with pytest.raises(UnreadableError, match=says) as caught:
        opened(path)
    assert str(caught.value).isprintable()


def test_a_file_that_cannot_be_read_is_one_clear_line(tmp_path: Path) -> None:
    for path, says in (
        (str(tmp_path / "none"), "No such file"),
        (str(tmp_path), "Is a directory"),
        ("", "Is a directory"),
    ):
        with pytest.raises(UnreadableError, match=rf"cannot read .+: {says}.* \(name a recording, .*\)$"):
            open_file(path)


def _damages() -> Iterator[tuple[str, object]]:
    """Paths into a tree line, and what is written there."""
    for value in (None, "x", -1, 1 << 70, 1e999, [], {}):
        yield from ((path, value) for path in ("denet_tui/time_ns", "denet_tui/syscalls/mmap/calls", "aggregated"))
    yield from (("denet_tui/status", 0x7F), ("denet_tui/processes/999999", {"read": {"calls": 1}}), ("children", 3))
    yield from (("denet_tui/syscalls/\x1b[2J", {}), ("denet_tui/loss/rows", "no"), ("parent/cpu_usage", "nan"))


@pytest.mark.parametrize(("where", "value"), list(_damages()))
def test_a_damaged_line_is_named_and_what_comes_before_it_is_shown(tmp_path: Path, where: str, value: object) -> None:
    path = recorded(tmp_path / "rec.jsonl", told())
    lines = path.read_text().splitlines()
    third = [number for number, line in enumerate(lines) if line.startswith('{"kind":"tree"')][2]
    tree = place = json.loads(lines[third])
    *way, name = where.split("/")
    for part in way:
        place = place[part]
    place[name] = value
    path.write_text("\n".join([*lines[:third], json.dumps(tree), *lines[third + 1 :]]) + "\n")
    seen: list[Snapshot] = []
    with pytest.raises(UnreadableError, match=rf"rec\.jsonl, line {third + 1}: it is (damaged|not JSON)"):
        seen.extend(read(path))  # what came before the failure is taken, too
    assert len(seen) == 2


def test_ticks_that_are_not_there_are_not_vouched_for(tmp_path: Path) -> None:
    path = recorded(tmp_path / "rec.jsonl", chained(story()))
    lines = path.read_text().splitlines(keepends=True)
    gone = [number for number, line in enumerate(lines) if line.startswith('{"kind":"tree"')][1]
    path.write_text("".join(lines[:gone] + lines[gone + 1 :]))
    assert [each.exact for each in read(path)] == [True, False, False]


def test_what_denet_wrote_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    denet = pytest.importorskip("denet", reason="denet is not installed: what it writes is not read")
    path = tmp_path / "denet.jsonl"
    run = """
import denet, sys
denet.execute_with_monitoring(["sh", "-c", "sleep 1; exit 3"], output_file=sys.argv[1], base_interval_ms=100,
    max_interval_ms=100, store_in_memory=False, write_metadata=len(sys.argv) > 2)
"""
    for known in ((), ("metadata",)):
        subprocess.run([sys.executable, "-c", run, path, *known], check=True, timeout=60, capture_output=True)
        found = list(read(path))
        assert found, denet
        assert opened(path).info.argv[0] == "sh" if known else "does not name"
        assert any(len(one.processes) > 1 for one in found), "sh, and sleep below it"
        assert found[-1].processes[0].usage.rss_bytes > 0 or not found[-1].processes[0].alive
        assert not found[-1].exact
        path.unlink()


def test_calls_that_denet_counted_are_shown_by_their_names(tmp_path: Path) -> None:
    metrics = {"ts_ms": 1000, "cpu_usage": 1.5, "mem_rss_kb": 8, "mem_vms_kb": 9, "thread_count": 1, "uptime_secs": 0}
    ebpf = [
        {"syscalls": {"total": 30, "top_syscalls": [{"name": "read", "count": 20}]}},
        {"syscalls": {"total": 50, "top_syscalls": [{"name": "read", "count": 25}, {"name": "write", "count": 9}]}},
        {"error": "no"},
    ]
    lines = [{"kind": "metadata", "pid": 7, "cmd": ["x"], "executable": "/x", "t0_ms": 900}]
    lines += [
        {"parent": metrics, "children": [], "aggregated": metrics | {"ts_ms": 1000 + at, "ebpf": each}}
        for at, each in enumerate(ebpf)
    ]
    path = tmp_path / "denet.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    counts = [{call.name: each.calls for call, each in one.syscalls.items()} for one in read(path)]
    assert counts == [{"read": 20, "other": 10}, {"read": 25, "write": 9, "other": 16}, counts[1]]
    assert [one.total.calls for one in read(path)] == [30, 50, 50]


def test_names_are_what_their_numbers_are_called() -> None:
    for call in (READ, FOREIGN, UNNAMED, syscall(0, -1), syscall(2, 0x40000000)):
        assert named(call.name).name == call.name
    assert named("read") == READ
    assert named("ia32:read") == FOREIGN
    assert named("syscall_1234") == UNNAMED
    assert named("of_another_machine").nr == -1
    for number in (2, 11, 35, 95, 524):
        assert errno_number(errno_name(number)) == number
    for name in ("ENONE", "x", "errno_x", "E"):
        with pytest.raises(ValueError, match=r"errno|literal"):
            errno_number(name)


@pytest.mark.parametrize("sort_keys", [False, True])
def test_a_recording_that_another_program_has_written_again_is_whole(
    tmp_path: Path, sort_keys: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyframe, "LEAST_WORK", 1)
    monkeypatch.setattr(text, "PIECE", 1)
    path, again = recorded(tmp_path / "rec.jsonl", told()), tmp_path / "again.jsonl"
    lines = lines_of(path)
    again.write_text("".join(f"{json.dumps(line, sort_keys=sort_keys)}\n" for line in lines))
    assert {"index", "keyframe", "more"} <= {line["kind"] for line in lines}
    mine, theirs = Totals.of(opened(path)), Totals.of(opened(again))
    assert (theirs.last, theirs.ending) == (mine.last, "")
    lines[-1]["left_out"] = 3
    again.write_text("".join(f"{json.dumps(line, sort_keys=sort_keys)}\n" for line in lines))
    assert Totals.of(opened(again)).ending.startswith("the recording lacks its last 3 ticks")
    again.write_text(again.read_text()[:-1])
    assert "cut off" in Totals.of(opened(again)).ending


def test_two_recordings_in_one_file_are_told(tmp_path: Path) -> None:
    path, both = recorded(tmp_path / "rec.jsonl", told()), tmp_path / "both.jsonl"
    raw = path.read_bytes()
    for first in (raw, raw.partition(b'{"kind":"summary"')[0]):
        for second in (raw, raw.replace(b'"t0_ms":17', b'"t0_ms":16')):
            both.write_bytes(first + second)
            where = first.count(b"\n") + 1
            with pytest.raises(UnreadableError, match=f"both.jsonl, line {where}: another recording begins here"):
                Totals.of(opened(both))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"time_ns": None}, "a field has a value that there cannot be"), ({"notes": 5}, "a field is of a wrong kind"),
        ({"processes": {"77": {}}}, "it has calls of a process that there is not"), ({}, "the field loss is missing"),
        ({"syscalls": {"read": dict.fromkeys(("calls", "returns", "errors", "unreturned", "time_ns"), 0)
                       | {"buckets": [0] * 999, "max_ns": 0}}}, "a list has too many or too few values"),
    ],
)  # fmt: skip
def test_what_is_damaged_is_said_in_words(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    path = recorded(tmp_path / "rec.jsonl", told())
    lines = lines_of(path)
    at, tick = next((at, line) for at, line in enumerate(lines) if line["kind"] == "tree")
    tick["denet_tui"] |= change  # type: ignore[operator]
    if not change:
        del tick["denet_tui"]["loss"]  # type: ignore[attr-defined]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    with pytest.raises(UnreadableError, match=f"rec.jsonl, line {at + 1}: it is damaged: {says}"):
        Totals.of(opened(path))
