"""Killed anywhere on its way, the next run repairs or undoes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from denet_tui.checks import catalogue, tracefs
from denet_tui.checks.host import Host
from denet_tui.checks.model import Fix
from denet_tui.repair import effects, steps
from denet_tui.repair.journal import Entry, Journal
from denet_tui.repair.repair import Repair, RepairError, Undone
from denet_tui.repair.steps import Settings
from tests.repair.machine import APT, KINDS, Machine, in_own_mounts, wait_for_programs
from tests.repair.test_policy import machines

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it writes as root"),
]

POINTS = ("open", "write", "fsync", "rename", "mkdir", "unlink", "rmdir", "fchmod", "ftruncate")


def killed_at(count: int, body: Callable[[], None]) -> bool:
    """Run in a child that gets SIGKILL before its system call number `count`; False if it came to its end."""
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
@pytest.mark.slow
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
            count += 7 if kind in ("all", "group", "unit", "capabilities") else 1 if count < 40 else 3
        assert kills > 5
        machine.repair().undo()
        assert machine.picture() == before

    in_own_mounts(body)


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


def test_every_fix_of_the_catalogue_is_made_of_what_is_killed_here(machine: Machine) -> None:
    killed = set().union(*(made_of(machine.fix(kind)) for kind in KINDS))
    offered = {
        fix.id: made_of(fix)
        for host in machines()
        for check in catalogue.ALL
        if check.id not in ("E2E-001", "PROG-001")
        for fix in catalogue.run_one(check, host).fixes
    }
    assert len(offered) >= 15
    assert {identity: kinds - killed for identity, kinds in offered.items() if kinds - killed} == {}


def owners_of_tracefs() -> list[str]:
    found = subprocess.run(["find", tracefs.POINT, "-printf", "%p %m %U:%G\n"], capture_output=True, text=True)
    return sorted(found.stdout.splitlines())


def closed() -> Fix:
    """Some of it has another group, as after a chgrp without -R."""
    for path in (tracefs.POINT, f"{tracefs.POINT}/tracing_on"):
        os.chown(path, 0, 54321)
    Path(tracefs.POINT, "tracing_on").chmod(0o660)
    Path(tracefs.POINT).chmod(0o770)
    return tracefs.check_writable(Host()).fixes[0]


REAL = {
    "FS-001.mount": lambda: (
        subprocess.run(["umount", tracefs.POINT], check=True) and tracefs.check_mounted(Host()).fixes[0]
    ),
    "FS-003.close": closed,
}


@pytest.mark.parametrize("name", REAL)
def test_the_real_thing_killed_after_each_of_its_steps(tmp_path: Path, name: str) -> None:
    """On this machine's tracefs and a copy of its /etc: after the step was made, and after it was noted."""
    shutil.copytree("/etc", tmp_path / "etc", symlinks=True)
    settings = Settings(state=f"{tmp_path}/state")

    def picture() -> object:
        etc = {path: path.read_bytes() for path in Path("/etc").glob("*") if path.name in ("group", "gshadow")}
        return etc, owners_of_tracefs()

    def dies(after: int, fix: Fix) -> bool:
        child = os.fork()
        if child == 0:
            real, left = Journal.done, after

            def done(book: Journal, entry: Entry, seen: object) -> None:
                nonlocal left
                for note in (lambda: None, lambda: real(book, entry, seen)):
                    note()
                    if left == 0:
                        os.kill(os.getpid(), signal.SIGKILL)
                    left -= 1

            Journal.done = done  # type: ignore[method-assign]
            Repair(Host(), settings=settings).apply(fix)
            os._exit(0)
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])

    def body() -> None:
        subprocess.run(["mount", "--bind", tmp_path / "etc", "/etc"], check=True)
        subprocess.run(["umount", "-q", tracefs.POINT])
        subprocess.run(["mount", "-t", "tracefs", "tracefs", tracefs.POINT], check=True)
        as_found = owners_of_tracefs()
        try:
            fix = REAL[name]()
            assert fix.id == name
            before, after = picture(), 0
            while dies(after, fix):
                assert [each.left for each in Repair(Host(), settings=settings).undo() if each.left] == []
                assert picture() == before, f"killed at {after}"
                after += 1
            assert after == 2 * len(fix.changes)
            assert Repair(Host(), settings=settings).undo() == [Undone(name)]
            assert picture() == before
        finally:
            if name != "FS-001.mount":
                subprocess.run(["mount", "-o", "remount,mode=700,gid=0", tracefs.POINT], check=True)
                Path(tracefs.POINT, "tracing_on").chmod(0o640)
                assert owners_of_tracefs() == as_found

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
