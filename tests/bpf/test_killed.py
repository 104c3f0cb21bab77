"""Calls at whose entry seccomp ends the thread, of which neither an entry nor an exit is traced."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.real import Counts, sorted_counters, straced, watched

pytestmark = pytest.mark.root


WAYS = ("thread", "process", "alone", "strict")
NAMES = ("getppid", "prctl", "exit", "exit_group", "syscall_1000")


def of_names(counts: Counts) -> list[Counter[str]]:
    """The calls that seccomp is about, by process that made one: strace may list a thread of which it has seen none."""
    counters = (Counter({name: each[name] for name in NAMES if each[name]}) for each in counts.processes)
    return sorted_counters(filter(None, counters))


def test_a_call_that_seccomp_kills_is_counted_once(killed: Path, tmp_path: Path) -> None:
    argv = ["sh", "-c", "; ".join(f"{killed} {way} 6" for way in WAYS) + "; exit 5"]
    reference = straced(argv, tmp_path)
    ours, summary = watched(argv, tmp_path)
    assert (reference.status, ours.status) == (5, 5)
    assert summary["exact"] is True, summary["lost"]
    assert of_names(ours) == of_names(reference)
    assert reference.total["getppid"] == 6 * len(WAYS) + 1, "the shell asks as well"
    row = summary["syscalls"]["getppid"]
    assert row["calls"] == row["returns"] + row["unreturned"] == 6 * len(WAYS) + 1
