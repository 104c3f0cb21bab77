"""The helper that stays root, and a parent that asks without an end, or does not listen: its work has bounds."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from denet_tui.checks.host import Host
from denet_tui.checks.model import Check, Finding, State
from denet_tui.helper import telling
from denet_tui.helper.jobs import Ended
from tests.helper.helped import Parent, apply, check, ended, forked, helped, root
from tests.repair.machine import APT, Machine
from tests.watch.helpers import status

_REQUESTS_S = 3.0


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "m")


@contextmanager
def listening(machine: Machine, *checks: Check) -> Iterator[tuple[socket.socket, Parent, int]]:
    """A parent that has its fix found, and its helper's pid."""
    channel, pid = forked(checks, machine.settings)
    with channel:
        parent = Parent(channel)
        parent.ask(look=[each.id for each in checks])
        parent.hear("found")
        yield channel, parent, pid
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    assert ended(pid)


def counting(path: Path, seconds: float = 0.0) -> Check:
    """A check that writes down that it was run."""

    def look(host: Host) -> Finding:
        with path.open("a") as file:
            file.write("run\n")
        time.sleep(seconds)
        return Finding("TEST-001", State.PASS, "good")

    return Check("TEST-001", "kernel", "counted", look)


def test_who_asks_for_the_same_again_and_again_has_it_looked_at_now_and_then(tmp_path: Path) -> None:
    with helped([counting(tmp_path / "runs")]) as (_, heard, _):
        due = time.monotonic() + _REQUESTS_S
        while time.monotonic() < due:
            heard.look("TEST-001")
    assert 2 <= (tmp_path / "runs").read_text().count("run") <= _REQUESTS_S / 0.5 + 2


def test_a_check_that_takes_long_rests_as_long(tmp_path: Path) -> None:
    with helped([counting(tmp_path / "runs", 1.0)]) as (_, heard, _):
        since = time.monotonic()
        for _ in range(2):
            heard.look("TEST-001")
        assert time.monotonic() - since > 2.9, "one second, a rest, and one second more"


@root
def test_a_fix_is_applied_and_taken_back_a_few_times_only(machine: Machine) -> None:
    """A package manager that its parent has start again and again."""
    before = machine.picture()
    with helped([check(machine, "packages")], machine.settings) as (jobs, heard, _):
        heard.look("TEST-001")
        for number in range(12):
            apply(heard, "TEST-001.packages")
            heard.wait(Ended, 2 * number + 1)
            jobs.undo("TEST-001.packages")
            heard.wait(Ended, 2 * number + 2)
        applied = [each for each in heard.all(Ended) if each.kind == "apply"]
        assert [each.good for each in applied] == [True] * 5 + [False] * 7
        assert sum(each.good for each in heard.all(Ended) if each.kind == "undo") == 5
        assert "was done 5 times in this session" in applied[-1].text
    assert machine.picture() == before


@root
def test_an_undoing_that_cannot_succeed_is_not_tried_without_an_end(machine: Machine) -> None:
    with helped([check(machine)], machine.settings) as (jobs, heard, _):
        heard.look("TEST-001")
        apply(heard, "TEST-001.value")
        assert heard.wait(Ended).good
        (machine.root / "proc/value").write_text("5\n")  # somebody else's
        for number in range(2, 10):
            jobs.undo("TEST-001.value")
            heard.wait(Ended, number)
        tried = [bool(each.left) for each in heard.all(Ended)[1:]]
        assert tried == [True] * 5 + [False] * 3


@pytest.mark.parametrize("kind", ["undo", "apply"])
def test_requests_of_a_parent_that_does_not_read_take_no_memory(machine: Machine, kind: str) -> None:
    """Nothing is read of it while there is no room for answers: neither threads nor memory grow with what it sends."""
    line = b'{"undo": "x"}\n' if kind == "undo" else b'{"apply": "x", "shown": ""}\n'
    with listening(machine, check(machine)) as (channel, _, pid):
        before = int(status(pid)["VmRSS"].split()[0])
        channel.setblocking(False)
        due = time.monotonic() + _REQUESTS_S
        sent, rest = 0, line * 1000
        while time.monotonic() < due:
            try:
                written = channel.send(rest)
            except BlockingIOError:
                time.sleep(0.01)
                continue
            sent += written
            rest = rest[written:] or line * 1000
        assert sent > 100_000
        assert int(status(pid)["Threads"]) < 10
        assert int(status(pid)["VmRSS"].split()[0]) < before + 4096
        assert sent < 2_000_000, "the rest waits on its own side"


@root
def test_a_parent_that_reads_a_little_now_and_then_holds_no_package_manager_up(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time just before the helper's patience is over."""
    monkeypatch.setattr(telling, "_PATIENCE_S", 1)
    before = machine.picture()
    (machine.root / "bin/apt-get").write_text(APT.replace("    echo", "    seq 100000 | sed s/^/Get:/\n    echo"))
    with listening(machine, check(machine, "all")) as (channel, parent, pid):
        parent.apply(machine.fix("all"))
        parent.hear("said")
        since = time.monotonic()
        while time.monotonic() - since < 20 and os.waitpid(pid, os.WNOHANG)[0] == 0:
            time.sleep(0.6)
            with contextlib.suppress(OSError):
                channel.recv(200_000, socket.MSG_DONTWAIT)
        assert time.monotonic() - since < 10
    (machine.root / "bin/apt-get").write_text(APT)
    assert machine.picture() == before, "and all is taken back"
