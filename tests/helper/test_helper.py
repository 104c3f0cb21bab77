"""The helper that stays root: what it does for its parent, and what it does not, whatever that says."""

from __future__ import annotations

import json
import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from denet_tui.bpf.errors import LoadError
from denet_tui.bpf.request import Request
from denet_tui.checks import catalogue
from denet_tui.checks.host import Host
from denet_tui.checks.model import BOTH, Check, Evidence, Finding, Fix, RunCommand, SetValue, State, WriteFile
from denet_tui.helper import access, check_runner, wire
from denet_tui.helper.check_runner import CheckRunner
from denet_tui.helper.client import Client, HelperError
from denet_tui.helper.jobs import Ended, Found, Gone, Said, Slow, Started
from denet_tui.repair.preview import preview
from tests.helper.helped import apply, check, ended, hanging, helped, root, simple
from tests.repair.machine import APT, Machine
from tests.watch.helpers import eventually


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "m")


# What is handed back and forth


def test_nothing_of_a_finding_is_lost_on_the_way() -> None:
    changes = (
        RunCommand(("/usr/bin/mount", "a b"), undo=("/usr/bin/umount",)),
        RunCommand(("/usr/bin/true",)),
        WriteFile("/etc/x", "text\n", 0o600),
        WriteFile("/etc/y", None),
        SetValue("/proc/sys/a", "1"),
    )
    fix = Fix("A-001.x", "t", changes, "permanent", "u", "opens", "advice")
    evidence = (Evidence("file", "odd \udcff \x1b[31m value"),)
    finding = Finding("A-001", State.WARN, "t", evidence, "w", BOTH, (fix,), ("https://x",), 0.25, all_fixes=True)
    assert wire.from_json(json.loads(json.dumps(wire.to_json(finding)))) == finding


def test_every_finding_of_this_machine_travels_whole() -> None:
    for each in check_runner.run(Host(), [one.id for one in catalogue.ALL if not one.waits]):
        assert wire.from_json(json.loads(json.dumps(wire.to_json(each)))) == each


# Looking


def test_each_result_comes_by_itself_and_the_end_is_said() -> None:
    with helped([simple("A-001"), simple("B-001", State.WARN), simple("E2E-001")]) as (_, heard, _):
        heard.look("A-001", "B-001", "E2E-001")
        assert {event.id for event in heard.all(Started)} == {"A-001", "B-001", "E2E-001"}
        assert {event.finding.id: event.finding.state for event in heard.all(Found)} == {
            "A-001": "pass",
            "B-001": "warn",
            "E2E-001": "pass",
        }


def test_a_check_that_hangs_is_slow_and_holds_nobody_up() -> None:
    quick = [simple(f"Q-{number:03}") for number in range(20)]
    hung = [hanging(f"H-{number:03}") for number in range(6)]  # more than there are lanes
    with helped([*hung, *quick]) as (jobs, heard, pid):
        jobs.look([each.id for each in (*hung, *quick)])
        eventually(lambda: len(heard.all(Found)) == 20, "the others come")
        eventually(lambda: len(heard.all(Slow)) == 6, "all that hang are said to be slow")
        assert {each.id for each in heard.all(Slow)} == {each.id for each in hung}
        heard.look("Q-000")
    assert ended(pid), "what hangs does not hold up the end either"


def test_what_is_asked_again_meanwhile_is_looked_at_again() -> None:
    class Listener:
        found_: list[str]

        def __init__(self) -> None:
            self.found_, self.started_ = [], 0

        def started(self, identity: str) -> None:
            self.started_ += 1

        def slow(self, identity: str) -> None: ...

        def found(self, finding: Finding, details: list[str], beside: dict[str, Any]) -> None:
            self.found_.append(finding.title)

    go, world = threading.Event(), {"value": "old"}

    def look(host: Host) -> Finding:
        seen = world["value"]
        go.wait(20)
        return Finding("A-001", State.PASS, seen)

    told = Listener()
    looking = CheckRunner(told, checks=[Check("A-001", "kernel", "a", look)])
    looking.ask(["A-001"])
    eventually(lambda: told.started_ == 1, "it is at work")
    world["value"] = "new"
    looking.ask(["A-001"])
    go.set()
    for _ in range(1000):
        looking.ask(["A-001"])
    eventually(lambda: looking.tick() or told.found_, "it has ended")
    assert told.found_ == ["new"], "what was seen before the change is not told"
    assert told.started_ == 2, "once for all who asked meanwhile"


def test_with_a_finding_come_all_that_was_asked_for_it_and_what_its_fixes_would_change(machine: Machine) -> None:
    read = Check(
        "A-001", "kernel", "a", lambda host: Finding("A-001", State.PASS, host.read("/proc/sys/kernel/ostype"))
    )
    with helped([read, simple("B-001"), simple("PRIV-001"), check(machine)]) as (_, heard, _):
        heard.look("A-001", "B-001", "PRIV-001", "TEST-001")
        found = {each.finding.id: each for each in heard.all(Found)}
    assert found["A-001"].details[0] == "host.read('/proc/sys/kernel/ostype') = 'Linux\\n'"
    assert found["A-001"].details[-1].startswith("A-001: pass: Linux")
    assert len(found["B-001"].details) == 1
    assert found["TEST-001"].previews == {"TEST-001.value": preview(machine.fix("value"), Host())}
    assert found["TEST-001"].previews["TEST-001.value"][0].old == "3"
    assert {each for each, event in found.items() if event.reach == access.reach(Host())} == {"PRIV-001"}


def test_a_helper_that_dies_is_told() -> None:
    with helped([hanging("H-001")]) as (jobs, heard, pid):
        jobs.look(["H-001"])
        heard.wait(Started)
        os.kill(pid, 9)
        heard.wait(Gone)
        assert not jobs.root
        with pytest.raises(LoadError, match="the helper"):
            jobs.client.loading(Request(), None).receive()


def test_a_helper_that_does_not_start_is_one_error() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    with pytest.raises(HelperError, match="could not be started"):
        Client(ours, os.getpid())


# Changing


@root
def test_a_fix_is_applied_looked_at_again_and_taken_back(machine: Machine) -> None:
    before = machine.picture()
    checks = [check(machine, after=("B-001",)), simple("B-001"), simple("C-001"), simple("E2E-001", area="proof")]
    with helped(checks, machine.settings) as (jobs, heard, _):
        assert jobs.root
        heard.look("TEST-001")
        apply(heard, "TEST-001.value")
        assert heard.wait(Ended) == Ended("apply", "TEST-001.value", good=True, changed=True)
        heard.look("TEST-001")
        assert heard.wait(Found).finding.id == "TEST-001"
        assert heard.findings["TEST-001"].state is State.PASS
        assert heard.in_force.applied == ("TEST-001.value",)
        assert (machine.root / "proc/value").read_text() == "2\n"
        jobs.undo("TEST-001.value")
        assert heard.wait(Ended, 2).good
        heard.look("TEST-001")
        assert heard.findings["TEST-001"].state is State.FAIL
        assert heard.in_force.applied == ()
        assert [(each.kind, each.good) for each in heard.all(Ended)] == [("apply", True), ("undo", True)]
    assert machine.picture() == before


@root
def test_output_comes_line_by_line_and_cancelling_takes_all_back(machine: Machine) -> None:
    before = machine.picture()
    (machine.root / "bin/apt-get").write_text(APT.replace("${SLOW:-0}", "60"))
    with helped([check(machine, "all")], machine.settings) as (jobs, heard, _):
        heard.look("TEST-001")
        apply(heard, "TEST-001.all")
        eventually(lambda: any("Unpacking bcc" in said.text for said in heard.all(Said)), "its output")
        assert (machine.root / "proc/value").read_text() == "2\n"
        apply(heard, "TEST-001.all")
        assert "one thing at a time" in heard.wait(Ended).text
        jobs.cancel()
        told = heard.wait(Ended, 2)
        assert (told.good, told.cancelled) == (False, True)
        assert "was cancelled, and what it had done was taken back" in told.text
    (machine.root / "bin/apt-get").write_text(APT)
    assert machine.picture() == before


@root
def test_an_undoing_that_is_cancelled_says_that_it_can_go_on(machine: Machine) -> None:
    before = machine.picture()
    dpkg = (machine.root / "bin/dpkg").read_text()
    with helped([check(machine, "packages")], machine.settings) as (jobs, heard, _):
        heard.look("TEST-001")
        apply(heard, "TEST-001.packages")
        assert heard.wait(Ended).good
        (machine.root / "bin/dpkg").write_text(f"#!/bin/sh\necho begun; sleep 60\n{dpkg}")
        jobs.undo("TEST-001.packages")
        eventually(lambda: any("begun" in said.text for said in heard.all(Said)), "its output")
        jobs.cancel()
        told = heard.wait(Ended, 2)
        assert (told.good, told.cancelled) == (False, True)
        assert told.text == "cancelled; what is still there can be taken back later"
        assert heard.in_force.mine == ("TEST-001.packages",)
        (machine.root / "bin/dpkg").write_text(dpkg)
        jobs.undo("TEST-001.packages")
        assert heard.wait(Ended, 3).good
    assert machine.picture() == before


@root
def test_a_failure_says_what_was_unwound(machine: Machine) -> None:
    before = machine.picture()
    (machine.root / "bin/apt-get").write_text("#!/bin/sh\necho 'E: no network'; exit 100\n")
    picture = machine.picture()
    with helped([check(machine, "all")], machine.settings) as (_, heard, _):
        heard.look("TEST-001")
        apply(heard, "TEST-001.all")
        told = heard.wait(Ended)
        assert not told.good
        assert "exited with status 100: E: no network; what it had done was taken back" in told.text
    assert machine.picture() == picture != before


@root
def test_a_parent_that_goes_in_the_middle_has_it_all_taken_back(machine: Machine) -> None:
    before = machine.picture()
    (machine.root / "bin/apt-get").write_text(APT.replace("${SLOW:-0}", "60"))
    with helped([check(machine, "all")], machine.settings) as (jobs, heard, pid):
        heard.look("TEST-001")
        apply(heard, "TEST-001.all")
        eventually(lambda: any("Unpacking bcc" in said.text for said in heard.all(Said)), "its output")
        jobs.close()
        assert ended(pid)
    (machine.root / "bin/apt-get").write_text(APT)
    assert machine.picture() == before
