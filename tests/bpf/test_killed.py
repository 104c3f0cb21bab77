"""Calls at whose entry seccomp ends the thread, of which neither an entry nor an exit is traced."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.real import straced, watched

pytestmark = pytest.mark.root


@pytest.mark.parametrize("how", ["thread", "process", "alone", "strict"])
def test_a_call_that_seccomp_kills_is_counted_once(killed: Path, tmp_path: Path, how: str) -> None:
    argv = [str(killed), how, "6"]
    reference = straced(argv, tmp_path)
    ours, summary = watched(argv, tmp_path)
    assert summary["exact"] is True, summary["lost"]
    assert reference.total["getppid"] == 6
    names = ("getppid", "prctl", "exit", "exit_group", "syscall_1000")
    assert {name: ours.total[name] for name in names} == {name: reference.total[name] for name in names}
    row = summary["syscalls"]["getppid"]
    assert row["calls"] == row["returns"] + row["unreturned"] == 6
