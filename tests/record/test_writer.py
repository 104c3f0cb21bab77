"""What a recording says, line by line."""

from __future__ import annotations

import gc
import io
import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from denet_tui.model import InFlight, Loss, Snapshot, Syscall
from denet_tui.record.sink import RecordError
from denet_tui.record.writer import Recorder
from tests.record.made import (
    EXIT_GROUP,
    INFO,
    OPENAT,
    READ,
    START_MS,
    category,
    counted,
    idle,
    lines_of,
    merged,
    process,
    snapshot,
    story,
)


def record(path: Path, snapshots: list[Snapshot], **more) -> list[dict]:
    recorder = Recorder(INFO, category, path=path, **more)
    recorder.start()
    for one in snapshots:
        recorder.add(one)
    recorder.finish(snapshots[-1])
    assert recorder.failure is None
    return lines_of(path)


@pytest.fixture
def lines(tmp_path: Path) -> list[dict]:
    return record(tmp_path / "rec.jsonl", story())


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def events(lines: list[dict]) -> list[tuple]:
    return [(line["event"], line["pid"]) for line in lines if line["kind"] == "process"]


def test_begins_with_metadata_and_ends_with_the_only_summary(lines):
    kinds = [line["kind"] for line in lines]
    assert kinds[0] == "metadata"
    assert kinds[-1] == "summary"
    assert kinds.count("summary") == kinds.count("metadata") == 1
    assert kinds.count("tree") == 4
    first = lines[0]
    assert (first["pid"], first["cmd"], first["executable"], first["t0_ms"]) == (
        1000,
        ["make", "-j4"],
        "/usr/bin/make",
        START_MS,
    )
    ours = first["denet_tui"]
    assert (ours["format"], ours["way"], ours["interval_ms"]) == (2, "raw", 500)
    assert (ours["user"], ours["notes"]) == ("someone", ["a note"])


def test_tells_forks_execs_and_exits_in_the_order_of_time(lines):
    assert events(lines) == [
        ("exec", 1000),
        ("fork", 1001),
        ("exec", 1001),
        ("fork", 1002),
        ("exit", 1001),
        ("exit", 1002),
        ("fork", 1003),
        ("exec", 1003),
        ("exit", 1000),
    ]
    exits = {line["pid"]: (line["exit_code"], line["signal"]) for line in lines if line.get("event") == "exit"}
    assert exits == {1001: (3, None), 1002: (None, 9), 1000: (3, None)}
    times = [line["time_ns"] for line in lines if line["kind"] == "process"]
    assert times == sorted(times)


def test_a_second_exec_and_a_reused_pid_are_told(tmp_path):
    shell = process(1000, {READ: counted(1)})
    child = process(1001, {}, start_s=0.1, execs=0)
    turned = process(1001, {}, start_s=0.1, execs=2, comm="ls")
    dead = process(1001, {}, start_s=0.1, end_s=1.1, execs=2, comm="ls")
    again = process(1001, {}, start_s=1.3, execs=0)
    told = record(
        tmp_path / "rec.jsonl",
        [
            snapshot(0.5, [shell, child]),
            snapshot(1.0, [idle(shell), turned]),
            snapshot(1.5, [idle(shell), dead, again], ended=[dead]),
        ],
    )
    assert events(told)[1:] == [("fork", 1001), ("exec", 1001), ("exit", 1001), ("fork", 1001)]
    assert len([one for one in told[-1]["processes"] if one["pid"] == 1001]) == 2


def test_a_descendant_that_gets_the_pid_of_the_command_forks(tmp_path):
    over = process(1000, {}, end_s=0.2)
    heir = process(1000, {}, start_s=0.3, execs=0)
    told = record(tmp_path / "rec.jsonl", [snapshot(0.5, [over, heir], ended=[over])])
    assert events(told) == [("exec", 1000), ("exit", 1000), ("fork", 1000)]


def test_somebody_who_lived_between_two_snapshots_is_whole(tmp_path):
    """Neither kept in `processes` nor forgotten by the recording."""
    make = process(1000, {READ: counted(1)})
    brief = process(1001, {READ: counted(3)}, start_s=0.6, end_s=0.7)
    told = record(tmp_path / "rec.jsonl", [snapshot(0.5, [make]), snapshot(1.0, [idle(make)], ended=[brief])])
    assert [event for event, pid in events(told) if pid == 1001] == ["fork", "exec", "exit"]
    tree = [line for line in told if line["kind"] == "tree"][-1]
    assert tree["denet_tui"]["processes"]["1001"]["read"]["calls"] == 3
    assert {one["pid"] for one in told[-1]["processes"]} == {1000, 1001}


def test_two_owners_of_one_pid_in_one_interval_keep_their_own_rows(tmp_path):
    first = process(1001, {READ: counted(3)}, start_s=0.1, end_s=0.2)
    second = process(1001, {READ: counted(4)}, start_s=0.3)
    told = record(tmp_path / "rec.jsonl", [snapshot(0.5, [second], ended=[first])])
    rows = next(line for line in told if line["kind"] == "tree")["denet_tui"]["processes"]
    assert sorted(row["read"]["calls"] for row in rows.values()) == [3, 4]


def test_tree_lines_hold_the_interval(lines):
    trees = [line for line in lines if line["kind"] == "tree"]
    make = trees[-1]["denet_tui"]["processes"]["1000"]
    assert make["openat"] == {
        "calls": 12,
        "returns": 12,
        "errors": 3,
        "unreturned": 0,
        "time_ns": 240_000,
        "max_ns": 20_000,
        "buckets": [0] * 7 + [12],
        "errnos": {"ENOENT": 3},
    }
    assert make["exit_group"]["buckets"] == []
    assert trees[2]["denet_tui"]["processes"].keys() == {"1003"}, "who called nothing has no rows"
    assert trees[-1]["denet_tui"]["loss"] == Loss()._asdict()


def test_errnos_of_an_interval_are_those_that_are_new(tmp_path):
    one, more = counted(2, 2), counted(5, 5)
    first = process(1000, {OPENAT: one})
    second = process(1000, {OPENAT: more}, recent={OPENAT: counted(3, 3)})
    told = record(tmp_path / "rec.jsonl", [snapshot(0.5, [first]), snapshot(1.0, [second])])
    ours = [line for line in told if line["kind"] == "tree"][-1]["denet_tui"]
    assert ours["processes"]["1000"]["openat"]["errnos"] == {"ENOENT": 3}
    assert ours["syscalls"]["openat"]["errnos"] == {"ENOENT": 3}


def test_deltas_of_all_lines_add_up_to_the_summary(lines):
    trees = [line["denet_tui"] for line in lines if line["kind"] == "tree"]
    for name, row in lines[-1]["syscalls"].items():
        by_pid = [rows[name] for ours in trees for rows in ours["processes"].values() if name in rows]
        total = [ours["syscalls"][name] for ours in trees if name in ours["syscalls"]]
        for field in ("calls", "returns", "errors", "unreturned", "time_ns"):
            assert sum(one[field] for one in by_pid) == sum(one[field] for one in total) == row[field]


def test_in_flight_calls_and_loss_are_recorded(tmp_path):
    caught = InFlight(1007, 1000, READ, 123)
    lossy = snapshot(0.5, [process(1000, {READ: counted(1)})], loss=Loss(rows=7), in_flight=(caught,))
    told = record(tmp_path / "rec.jsonl", [lossy])
    ours = next(line for line in told if line["kind"] == "tree")["denet_tui"]
    assert ours["in_flight"] == [{"tid": 1007, "tgid": 1000, "syscall": "read", "since_ns": 123}]
    assert ours["loss"]["rows"] == told[-1]["lost"]["rows"] == 7
    assert told[-1]["exact"] is False


def test_the_summary_is_complete(lines):
    summary = lines[-1]
    assert (summary["exact"], summary["elapsed_s"]) == (True, 2.0)
    assert (summary["exit_code"], summary["signal"]) == (3, None)
    assert not any(summary["lost"].values())
    assert summary["syscalls"]["openat"]["errnos"] == {"ENOENT": 3}
    assert summary["syscalls"]["exit_group"]["unreturned"] == 1
    assert summary["syscalls"]["ia32:read"]["calls"] == 5
    write = summary["syscalls"]["write"]
    assert write["p50_at_least_ns"] == 0 < write["p50_at_most_ns"] <= write["p99_at_most_ns"] <= 150
    people = {one["pid"]: one for one in summary["processes"]}
    assert people.keys() == {1000, 1001, 1002, 1003}
    assert people[1002]["signal"] == 9
    assert people[1003]["end_ms"] is None
    assert people[1001]["end_ms"] - people[1001]["start_ms"] == pytest.approx(200, abs=0.01)
    assert people[1001]["start_ms"] == pytest.approx(START_MS + 600, abs=0.01)
    assert people[1001]["cmdline"] == ["cc1", "-O2", "1001.c"]
    assert people[1001]["syscalls"]["ia32:read"] == {"calls": 5, "errors": 5, "time_ns": 5000}


counters = st.builds(counted, st.integers(1, 2**31), st.integers(0, 2**31), st.integers(0, 2**28))
syscalls = st.integers(0, 450).map(lambda nr: Syscall(0, nr, f"call_{nr}"))


@settings(max_examples=40)
@given(st.lists(st.dictionaries(syscalls, counters, max_size=6), min_size=1, max_size=8), st.data())
def test_sums_over_processes_are_the_totals(tmp_path_factory, rows, data):
    """However the processes are spread over snapshots, ended ones or survivors."""
    path = tmp_path_factory.mktemp("sums") / "rec.jsonl"
    recorder = Recorder(INFO, category, path=path)
    recorder.start()
    shown, gone, last = [], [], None
    for index, one in enumerate(rows):
        shown = [idle(old) for old in shown]
        fate = data.draw(st.sampled_from(["lives", "ends", "ends unseen"]))
        end_s = None if fate == "lives" else index + 0.6
        new = process(2000 + index, one, start_s=index + 0.5, end_s=end_s)
        ended = [new] if end_s else []
        if fate == "ends unseen":
            last = snapshot(index + 1, shown, ended=ended, gone=merged(gone))
            gone.append(one)
        else:
            shown.append(new)
            last = snapshot(index + 1, shown, ended=ended, gone=merged(gone))
        recorder.add(last)
    recorder.finish(last)
    summary = lines_of(path)[-1]
    assert len(summary["processes"]) == len(rows)
    for name, total in summary["syscalls"].items():
        mine = [one["syscalls"][name] for one in summary["processes"] if name in one["syscalls"]]
        for field in ("calls", "errors", "time_ns"):
            assert sum(one[field] for one in mine) == total[field]
    assert {name: row["calls"] for name, row in summary["syscalls"].items()} == {
        syscall.name: counted.calls for syscall, counted in last.syscalls.items()
    }


@given(st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=5), st.binary(max_size=15))
def test_any_bytes_in_names_stay_valid_json(tmp_path_factory, argv, comm):
    path = tmp_path_factory.mktemp("bytes") / "rec.jsonl"
    odd = process(
        1000, {READ: counted(1)}, comm=os.fsdecode(comm), cmdline=tuple(os.fsdecode(word) for word in argv), end_s=0.4
    )
    told = record(path, [snapshot(0.5, [odd], ended=[odd])])
    path.read_bytes().decode("ascii")
    person = told[-1]["processes"][0]
    for text, word in zip([person["comm"], *person["cmdline"]], [comm, *argv], strict=True):
        text.encode("utf-8")  # a lone surrogate fails here, and in denet's reader
        assert text == word.decode("utf-8", "backslashreplace")


def test_a_lone_surrogate_of_any_kind_is_replaced(tmp_path):
    odd = process(1000, {READ: counted(1)}, comm="a\ud800b")
    assert record(tmp_path / "rec.jsonl", [snapshot(0.5, [odd])])[-1]["processes"][0]["comm"] == "a\\ud800b"


def test_the_summary_alone_is_the_last_line(tmp_path):
    lines = record(tmp_path / "rec.jsonl", story(), summary_path=tmp_path / "sum.json")
    assert json.loads((tmp_path / "sum.json").read_text()) == lines[-1]


def test_the_summary_needs_no_recording(tmp_path):
    recorder = Recorder(INFO, category, summary_path=tmp_path / "sum.json")
    recorder.start()
    told = story()
    for one in told:
        recorder.add(one)
    recorder.finish(told[-1])
    assert len(json.loads((tmp_path / "sum.json").read_text())["processes"]) == 4


def test_finish_takes_a_snapshot_that_add_has_not_seen(tmp_path):
    told = story()
    recorder = Recorder(INFO, category, path=tmp_path / "rec.jsonl")
    recorder.start()
    for one in told[:-1]:
        recorder.add(one)
    recorder.finish(told[-1])
    lines = lines_of(tmp_path / "rec.jsonl")
    assert [line["kind"] for line in lines].count("tree") == 4
    assert len(lines[-1]["processes"]) == 4


def test_nothing_asked_for_opens_nothing():
    before = open_files()
    recorder = Recorder(INFO, category)
    recorder.start()
    recorder.add(story()[0])
    assert open_files() == before
    recorder.finish(story()[-1])
    assert recorder.failure is None


def test_every_descriptor_is_closed_again(tmp_path):
    gc.collect()  # what other tests left open
    before = open_files()
    record(tmp_path / "rec.jsonl", story(), summary_path=tmp_path / "sum.json")
    with pytest.raises(RecordError):
        Recorder(INFO, category, path=tmp_path / "a", summary_path=tmp_path / "none" / "b").start()
    assert open_files() == before


def test_a_stream_gets_the_same_lines_as_the_file(tmp_path):
    with (tmp_path / "stream").open("wb") as stream:
        record(tmp_path / "rec.jsonl", story(), stream=stream)
        assert not stream.closed
    assert (tmp_path / "stream").read_bytes() == (tmp_path / "rec.jsonl").read_bytes()


def test_only_the_owner_reads_a_recording(tmp_path):
    record(tmp_path / "rec.jsonl", story())
    assert stat.S_IMODE((tmp_path / "rec.jsonl").stat().st_mode) == 0o600


def test_a_file_cut_anywhere_keeps_its_whole_lines(tmp_path, lines):
    *whole, last = (tmp_path / "rec.jsonl").read_bytes().split(b"\n")
    assert last == b"", "so each cut keeps as many of the first lines as there are line ends before it"
    assert [json.loads(line) for line in whole] == lines


def test_every_tick_is_in_the_file_at_once(tmp_path):
    """A kill -9 after a tick loses nothing of it: nothing waits in this process."""
    recorder = Recorder(INFO, category, path=tmp_path / "rec.jsonl")
    recorder.start()
    for index, one in enumerate(story(), 1):
        recorder.add(one)
        assert [line["kind"] for line in lines_of(tmp_path / "rec.jsonl")].count("tree") == index
    recorder.close()


def test_a_closed_stream_is_refused_at_the_start():
    stream = io.BytesIO()
    stream.close()
    with pytest.raises(RecordError, match="closed"):
        Recorder(INFO, category, stream=stream).start()


def test_categories_are_those_of_the_caller(lines):
    final = [line for line in lines if line["kind"] == "tree"][-1]["aggregated"]["ebpf"]["syscalls"]
    calls = {name: row["calls"] for name, row in lines[-1]["syscalls"].items()}
    assert final["total"] == sum(calls.values())
    assert final["by_category"] == {"file_io": 900_064, "other": 1, "memory": 2, "network": 1}
    assert final["top_syscalls"][0] == {"name": "write", "count": 900_000}
    assert final["analysis"]["io_intensity"] == pytest.approx(12 / 13)
    assert final["analysis"]["syscall_rate_per_sec"] == 26.0
    assert calls[EXIT_GROUP.name] == 1
