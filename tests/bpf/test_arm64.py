"""arm64, as far as another machine can tell: its numbers of calls, and that all of the program compiles for it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from denet_tui import syscalls
from denet_tui.bpf import file_calls, macros, maps
from denet_tui.system import uname
from tests.bpf.arm64 import REGISTERS
from tests.real import REPOSITORY, environment


@pytest.fixture
def numbers(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, int]]:
    """Of arm64 by name, which is what this machine takes itself for."""
    monkeypatch.setattr(uname, "machine", lambda: "aarch64")
    syscalls.numbers.cache_clear()
    yield syscalls.numbers()
    monkeypatch.undo()
    syscalls.numbers.cache_clear()


def test_what_stands_in_tables_of_ours_is_what_the_table_of_all_calls_says(numbers: dict[str, int]) -> None:
    assert {name: numbers[name] for name in ("read", "openat", "clone3", "exit_group")} == {
        "read": 63,
        "openat": 56,
        "clone3": 435,
        "exit_group": 94,
    }  # include/uapi/asm-generic/unistd.h
    assert not {"open", "fork", "vfork", "poll", "arch_prctl"} & numbers.keys()
    assert (numbers["execve"], numbers["execveat"]) == macros._EXECVE.get("aarch64", (221, 281))
    assert maps._NUMBERS["aarch64"] == {name: numbers[name] for name in ("bpf", "perf_event_open", "seccomp", "prctl")}
    assert max(numbers.values()) < syscalls.NUMBERS


def test_of_files_the_same_calls_are_taken_as_on_other_machines(numbers: dict[str, int]) -> None:
    rows = [row.split(":") for text in file_calls._CALLS.values() for row in text.split()]
    assert {name: int(number) for name, _, number in rows if number != "-"} == {
        name: numbers[name] for name, _, _ in rows if name in numbers
    }
    assert set(file_calls.classes()) <= set(numbers.values())


@pytest.mark.root
@pytest.mark.lab
def test_all_of_the_program_compiles_and_takes_the_registers_of_arm64() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bpf.arm64"], env=environment(), cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["notes"] == [], "files and paths are told, too"
    assert {REGISTERS["pt_regs.orig_x0"], 8, 16} <= set(found["used"]["sys_enter"]), "the arguments"
    assert REGISTERS["pt_regs.syscallno"] in found["used"]["sys_exit"], "the number of a refused call"
