"""A process that runs already, with threads and children, each inside a call when the watching begins."""

from __future__ import annotations

import json
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
    argv = [*DENET, "attach", "--no-tui", "--interval", "0.1", *files, str(behind_gate.pid)]
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
