"""Run as a process of its own by test_killed.py: repairs that are killed at every point of their way.

`python -m tests.repair.killed KIND|FIX` ends well if the next run has undone or repaired each time. It is a process of
its own because a small one is forked in a tenth of the time, hundreds of times.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from denet_tui.checks import tracefs
from denet_tui.checks.host import Host
from denet_tui.checks.model import Fix
from denet_tui.repair.journal import Entry, Journal
from denet_tui.repair.repair import Repair, Undone
from denet_tui.repair.steps import Settings
from tests.real import tracefs_held
from tests.repair.machine import KINDS, Machine, in_own_mounts, wait_for_programs

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


def at_any_system_call(folder: Path, kind: str) -> None:
    """Every third undo is itself killed on its way. Each of the calls that change a file is a place to die."""
    machine = Machine(folder / "root")
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
        count += 7 if kind in ("group", "unit", "capabilities") else 17 if kind == "all" else 1 if count < 40 else 7
    assert kills > 5
    machine.repair().undo()
    assert machine.picture() == before


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


def after_each_step(folder: Path, name: str) -> None:
    """On this machine's tracefs and a copy of its /etc: after the step was made, and after it was noted."""
    shutil.copytree("/etc", folder / "etc", symlinks=True)
    settings = Settings(state=f"{folder}/state")

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

    subprocess.run(["mount", "--bind", folder / "etc", "/etc"], check=True)
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


if __name__ == "__main__":
    wanted = sys.argv[1]
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # there are thousands of fsync(2) calls to come
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        die = at_any_system_call if wanted in KINDS else after_each_step
        with tracefs_held(fcntl.LOCK_SH if wanted in (*KINDS, "FS-001.mount") else fcntl.LOCK_EX):
            in_own_mounts(lambda: die(Path(folder), wanted))
