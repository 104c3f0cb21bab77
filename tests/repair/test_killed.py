"""Killed anywhere on its way, the next run repairs or undoes."""

from __future__ import annotations

import os
import signal
import sys
import time

import pytest

from denet_tui.checks import catalogue
from denet_tui.checks.model import Fix
from denet_tui.repair import effects, steps
from denet_tui.repair.repair import RepairError
from tests.real import REPOSITORY
from tests.repair import killed
from tests.repair.machine import APT, KINDS, Machine, wait_for_programs
from tests.repair.test_policy import machines
from tests.watch.helpers import run

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it writes as root"),
]
PATIENCE_S = 300


@pytest.mark.slow
@pytest.mark.parametrize("what", [*KINDS, *killed.REAL])
def test_killed_at_any_point_the_next_run_undoes_or_repairs(what: str) -> None:
    """At any system call that changes a file; of the real fixes, after each step."""
    done = run(sys.executable, "-m", "tests.repair.killed", what, cwd=REPOSITORY, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr


def made_of(fix: Fix) -> set[str]:
    """Kinds of its steps: of commands by what they change, and for groups and units by the program's verb."""
    found = set()
    for step in steps.steps_of(fix):
        if not isinstance(step, steps.CommandStep):
            found.add(step.kind)
            continue
        effect = effects.effect_of(step.argv)
        found.add("reload" if effect.reload else type(effect).__name__)
    return found


@pytest.mark.slow
def test_every_fix_of_the_catalogue_is_made_of_what_is_killed_here(machine: Machine) -> None:
    met = set().union(*(made_of(machine.fix(kind)) for kind in KINDS))
    offered = {
        fix.id: made_of(fix)
        for host in machines()
        for check in catalogue.ALL
        if check.id not in ("E2E-001", "PROG-001")
        for fix in catalogue.run_one(check, host).fixes
    }
    assert len(offered) >= 15
    assert {identity: kinds - met for identity, kinds in offered.items() if kinds - met} == {}


@pytest.mark.slow
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
