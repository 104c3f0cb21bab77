"""`report` from outside: the same numbers in every form, what stood out first, one line for what is no recording."""

from __future__ import annotations

import csv
import json
from functools import cache
from pathlib import Path

import pytest

from denet_tui.detail import Detail, Time
from denet_tui.model import Snapshot
from denet_tui.touched import FailedPath, File, Touched, Use
from tests.record.made import READ, counted, lines_of, process, snapshot
from tests.record.test_playback import BURST, long_run
from tests.record.test_read import chained, recorded, touched
from tests.watch.helpers import denet


@pytest.fixture(scope="module")
def written() -> list[Snapshot]:
    about = [touched(min(at, 4)) for at in range(len(long_run()))]
    run = zip(long_run(), about, strict=True)
    return chained([each._replace(detail=each.detail._replace(touched=mine)) for each, mine in run])


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory, written: list[Snapshot]) -> Path:
    return recorded(tmp_path_factory.mktemp("report") / "rec.jsonl", written)


@cache
def reported(recording: Path, *options: str) -> str:
    done = denet("report", *options, str(recording))
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_every_form_has_the_same_numbers(recording: Path, written: list[Snapshot]) -> None:
    calls = {"read": sum(each.recent[call].calls for each in written for call in each.recent if call.name == "read")}
    calls["openat"] = 50
    told = json.loads(reported(recording, "--json"))
    assert {name: row["calls"] for name, row in told["syscalls"].items()} == calls
    assert told["exact"]
    assert told["complete"]
    assert told["exit_code"] == 0
    assert told["findings"] == []
    assert told["moments"] == [{"at_s": (BURST + 1) / 2, "text": "40 errors, 40 of them of openat"}]
    assert told["programs"]["cc1"]["processes"] == 2
    assert set(told["syscalls"]["read"]) == set(lines_of(recording)[-1]["syscalls"]["read"])  # type: ignore[index]
    rows = list(csv.DictReader(reported(recording, "--csv").splitlines()))
    assert {row["syscall"]: int(row["calls"]) for row in rows if row["program"] == "cc1"} == calls
    text, markdown = reported(recording), reported(recording, "--markdown")
    assert text.splitlines()[:2] == ["nothing stands out", "     20.5 s  40 errors, 40 of them of openat"]
    assert markdown.startswith("### make -j4\n\n- nothing stands out\n- 20.5 s  40 errors")
    for form in (text, markdown.replace(",", "")):
        assert str(calls["read"]) in form


def test_every_form_has_files_and_failing_paths(recording: Path) -> None:
    told, last = json.loads(reported(recording, "--json")), lines_of(recording)[-1]
    for name in ("files", "failed_paths", "slowest"):
        assert sorted(told[name], key=json.dumps) == sorted(last[name], key=json.dumps)  # type: ignore[call-overload]
    rows = list(csv.DictReader(reported(recording, "--csv").splitlines()))
    files = {row["path"]: row for row in rows if row["kind"]}
    assert set(files) == {r"/a\u202e", "pipe:[7]", "(not known)", "tcp 1.2.3.4:5"}
    assert (files["pipe:[7]"]["path_reads"], files["pipe:[7]"]["calls"]) == ("16", "")
    assert [row["failures"] for row in rows if row["path"] == r"\x1b"] == ["3"]
    text, markdown = reported(recording), reported(recording, "--markdown")
    assert "9 read, 9 written: pipe:[7]" in text
    assert "3 x openat ENOENT: /x" in text
    assert "| pipe:\\[7] | 16 | 9 | 9 | 9 | 9ns |" in markdown
    assert "| /x | openat | ENOENT | 3 |" in markdown
    assert "\x1b" not in text + markdown


def test_json_has_what_the_summary_has(tmp_path: Path) -> None:
    spent = Time(4, 3, 2, 1, unknown_ns=5)
    ended = process(1001, {READ: counted(1)}, end_s=0.4, time=spent)
    run = [snapshot(0.5, [process(1000, {READ: counted(1)}, time=spent), ended], ended=[ended])]
    path = recorded(tmp_path / "rec.jsonl", [each._replace(detail=Detail(time=spent)) for each in run])
    told, summary = json.loads(reported(path, "--json")), lines_of(path)[-1]
    assert {name for name in summary if name != "kind"} <= set(told)
    assert (told["time"], told["cpu_ns"]) == (summary["time"], summary["cpu_ns"])
    assert {each["pid"]: each["time"] for each in told["processes"]} == {
        each["pid"]: each["time"]
        for each in summary["processes"]  # type: ignore[attr-defined]
    }
    assert [set(each) for each in told["processes"]] == [set(each) for each in summary["processes"]]  # type: ignore[attr-defined]


def test_no_cell_is_a_formula(tmp_path: Path) -> None:
    names = ["=1+1", "+x", "-x", "@sum", "'it", "plain", "\t=2"]
    some = [process(1001 + at, {READ: counted(1)}, comm=name) for at, name in enumerate(names)]
    paths = Touched({File("=kind", "=cmd|' /C calc'!A0"): Use(1)}, failed={FailedPath("-call", 2, "@here"): 1})
    path = recorded(tmp_path / "rec.jsonl", [snapshot(0.5, some, detail=Detail(touched=paths))])
    cells = [cell for row in csv.reader(reported(path, "--csv").splitlines()) for cell in row]
    assert not [cell for cell in cells if cell.startswith(tuple("=+-@"))]
    told = {cell.removeprefix("'") for cell in cells}
    assert told >= {*names[:-1], r"\t=2", "=kind", "=cmd|' /C calc'!A0", "@here", "-call"}


def test_a_recording_without_its_end_says_so(recording: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.jsonl"
    cut.write_bytes(recording.read_bytes()[: recording.stat().st_size // 2])
    said = reported(cut)
    assert "or cut off" in said.splitlines()[0]
    assert "exact as far as it goes" in said
    assert "no call lost" not in said
    assert not json.loads(reported(cut, "--json"))["complete"]
    with cut.open("rb") as file:
        done = denet("report", "-", stdin=file)
    assert done.returncode == 0, done.stderr


def test_what_is_no_recording_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    done = denet("report", str(tmp_path / "empty"))
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr == f"denet-tui: {tmp_path}/empty: it is empty\n"
