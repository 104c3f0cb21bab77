"""What is written is as the schema says, and so is its documentation; the schema refuses what is wrong."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from denet_tui.detail import Detail, Time, Wait
from denet_tui.model import Loss
from denet_tui.touched import NOT_IN_FILES, FailedPath, File, SlowCall, Touched, Use
from tests.record.made import FOREIGN, INFO, READ, counted, lines_of, process, snapshot
from tests.record.schema import SCHEMA, assert_valid, document
from tests.record.test_read import recorded, told

DOCUMENT = Path(__file__).parents[2] / "docs/recording.md"


def test_the_schema_is_one_and_the_document_is_made_from_it() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert f"Without {NOT_IN_FILES}." in document()
    assert DOCUMENT.read_text() == document(), "python -m tests.record.schema > docs/recording.md"


@pytest.fixture
def lines(tmp_path: Path) -> list[Any]:
    """Every line and every field that there can be."""
    spent = Time(1, 2, 3, 4, {READ: Wait(5, 6)}, 7)
    make = process(INFO.pid, {READ: counted(1)}, comm="a\udcff\x1b", cut=True, time=spent)
    odd = [
        make,
        process(1001, {FOREIGN: counted(5, 5)}, start_s=0.1, end_s=0.2),
        process(1001, {}, start_s=0.3, lost=True),
        process(1001, {READ: counted(2)}, start_s=0.4),
    ]
    loss = Loss(missed=None, hidden=None, rows=1)
    file, use = File("file", "/a\udcff"), Use(1, 2, 3, 4, 5, 6, 7)
    failed = {FailedPath("openat", 2, "/b"): 3, FailedPath("stat", 14, None): 1}
    slow = tuple(SlowCall("read", INFO.pid, 5, INFO.start_ns + 9, about) for about in ("/c", None))
    touched = Touched({file: use, File("file", None): use}, {(INFO.pid, file): use}, failed, slow)
    detail = Detail(turned_away={"files": 1}, touched=touched, time=spent)
    ticks = [snapshot(0.5, odd, ended=odd[1:3], loss=loss, detail=detail)]
    return lines_of(recorded(tmp_path / "a", told())) + lines_of(recorded(tmp_path / "b", ticks, INFO._replace(pid=0)))


def test_what_is_written_is_as_the_schema_says(lines: list[Any]) -> None:
    assert_valid(lines)
    assert {line["kind"] for line in lines} == {"metadata", "process", "tree", "summary"}
    assert any("lost" in each for each in lines[-1]["processes"])
    assert lines[-1]["files"][0]["path"] == r"/a\xff"
    assert [len(lines[-1][field]) for field in ("files", "failed_paths", "slowest")] == [3, 2, 2]
    assert any("@" in pid for pid in lines[-2]["denet_tui"]["processes"])


@pytest.mark.parametrize(
    ("kind", "where", "value"),
    [
        ("metadata", "pid", -1), ("metadata", "denet_tui/way", "other"), ("metadata", "denet_tui/format", 3),
        ("process", "event", "born"), ("process", "time_ns", 1.5), ("process", "more", 1),
        ("tree", "denet_tui/syscalls/read/calls", None), ("tree", "denet_tui/loss/rows", None),
        ("tree", "denet_tui/processes/x", {}), ("tree", "denet_tui/more", 1), ("tree", "parent", 5),
        ("tree", "aggregated/process_count", "1"), ("summary", "exact", None), ("summary", "cpu_ns", "1"),
        ("summary", "syscalls/read/errnos", {"nothing": 1}), ("summary", "syscalls/read/more", 1),
        ("summary", "kind", "other"), ("summary", "files", {}), ("summary", "failed_paths", [{"path": "/a"}]),
        ("summary", "slowest", [None]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused(lines: list[Any], kind: str, where: str, value: object) -> None:
    line = copy.deepcopy(next(line for line in lines if line["kind"] == kind))
    *way, name = where.split("/")
    place = line
    for part in way:
        place = place[part]
    place[name] = value
    with pytest.raises((AssertionError, KeyError)):
        assert_valid([line])
