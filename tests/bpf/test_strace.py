"""The same deterministic command, watched by denet-tui and by strace: every count is the same."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.real import SHIFTING, Counts, methods, straced, totals, vouched, watched

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def reference(workload: Path, tmp_path_factory: pytest.TempPathFactory) -> Counts:
    return straced([str(workload)], tmp_path_factory.mktemp("strace"))


def test_the_reference_saw_what_the_workload_is_made_of(reference: Counts) -> None:
    """Else two empty lists would compare equal."""
    assert len(reference.processes) == 14
    assert reference.total["getppid"] == 150
    assert (reference.total["syscall_1000"], reference.total["syscall_-1"], reference.total["syscall_100000"]) == (
        5,
        2,
        3,
    )
    assert reference.errnos["openat", "ENOENT"] >= 7
    assert reference.errnos["uname", "EPERM"] == 6
    assert reference.status == 7


@pytest.mark.parametrize("method", methods())
def test_workload_as_strace_counts_it(workload: Path, tmp_path: Path, reference: Counts, method: str) -> None:
    ours, summary = watched([str(workload)], tmp_path, method=method)
    assert vouched(summary, method), summary["lost"]
    assert_same(ours, reference)
    assert (ours.status, summary["exit_code"], summary["signal"]) == (7, 7, None)
    assert summary["syscalls"]["ia32:getpid"]["calls"] == 11
    # Nothing but the two calls that never return may end with its thread: the rest of the counts is returns.
    calls, returns, unreturned = (totals(summary, what) for what in ("calls", "returns", "unreturned"))
    assert unreturned == {name: calls[name] for name in ("exit", "exit_group")}
    assert returns == calls - unreturned


@pytest.mark.slow
def test_rows_whose_places_are_taken_are_as_exact(workload: Path, tmp_path: Path, reference: Counts) -> None:
    """With --rows hot_rows has one place a side: all rows but that one are in pid_syscall_map."""
    ours, summary = watched([str(workload)], tmp_path, "--rows", "60000", "--interval", "0.1")
    assert summary["exact"] is True, summary["lost"]
    assert_same(ours, reference)


@pytest.mark.slow
def test_a_map_of_four_rows_loses_rows_but_no_totals(workload: Path, tmp_path: Path, reference: Counts) -> None:
    ours, summary = watched([str(workload)], tmp_path, "--rows", "4")
    assert ours.status == 7
    assert summary["exact"] is False
    # Numbers without a name share one place in the totals that cannot fill up.
    in_all, expected = _unnamed_together(totals(summary)), _unnamed_together(reference.total)
    assert _steady(in_all) == _steady(expected)
    assert summary["lost"]["rows"] == sum(totals(summary).values()) - sum(ours.total.values()) > 0
    assert summary["lost"]["unsettled"] == 0


# What may differ between two runs of a command, and is left out of its comparison:
_MEMORY = frozenset({"brk", "mmap", "munmap", "mremap", "mprotect", "madvise"})
"""Depends on where the kernel put things, and on which thread was first to allocate."""
_PIPES = frozenset({"read"})
"""Reading from a pipe takes as many calls as the writer was ahead."""
_REAPING = frozenset({"rt_sigreturn", "rt_sigsuspend"})
"""Two children that end together send one signal."""

_PYTHON = """
import os, subprocess, threading
def many(): [os.stat('/') for _ in range(300)]
threads = [threading.Thread(target=many) for _ in range(3)]
[thread.start() for thread in threads]; [thread.join() for thread in threads]
for _ in range(3): subprocess.run(['/bin/true'], check=True)
raise SystemExit(3)
"""
COMMANDS = {
    "shell": (
        ["sh", "-c", "ls -R /etc | sort | xargs -n 100 echo | wc -l > /dev/null; cat /etc/passwd; (exit 3); exit 4"],
        4,
        _PIPES | _REAPING,
    ),
    "python": (
        ["env", "PYTHONHASHSEED=0", "PYTHONDONTWRITEBYTECODE=1", sys.executable, "-I", "-S", "-c", _PYTHON],
        3,
        _MEMORY,
    ),
    "perl": (["perl", "-e", "for (1..9) { -e '/none'; system '/bin/true' } kill 9, $$"], -9, frozenset[str]()),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_everyday_command_as_strace_counts_it(name: str, tmp_path: Path) -> None:
    argv, status, varying = COMMANDS[name]
    if not shutil.which(argv[0]):
        pytest.skip(f"needs {argv[0]}")
    reference = straced(argv, tmp_path)
    ours, summary = watched(argv, tmp_path)
    assert summary["exact"] is True, summary["lost"]
    assert len(reference.processes) > 1
    assert (reference.status, ours.status) == (status, 128 - status if status < 0 else status)
    reference.status = ours.status
    assert_same(ours, reference, varying)


def assert_same(ours: Counts, reference: Counts, varying: frozenset[str] = frozenset()) -> None:
    mine, theirs = ours.without(SHIFTING | varying), reference.without(SHIFTING | varying)
    assert mine.total == theirs.total
    assert mine.processes == theirs.processes
    assert mine.errnos == theirs.errnos
    assert mine.errors == theirs.errors
    assert mine.status == theirs.status


def _steady(calls: dict[str, int]) -> dict[str, int]:
    return {name: count for name, count in calls.items() if name not in SHIFTING}


def _unnamed_together(calls: dict[str, int]) -> dict[str, int]:
    together: dict[str, int] = {}
    for name, count in calls.items():
        key = "unnamed" if name.startswith("syscall_") or name.endswith("other") else name.rpartition(":")[2]
        together[key] = together.get(key, 0) + count
    return together
