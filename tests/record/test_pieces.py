"""Lines of what is large: pieces that tools can read, and the same snapshots and summary again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from denet_tui.detail import Detail
from denet_tui.model import Snapshot
from denet_tui.record.text import PIECE
from denet_tui.record.writer import Recorder
from denet_tui.touched import FailedPath, File, Touched, Use
from tests.record.made import INFO, MMAP, OPENAT, READ, WRITE, category, counted, idle, process, snapshot
from tests.record.schema import assert_valid
from tests.record.test_read import chained, plain, read

MANY = 400


def crowd() -> list[Snapshot]:
    """Many processes that call much, and have files of their own."""
    rows = {call: counted(10, 1) for call in (READ, WRITE, OPENAT, MMAP)}
    make = process(INFO.pid, rows, comm="make")
    some = [process(2000 + at, rows, start_s=0.1) for at in range(MANY)]
    files = {File("file", f"/some/folder/with/a/name/{at:05}"): Use(1, 1) for at in range(3 * MANY)}
    failed = {FailedPath("openat", 2, f"/some/other/{at:05}"): 1 for at in range(3 * MANY)}
    by_process = {(2000 + at, file): use for at, (file, use) in enumerate(files.items())}
    touched = Detail(touched=Touched(files, by_process, failed))
    return chained(
        [snapshot(0.5, [make, *some], detail=touched), snapshot(1, map(idle, [make, *some]), detail=touched)]
    )


def lengths(path: Path) -> list[tuple[str, int]]:
    """Of every line but keyframes, without denet's own list of the living, whose readers know nothing of pieces."""
    found = []
    for raw in path.read_text().splitlines():
        line = json.loads(raw)
        aside = len(json.dumps(line.get("children", []), separators=(",", ":")))
        if line["kind"] not in ("keyframe", "index"):
            found.append((line["kind"], len(raw) - aside))
    return found


@pytest.mark.slow
def test_lines_of_much_are_readable_pieces(tmp_path: Path) -> None:
    path, told = tmp_path / "rec.jsonl", crowd()
    recorder = Recorder(INFO, category, path=path, summary_path=tmp_path / "summary.json")
    recorder.start()
    for each in told:
        recorder.add(each)
    recorder.finish(told[-1])
    assert recorder.failure is None
    lines: list[dict[str, Any]] = [json.loads(line) for line in path.read_text().splitlines()]
    assert_valid(lines)
    assert max(length for _, length in lengths(path)) < 2 * PIECE
    assert {line["of"] for line in lines if line["kind"] == "more"} == {"tree", "summary"}
    assert [plain(each) for each in read(path)] == [plain(each) for each in told]
    summary = json.loads((tmp_path / "summary.json").read_text())
    *_, last = lines
    for line in lines:
        if (line["kind"], line.get("of")) == ("more", "summary"):
            for name in line.keys() - {"kind", "of"}:
                last[name] += line[name]
    for name in ("processes", "files", "failed_paths"):
        assert sorted(map(json.dumps, last.pop(name))) == sorted(map(json.dumps, summary.pop(name)))
    assert last == summary
