"""Whoever denet-tui was started by, another process of the same user can take nothing from it."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from denet_tui.checks import privileges
from denet_tui.checks.host import Host
from tests.attack.test_service import GROUP
from tests.person import Person
from tests.real import REPOSITORY, environment
from tests.watch.helpers import DENET, command_line, denets, eventually, status, text_of

pytestmark = pytest.mark.root

ROBBER = Path(__file__).with_name("robber.py")
COMMAND = "run --no-tui -- sh -c 'echo $$ > {mark}; exec sleep 100'"


def advised(person: Person) -> str:
    """The start with two capabilities, as PRIV-001 has it, but for sudo's password."""

    class Asking(Host):
        uid = person.uid

        def status(self) -> dict[str, str]:
            return {"Gid": f"{person.gid} {person.gid}", "CapEff": "0" * 16}

    advice = next(fix.advice for fix in privileges._ways_up(Asking()) if fix.id == "PRIV-001.setpriv")
    line = re.search(r"`sudo (setpriv .* --) denet-tui …`", advice)
    assert line, advice
    return f"sudo -n {line[1]}"


STARTS = ("sudo", "whole", "setpriv", "service", "loader")


def by_service(argv: list[str]) -> list[str]:
    """The same, as a member of the group, where the tests' own listener serves the loader."""
    inside = [f"--groups={GROUP}" if word == "--init-groups" else word for word in argv]
    service = [sys.executable, "-m", "tests.attack.service", str(GROUP), "--", *inside]
    return ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs /run && exec "$@"', "sh", *service]


def started(start: str, person: Person, mark: Path) -> list[str]:
    command = COMMAND.format(mark=mark)
    denet = " ".join(DENET)
    match start:
        case "sudo":
            return person.argv(f"exec sudo -n {denet} {command}")
        case "whole":
            return person.argv(f"exec sudo -n {denet} machine --no-tui --summary {mark}")
        case "setpriv":
            return person.argv(f"exec {advised(person)} {denet} {command}")
        case "service":
            return by_service(person.argv(f"exec {denet} {command}"))
        case _:  # sudo for the loader alone: it wants a terminal to ask on
            return ["script", "-qec", shlex.join(person.argv(f"exec {denet} {command}")), "/dev/null"]


@contextmanager
def watching(start: str, person: Person) -> Iterator[tuple[list[int], int]]:
    """The pids of denet-tui while it watches, the one that holds descriptors first, and that of the command."""
    mark = person.home / f"mark-{start}"
    mark.unlink(missing_ok=True)
    argv = started(start, person, mark)
    with subprocess.Popen(
        argv, cwd=REPOSITORY, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, process_group=0
    ) as top:
        try:
            eventually(lambda: any(map(holds, of_person(top.pid, person))), "it watches")
            command = 0
            if start != "whole":
                eventually(lambda: text_of(mark).strip(), "the command runs")
                command = int(text_of(mark))
            yield sorted(of_person(top.pid, person), key=lambda pid: not holds(pid)), command
        finally:
            os.killpg(top.pid, signal.SIGTERM)
            if start != "whole" and text_of(mark).strip():
                with suppress(ProcessLookupError):
                    os.kill(int(text_of(mark)), signal.SIGKILL)


def of_person(top: int, person: Person) -> list[int]:
    """The processes of denet-tui that are this user's."""
    return [
        pid
        for pid in denets(top)
        if {"machine", "run"} & {*command_line(pid)} and status(pid).get("Uid", "").startswith(f"{person.uid}\t")
    ]


def holds(pid: int) -> bool:
    """Whether a process has descriptors of the kernel side."""
    with suppress(OSError):  # it has ended
        for each in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):  # closed meanwhile
                if "bpf" in str(each.readlink()):
                    return True
    return False


@pytest.mark.parametrize("start", STARTS)
def test_nothing_can_be_taken(start: str, person: Person) -> None:
    with watching(start, person) as (ours, command):
        assert ours
        assert [holds(pid) for pid in ours].count(True) == 1
        words = [sys.executable, str(ROBBER), *map(str, ours)]
        done = person.shell('exec "$@"', *words)
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        open_doors = {what: how for pid in found for what, how in found[pid].items() if not how.startswith("refused")}
        assert open_doors == {}, found
        holder = status(ours[0])
        assert (holder["NoNewPrivs"], holder["Seccomp"]) == ("1", "2")
        assert {holder[name] for name in ("CapEff", "CapPrm", "CapInh", "CapAmb")} == {"0" * 16}
        if command:
            its = status(command)
            expected = "1" if start == "setpriv" else "0"  # setpriv was told so, for all that it starts
            assert (its["NoNewPrivs"], its["Seccomp"]) == (expected, "0"), "the command must be able to run sudo"


def test_who_traces_denet_tui_from_its_start_is_named_and_gets_nothing(person: Person) -> None:
    """PR_SET_DUMPABLE does not send a tracer away that is there already."""
    if not shutil.which("strace"):
        pytest.skip("needs strace, as a tracer")
    words = f"strace -qq -e trace=none -o /dev/null {' '.join(DENET)} run --no-tui -- touch traced"
    argv = by_service(person.argv(f"cd; exec {words}"))
    done = subprocess.run(
        argv, cwd=REPOSITORY, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 125, done.stderr
    assert re.fullmatch(
        r"denet-tui: denet-tui is being traced by process \d+ \(strace\), which could .*\n", done.stderr
    )
    assert not (person.home / "traced").exists()
