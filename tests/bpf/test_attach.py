"""A process that runs already, with threads and children, each inside a call when the watching begins."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real import DENET, REPOSITORY, environment, totals

pytestmark = pytest.mark.root


@pytest.fixture
def behind_gate(calls: Path) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([calls, "gate"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        _until_all_read(process.pid)
        yield process
        process.kill()


@pytest.mark.parametrize("leave_early", [False, True])
def test_counts_from_the_moment_of_attaching(
    behind_gate: subprocess.Popen[bytes], tmp_path: Path, leave_early: bool
) -> None:
    recording, summary_path = tmp_path / "recording.jsonl", tmp_path / "summary.json"
    files = ["-o", str(recording), "--summary", str(summary_path)]
    argv = [*DENET, "attach", "--no-tui", "--detail", "calls", "--interval", "0.1", *files, str(behind_gate.pid)]
    quietly = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with subprocess.Popen(argv, env=environment(), cwd=REPOSITORY, **quietly) as watcher:
        _until_watched(recording, watcher)
        if leave_early:
            watcher.send_signal(signal.SIGINT)
        else:
            assert behind_gate.stdin is not None
            behind_gate.stdin.write(b"x")
            behind_gate.stdin.close()
            behind_gate.stdin = None
            assert behind_gate.wait(20) == 0
        errors = watcher.communicate(timeout=20)[1].decode()
    assert watcher.returncode == 0, errors
    summary = json.loads(summary_path.read_text())
    assert summary["exact"] is True, summary["lost"]
    made = totals(summary)
    if leave_early:
        assert behind_gate.poll() is None  # it was not ours to end
        assert made == {}
        return
    assert made["getpgrp"] == 3 * 100 + 2 * 50 + 7 + 7
    assert made["read"] == 2, "the six calls under way at attach are not counted; those of the new two are"
    assert made["write"] == 1
    assert made["clone3"] + made["clone"] == 2
    assert sorted(_of_each(summary, "getpgrp")) == [7, 50, 50, 307]
    returns, unreturned = totals(summary, "returns"), totals(summary, "unreturned")
    assert returns + unreturned == made


@pytest.mark.parametrize("words", ["NAME PID", "--all NAME"])
def test_several_are_watched_until_the_last_has_ended(calls: Path, tmp_path: Path, words: str) -> None:
    program = shutil.copy(calls, tmp_path / "gate-of-this-test")
    recording, summary_path = tmp_path / "recording.jsonl", tmp_path / "summary.json"
    piped = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([program, "gate"], **piped) as one, subprocess.Popen([program, "gate"], **piped) as two:
        pids = [str(one.pid), str(two.pid)]
        asked = [
            Path(program).name if word == "NAME" else word if word == "--all" else pids.pop() for word in words.split()
        ]
        for each in (one, two):
            assert each.stdout
            assert each.stdin
            assert each.stdout.readline() == b"ready\n"
            _until_all_read(each.pid)
        argv = [*DENET, "attach", "--no-tui", "--detail", "calls", "--interval", "0.1"]
        argv += ["-o", str(recording), "--summary", str(summary_path)]
        with subprocess.Popen([*argv, *asked], env=environment(), cwd=REPOSITORY, stderr=subprocess.PIPE) as watcher:
            _until_watched(recording, watcher)
            for each in (one, two):
                assert watcher.poll() is None
                each.communicate(b"x", timeout=20)
            said = watcher.communicate(timeout=20)[1].decode()
    assert watcher.returncode == 0, said
    summary = json.loads(summary_path.read_text())
    assert summary["exact"] is True, summary["lost"]
    made = totals(summary)
    assert (made["getpgrp"], made["read"], made["write"]) == (2 * 414, 4, 2)
    assert sorted(_of_each(summary, "getpgrp")) == sorted([7, 50, 50, 307] * 2)
    one_more = r"gate-of-this-te \(\d+\)"
    assert re.search(rf"^watched: {one_more}, {one_more}, {one_more} and 3 more$", said, re.MULTILINE), said
    assert json.loads(recording.read_text().partition("\n")[0])["pid"] == 0


def _of_each(summary: dict, name: str) -> list[int]:  # type: ignore[type-arg]
    return [process["syscalls"].get(name, {}).get("calls", 0) for process in summary["processes"]]


def _until_all_read(pid: int) -> None:
    """Until the 4 threads of a process and its 2 children are inside read."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        tasks = [task for process in (str(pid), *children) for task in Path(f"/proc/{process}/task").iterdir()]
        inside = [task for task in tasks if (task / "syscall").read_text().startswith("0 ")]
        if len(inside) == len(tasks) == 6:
            return
        time.sleep(0.01)
    pytest.fail("the program did not get to its gate")


def _until_watched(recording: Path, watcher: subprocess.Popen[bytes]) -> None:
    """Until the first tick is on record: everybody was attached before."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and watcher.poll() is None:
        if recording.exists() and recording.read_text().count("\n") >= 2:
            return
        time.sleep(0.02)
    watcher.kill()
    pytest.fail(f"not attached: {watcher.stderr.read().decode() if watcher.stderr else ''}")
