"""A recording whose reader does not read holds nobody up, and what it has not got is said."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import threading
from pathlib import Path

import pytest

from denet_tui.record.lines import open_file
from denet_tui.record.sink import MOST_WAITING
from denet_tui.record.totals import Totals
from denet_tui.record.track import Track
from denet_tui.record.writer import Recorder
from denet_tui.widgets.header import facts
from tests.record.made import INFO, READ, category, counted, process, snapshot
from tests.record.schema import assert_valid
from tests.watch.helpers import PATIENCE, eventually, started, text_of

FORKS = "i=0; while [ $i -lt 300 ]; do /bin/true; i=$((i+1)); done; touch done; exec sleep 100"


@pytest.mark.root
def test_the_ticks_go_on_and_sigterm_is_obeyed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    running = started(
        "run", "--no-tui", "--detail", "calls", "-o", "pipe", "--summary", "summary", "--", "sh", "-c", FORKS,
        cwd=tmp_path, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        eventually((tmp_path / "done").exists, "the command has forked")
        running.terminate()
        said = running.communicate(timeout=PATIENCE)[1].decode()
    finally:
        running.kill()
        os.close(reader)
    assert "its reader does not read" in said
    told = json.loads(text_of(tmp_path / "summary"))
    assert told["exact"]
    assert len(told["processes"]) == 302  # sh, and touch


TICKS = 24


def unread(pipe: Path) -> tuple[Recorder, int]:
    """A recorder that has had more ticks than can wait, and the end of its pipe that nobody has read from."""
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    recorder = Recorder(INFO, category, path=pipe)
    recorder.start()
    for tick in range(TICKS):
        recorder.add(snapshot(tick / 2, [process(1000, {READ: counted(1)}, execs=tick, cmdline=("x" * (1 << 20),))]))
    return recorder, reader


@pytest.mark.parametrize("goes_on", [True, False])
def test_ticks_that_find_no_room_are_counted_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, goes_on: bool
) -> None:
    recorder, reader = unread(tmp_path / "pipe")
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert [" ".join(each.split()[:3]) for each in told] == ["the recording " + str(tmp_path / "pipe")], "said once"
    last = snapshot(100, [])
    if not goes_on:
        recorder.add(last)
    os.set_blocking(reader, True)
    with os.fdopen(reader, "rb") as stream:
        got: list[bytes] = []
        reading = threading.Thread(target=lambda: got.extend(stream))
        reading.start()
        if goes_on:
            eventually(lambda: not recorder._lines[0]._waiting, "it has read all that there was")
            recorder.add(snapshot(50, []))
        recorder.finish(last)
        reading.join(20)
    kinds = [json.loads(line)["kind"] for line in got]
    assert kinds[-1] == "summary"
    assert MOST_WAITING < sum(map(len, got)) < MOST_WAITING + (3 << 20)
    lacking = TICKS + 1 + goes_on - kinds.count("tree")  # the last tick is finish's
    assert lacking > 5
    assert_valid(map(json.loads, got))
    marked = [json.loads(line).get("left_out", 0) for line in got]
    assert (marked[-1] == 0) is goes_on
    assert sum(marked) == lacking, "the next tick says so, else the summary"
    (tmp_path / "kept").write_bytes(b"".join(got))
    totals = Totals.of(Track(open_file(str(tmp_path / "kept")), "recording"))
    words = f"the recording lacks {lacking} ticks"
    assert goes_on or f"the recording lacks its last {lacking} ticks" in totals.doubt
    assert [text for _, text in totals.moments if words in text] == [words] * goes_on
    assert (words in " ".join(facts(totals.info, totals.last).remarks)) is goes_on
    assert recorder.failure == f"the recording {tmp_path}/pipe lacks {lacking} ticks: its reader was too slow for them"


def test_so_they_are_where_the_reader_goes_away(tmp_path: Path) -> None:
    recorder, reader = unread(tmp_path / "pipe")
    os.close(reader)
    recorder.finish(snapshot(100, []))
    assert recorder.failure is not None
    assert "its reader has gone" in recorder.failure
    assert re.search(r"; \d+ ticks before that found no room$", recorder.failure)
