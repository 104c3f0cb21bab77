"""What the kernel side gives away, and what it keeps from others: seen from outside, on the real kernel."""

from __future__ import annotations

import json
import sys

import pytest

from tests.attack.counting import CALLS
from tests.person import Person
from tests.real import DENET, WITH_TRACEFS, run

pytestmark = pytest.mark.root

_WATCHING = [*DENET, "run", "--way", "tracefs", "--no-tui", "--", "sh", "-c", "echo; exec sleep 30"]
_TRYING = [sys.executable, "-I", "-m", "denet_tui.bpf.prober", "ways"]


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
    assert "went on as another user, and are not" in " ".join(done.stderr.split())
    wholly = person.shell(f"sudo -n $denet run --no-tui --as-root --summary whole -- sh -c '{command}'")
    assert "exact: nothing lost" in wholly.stderr
