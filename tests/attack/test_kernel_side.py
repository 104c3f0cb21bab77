"""What the kernel side gives away, and what it keeps from others: seen from outside, on the real kernel."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from tests.attack.counting import CALLS
from tests.person import Person
from tests.real import DENET, WITH_TRACEFS, run
from tests.watch.helpers import children, eventually, status, text_of

pytestmark = pytest.mark.root

_WATCHING = [*DENET, "run", "--way", "tracefs", "--no-tui", "--", "sh", "-c", "echo; exec sleep 30"]
_TRYING = [sys.executable, "-I", "-m", "denet_tui.bpf.prober", "methods"]


@pytest.mark.parametrize("working", [_WATCHING, _TRYING], ids=["watching", "trying"])
def test_perf_counts_for_everyone_else_as_before(working: list[str]) -> None:
    argv = [sys.executable, "-m", "tests.attack.counting", *working]
    done = run(["unshare", "--mount", "sh", "-c", WITH_TRACEFS, "sh", *argv])
    assert done.returncode == 0, done.stderr
    before, during, after = map(int, done.stdout.split())
    assert min(before, during, after) >= CALLS, (before, during, after)


def test_no_level_reads_beyond_the_ids_of_a_process() -> None:
    """An id is kept for each namespace that the process is in: here two, of which the first is the machine's."""
    done = run(["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-m", "tests.attack.claimant"])
    assert done.returncode == 0, done.stderr
    first, *others = map(int, done.stdout.split())
    assert first > 1
    assert others == [0] * 9


def test_calls_as_another_user_are_said_to_be_missing(person: Person) -> None:
    script = person.home / "as-root.py"
    script.write_text("import os\nfor _ in range(5000): os.getppid()\n")
    command = f"sudo -n /usr/bin/env python3 {script}"
    done = person.shell(f"sudo -n $denet run --no-tui --summary foreign -- sh -c '{command}'")
    assert done.returncode == 0, done.stderr
    summary = json.loads((person.home / "foreign").read_text())
    assert summary["syscalls"].get("getppid", {"calls": 0})["calls"] < 5000
    assert summary["exact"] is False
    assert summary["lost"]["foreign"] > 0
    assert {name for name, count in summary["lost"].items() if count} == {"foreign"}
    assert "or gone on as one, not counted" in " ".join(done.stderr.split())


@pytest.mark.parametrize(("option", "exact"), [("", False), ("--as-root", True)])
def test_processes_of_another_user_that_are_there_at_attach_are_said_to_be_missing(
    person: Person, option: str, exact: bool
) -> None:
    script, summary = person.home / "loop.py", person.home / "attached"
    script.write_text("import os, sys, time\nprint(flush=True)\nwhile True: os.getppid(); time.sleep(0.02)\n")
    inner = f"sudo -n -u nobody /usr/bin/python3 - < {script}; true"
    argv = ["setpriv", f"--reuid={person.uid}", f"--regid={person.gid}", "--init-groups", "sh", "-c", inner]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, cwd="/") as tree:
        try:
            assert tree.stdout is not None
            assert tree.stdout.readline() == b"\n"
            recording = person.home / "recording"
            files = "-o recording --summary attached"
            attach = f"timeout -s INT 30 $denet attach --no-tui --detail calls {option} {files} {tree.pid}"
            with subprocess.Popen(
                person.argv(f"exec sudo -n {attach}"), cwd=person.home, stderr=subprocess.PIPE, text=True
            ) as watching:
                eventually(lambda: text_of(recording).count("\n") > 2, "it watches")
                time.sleep(0.2)
                others = [pid for pid in children(tree.pid) if status(pid)["Uid"].split()[0] != str(person.uid)]
                for pid in children(tree.pid):
                    run(["kill", str(pid)])
                assert watching.stderr is not None
                said = watching.stderr.read()
        finally:
            tree.kill()
    found = json.loads(summary.read_text())
    recording.unlink()
    assert len(found["processes"]) >= 3
    assert ("getppid" in found["syscalls"]) is exact
    assert found["exact"] is exact, found["lost"]
    expected = set() if exact else {"foreign"}
    assert {name for name, count in found["lost"].items() if count} == expected, said
    assert exact or found["lost"]["foreign"] == len(others) > 0
