"""denet-tui with bcc 0.18, 0.31 and the newest, on this kernel, with no kernel headers anywhere."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests.lab.machines import PROGRAM, VENV, Machine
from tests.real import vouched

pytestmark = [pytest.mark.lab, pytest.mark.root]

COMPARED, LENGTHS = (Path(__file__).parents[1] / "bpf" / f"{name}.py" for name in ("compared", "lengths"))
SHIFTING = {"futex", "wait4", "poll", "restart_syscall"}
"""Calls whose number depends on timing."""


def test_the_machine_has_no_kernel_headers(machine: Machine) -> None:
    assert list(machine.root.glob("lib/modules/*")) == []
    assert list(machine.root.glob("usr/src/*")) == []


def test_selftest_is_exact(machine: Machine) -> None:
    assert "exact" in machine.check(PROGRAM, "selftest")


def test_a_uid_put_into_the_program_of_all_users_gives_what_is_compiled_for_it_alone(machine: Machine) -> None:
    shutil.copy(COMPARED, machine.shared / "compared.py")
    uids = ("1", "1000", "65534", "2147483647")
    found = json.loads(machine.check(f"{VENV}/bin/python", "/mnt/compared.py", *uids, timeout=600))
    assert set(found) == set(uids)
    assert min(number for places in found.values() for number in places.values()) > 0, found


def test_an_old_verifier_sees_the_length_of_each_read(machine: Machine) -> None:
    shutil.copy(LENGTHS, machine.shared / "lengths.py")
    found = json.loads(machine.check(f"{VENV}/bin/python", "/mnt/lengths.py", "calls", "files", "all", timeout=600))
    assert len(found) == 6
    assert {(user, event): reads for user, events in found.items() for event, reads in events.items() if reads} == {}


@pytest.mark.parametrize("method", ["raw", "tracefs"])
def test_calls_equal_those_of_strace(machine: Machine, method: str) -> None:
    watched = machine.run(PROGRAM, "run", "--no-tui", "--json", "--way", method, "--", "/mnt/workload")
    assert watched.returncode == 3, watched.stderr
    summary = json.loads(watched.stdout.splitlines()[-1])
    assert summary["kind"] == "summary"
    assert vouched(summary, method), summary["lost"]
    ours = Counter[str]()
    for name, row in summary["syscalls"].items():
        ours[name.removeprefix("ia32:")] += row["calls"]
    assert summary["syscalls"]["ia32:getpid"]["calls"] == 50
    assert _steady(ours) == _steady(_strace(machine))


def _steady(calls: Counter[str]) -> dict[str, int]:
    return {name: count for name, count in sorted(calls.items()) if name not in SHIFTING}


def _strace(machine: Machine) -> Counter[str]:
    """Calls by name, from the starts of strace's lines: a call that never returns has one too."""
    machine.run("strace", "-f", "-qq", "-e", "signal=none", "-o", "/mnt/strace.log", "/mnt/workload")
    calls = Counter[str]()
    for line in (machine.shared / "strace.log").read_text(errors="replace").splitlines():
        if start := re.match(r"\d+ +(\w+)\(", line):
            name = start[1]
            calls[f"syscall_{int(name[8:], 16)}" if name.startswith("syscall_0x") else name] += 1
    return calls
