"""Killed anywhere on its way, the next run repairs or undoes."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest

from denet_tui.checks.repair import RepairError
from tests.checks.machine import APT, KINDS, Machine, in_own_mounts, wait_for_programs

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it writes as root"),
]

POINTS = ("open", "write", "fsync", "rename", "mkdir", "unlink", "rmdir", "fchmod", "ftruncate")


def killed_at(count: int, body: Callable[[], None]) -> bool:
    """Run in a child that gets SIGKILL before its system call number `count`; False where it came to its end."""
    child = os.fork()
    if child == 0:
        left = count

        def counting(call: Callable[..., Any]) -> Callable[..., Any]:
            def counted(*arguments: Any, **named: Any) -> Any:
                nonlocal left
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return call(*arguments, **named)

            return counted

        try:
            for name in POINTS:
                setattr(os, name, counting(getattr(os, name)))
            subprocess.Popen.__init__ = counting(subprocess.Popen.__init__)  # type: ignore[method-assign]
            subprocess.Popen.poll = counting(subprocess.Popen.poll)  # type: ignore[method-assign]
            body()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("kind", KINDS)
def test_killed_at_any_system_call_the_next_run_undoes_or_repairs(machine: Machine, kind: str) -> None:
    """Every third undo is itself killed on its way. Each of the calls that change a file is a place to die."""

    def body() -> None:
        before = machine.picture()
        count, kills = 0, 0
        while killed_at(count, lambda: machine.repair().apply(machine.fix(kind)) and None):
            kills += 1
            wait_for_programs(machine)
            if count % 3 == 0:
                killed_at(count // 2, lambda: machine.repair().undo() and None)
                wait_for_programs(machine)
            if count % 2:
                machine.repair().apply(machine.fix(kind))
                assert not machine.repair().apply(machine.fix(kind)).changed
            left = [each.left for each in machine.repair().undo() if each.left]
            assert not left, f"killed at {count}: {left}"
            assert machine.picture() == before, f"killed at {count}"
            count += 5 if kind == "all" else 1 if count < 40 else 3
        assert kills > 10
        machine.repair().undo()
        assert machine.picture() == before

    in_own_mounts(body)


def test_killed_in_the_middle_of_an_installation(machine: Machine) -> None:
    before = machine.picture()
    slow = APT.replace("${SLOW:-0}", "0.5")
    (machine.root / "bin/apt-get").write_text(slow)
    child = os.fork()
    if child == 0:
        machine.repair().apply(machine.fix("packages"))
        os._exit(0)
    deadline = time.monotonic() + 5
    while "half-installed" not in (machine.root / "packages").read_text() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with pytest.raises(RepairError, match="still runs"):
        machine.repair().undo()
    wait_for_programs(machine)
    said: list[str] = []
    machine.repair(said.append).undo()
    (machine.root / "bin/apt-get").write_text(APT)
    assert machine.picture() == before
    assert any("was interrupted" in line for line in said)
