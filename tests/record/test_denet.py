"""denet's own tools read our recordings: that is what its field names are kept for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from denet_tui.model import NOTHING, Snapshot
from denet_tui.record.writer import Recorder
from tests.record.made import INFO, OPENAT, READ, category, counted, idle, process, snapshot, story
from tests.record.test_read import recorded

denet = pytest.importorskip("denet", reason="denet is not installed: its reading of our recordings is not tested")


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "rec.jsonl"
    recorder = Recorder(INFO, category, path=path)
    recorder.start()
    told = story()
    for one in told:
        recorder.add(one)
    recorder.finish(told[-1])
    assert recorder.failure is None
    return path


def test_denet_summarises_a_recording(recording):
    summary = json.loads(denet.generate_summary_from_file(str(recording)))
    assert summary["sample_count"] == 4, "every tree line was taken"
    assert summary["total_time_secs"] == pytest.approx(1.5)
    assert summary["max_processes"] == 2
    assert summary["max_threads"] == 4
    assert summary["peak_mem_rss_kb"] == 8192
    assert summary["avg_cpu_usage"] == pytest.approx((12.5 + 12.5 + 25 + 12.5) / 4)
    assert summary["total_disk_read_bytes"] == 4000, "what the ended ones read is still in it"


def test_denet_takes_names_of_any_bytes(tmp_path):
    """Its reader is strict: one lone surrogate would cost the whole line."""
    path = tmp_path / "rec.jsonl"
    odd = process(1001, {READ: counted(1)}, comm="\udcff\udc80 \U0001f600\x1b[2J", cmdline=("\udcff",))
    recorder = Recorder(INFO._replace(argv=("\udcfe",), executable="/\udcfe"), category, path=path)
    recorder.start()
    recorder.finish(snapshot(0.5, [process(1000, {}), odd]))
    assert json.loads(denet.generate_summary_from_file(str(path)))["max_processes"] == 2
    assert denet.load_metrics(str(path), include_metadata=True)[0]["cmd"] == ["\\xfe"]


def test_denet_finds_metadata_and_every_line(recording):
    lines = denet.load_metrics(str(recording), include_metadata=True)
    assert lines[0]["kind"] == "metadata"
    assert [line["kind"] for line in lines].count("tree") == 4
    assert len(lines) == len(recording.read_text().splitlines()), "none is mistaken for a `child` or `exit` line"
    assert len(denet.load_metrics(str(recording))) == len(lines) - 1


@pytest.mark.usefixtures("often")
def test_keyframes_change_nothing_for_denet(tmp_path: Path, run: list[Snapshot]) -> None:
    path = recorded(tmp_path / "rec.jsonl", run)
    plain = tmp_path / "plain.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    plain.write_text("".join(line for line in lines if json.loads(line)["kind"] not in ("index", "keyframe")))
    assert len(plain.read_text()) < len(path.read_text())
    with_them, without = (json.loads(denet.generate_summary_from_file(str(each))) for each in (path, plain))
    assert with_them == without
    assert with_them["sample_count"] == len(run)


def test_denet_loads_a_recording_for_its_report(recording):
    report = pytest.importorskip("denet.report")
    meta, rows = report._load_records(str(recording))
    assert meta["cmd"] == ["make", "-j4"]
    assert meta["_ebpf_seen"]
    assert [row["ebpf"]["syscalls"]["total"] for row in rows] == [40, 900_052, 900_055, 900_068]
    assert all(row["ebpf"]["syscalls"]["by_category"]["file_io"] for row in rows)


def test_denet_analyses_a_recording(recording):
    """Its two functions want the numbers of a line on its first level, where denet's own lines have none either."""
    trees = [line for line in denet.load_metrics(str(recording)) if line["kind"] == "tree"]
    used = denet.resource_utilization([line["aggregated"] for line in trees])
    assert used["max_cpu"] == max(line["aggregated"]["cpu_usage"] for line in trees) == 25
    assert used["max_mem_mb"] == 8
    flat = [
        {"pid": 1000, **(line["parent"] or {}), "children": [{**each, **each["metrics"]} for each in line["children"]]}
        for line in trees
    ]
    found = denet.process_tree_analysis(flat)
    assert found["main_process"]["max_memory_mb"] == 4
    assert found["child_processes"][1003]["max_threads"] == 2


def test_denet_draws_a_recording(tmp_path):
    pytest.importorskip("altair", reason="denet[report] is not installed: its drawing of our recordings is not tested")
    path = tmp_path / "rec.jsonl"
    recorder = Recorder(INFO, category, path=path)
    recorder.start()
    make = process(1000, {READ: counted(5), OPENAT: counted(2)})
    for tick in range(20):
        recorder.add(snapshot(tick / 2, [make if tick < 10 else idle(make)]))
    recorder.finish(snapshot(10, [make._replace(recent={}, delta=NOTHING)]))
    command = [sys.executable, "-m", "denet.report", str(path), "-p", "cpu,mem,disk,syscalls"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    drawn = (tmp_path / "rec.html").read_text()
    assert "file_io" in drawn
    assert "make -j4" in drawn
    assert "no data" not in drawn
