"""The helper that stays root: what it does for its parent, and what it does not, whatever that says."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from denet_tui.bpf import burst, handover
from denet_tui.bpf.errors import LoadError
from denet_tui.bpf.names import numbers
from denet_tui.bpf.tracer import Tracer
from denet_tui.checks import catalogue, helper, wire
from denet_tui.checks.client import Client, HelperError
from denet_tui.checks.host import Host
from denet_tui.checks.jobs import Counted, Ended, Found, Gone, Jobs, Looked, Proved, Said, Started
from denet_tui.checks.looking import Looking
from denet_tui.checks.model import BOTH, Check, Evidence, Finding, Fix, RunCommand, SetValue, State, WriteFile
from tests.checks.helped import Heard, ended, forked, helped, status_of
from tests.checks.machine import APT, Machine, in_own_mounts
from tests.watch.helpers import descriptors, eventually

root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it writes as root")


def check(machine: Machine, name: str = "value", after: tuple[str, ...] = ()) -> Check:
    """TEST-001: content where the machine has the value 2; offers a fix of this name."""

    def look(host: Host) -> Finding:
        value = host.read(f"{machine.root}/proc/value").strip()
        if value == "2":
            return Finding("TEST-001", State.PASS, "good", (Evidence("value", value),))
        fixes = (machine.fix(name),)
        return Finding("TEST-001", State.FAIL, "bad", (Evidence("value", value),), "because", BOTH, fixes)

    return Check("TEST-001", "kernel", "a value", look, after=after)


def simple(identity: str, state: State = State.PASS, area: str = "kernel") -> Check:
    return Check(identity, area, identity.lower(), lambda host: Finding(identity, state, "so it is"))


def hanging(identity: str) -> Check:
    def hang(host: Host) -> Finding:
        time.sleep(600)
        raise AssertionError

    return Check(identity, "kernel", "a dead network mount", hang)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "m")


# What is handed back and forth


def test_nothing_of_a_finding_is_lost_on_the_way() -> None:
    changes = (
        RunCommand(("/usr/bin/mount", "a b"), undo=("/usr/bin/umount",), streams=True),
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
    for each in catalogue.run(Host(), [one for one in catalogue.by_id if one not in catalogue.WAITS]):
        assert wire.from_json(json.loads(json.dumps(wire.to_json(each)))) == each


# Looking


def test_each_result_comes_by_itself_and_the_end_is_said() -> None:
    with helped([simple("A-001"), simple("B-001", State.WARN), simple("E2E-001")]) as (jobs, heard, _):
        jobs.look()
        heard.wait(Looked)
        assert {event.id for event in heard.all(Started)} == {"A-001", "B-001", "E2E-001"}
        assert {event.finding.id: event.finding.state for event in heard.all(Found)} == {
            "A-001": "pass",
            "B-001": "warn",
            "E2E-001": "pass",
        }
        assert list(jobs.findings) == ["A-001", "B-001", "E2E-001"]
        assert not jobs.looking


def test_a_check_that_hangs_is_slow_holds_nobody_up_and_can_be_skipped() -> None:
    quick = [simple(f"Q-{number:03}") for number in range(20)]
    hung = [hanging(f"H-{number:03}") for number in range(6)]  # more than there are lanes
    with helped([*hung, *quick]) as (jobs, heard, pid):
        jobs.look()
        eventually(lambda: len(heard.all(Found)) == 20, "the others come")
        eventually(lambda: len(jobs.slow) == 6, "all that hang are said to be slow")
        assert jobs.looking == {each.id for each in hung}
        assert not heard.all(Looked)
        for each in hung:
            jobs.skip(each.id)
        heard.wait(Looked)
        assert {jobs.findings[each.id].state for each in hung} == {State.UNKNOWN}
        assert jobs.findings["H-000"].title == "a dead network mount: skipped"
        jobs.look(["Q-000"])
        heard.wait(Found, 27)
    assert ended(pid), "what hangs does not hold up the end either"


def test_what_is_asked_again_meanwhile_is_looked_at_again() -> None:
    class Told:
        found_: list[str]

        def __init__(self) -> None:
            self.found_, self.started_ = [], 0

        def started(self, identity: str) -> None:
            self.started_ += 1

        def slow(self, identity: str) -> None: ...

        def found(self, finding: Finding, details: list[str]) -> None:
            self.found_.append(finding.title)

    go, world = threading.Event(), {"value": "old"}

    def look(host: Host) -> Finding:
        seen = world["value"]
        go.wait(20)
        return Finding("A-001", State.PASS, seen)

    told = Told()
    looking = Looking(told, checks=[Check("A-001", "kernel", "a", look)])
    looking.ask(["A-001"])
    eventually(lambda: told.started_ == 1, "it is at work")
    world["value"] = "new"
    looking.ask(["A-001"])
    go.set()
    eventually(lambda: told.found_, "it has ended")
    assert told.found_ == ["new"], "what was seen before the change is not told"
    assert told.started_ == 2


def test_details_are_all_that_a_check_asked() -> None:
    read = Check(
        "A-001", "kernel", "a", lambda host: Finding("A-001", State.PASS, host.read("/proc/sys/kernel/ostype"))
    )
    with helped([read, simple("B-001")]) as (jobs, heard, _):
        jobs.look()
        heard.wait(Looked)
        assert jobs.details("A-001")[0] == "host.read('/proc/sys/kernel/ostype') = 'Linux\\n'"
        assert jobs.details("A-001")[-1].startswith("A-001: pass: Linux")
        assert len(jobs.details("B-001")) == 1


def test_a_helper_that_dies_is_told_and_leaves_nothing_waiting() -> None:
    with helped([hanging("H-001")]) as (jobs, heard, pid):
        jobs.look()
        heard.wait(Started)
        os.kill(pid, 9)
        heard.wait(Gone)
        assert jobs.findings["H-001"].state is State.UNKNOWN
        assert not jobs.looking
        assert not jobs.root
        with pytest.raises(LoadError, match="the helper"):
            jobs.load()


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
        jobs.look(["TEST-001"])
        heard.wait(Looked)
        jobs.apply("TEST-001.value")
        assert heard.wait(Ended) == Ended("apply", "TEST-001.value", good=True, changed=True)
        heard.wait(Looked, 2)
        assert heard.wait(Found).finding.id == "TEST-001"
        assert {event.finding.id for event in heard.all(Found)[1:]} == {"TEST-001", "B-001", "E2E-001"}
        assert jobs.findings["TEST-001"].state is State.PASS
        assert jobs.applied == ("TEST-001.value",)
        assert (machine.root / "proc/value").read_text() == "2\n"
        jobs.undo("TEST-001.value")
        assert heard.wait(Ended, 2).good
        heard.wait(Looked, 3)
        assert jobs.findings["TEST-001"].state is State.FAIL
        assert jobs.applied == ()
        assert [(each.kind, each.good) for each in jobs.done] == [("apply", True), ("undo", True)]
    assert machine.picture() == before


@root
def test_output_comes_line_by_line_and_cancelling_takes_all_back(machine: Machine) -> None:
    before = machine.picture()
    (machine.root / "bin/apt-get").write_text(APT.replace("${SLOW:-0}", "60"))
    with helped([check(machine, "all")], machine.settings) as (jobs, heard, _):
        jobs.look()
        heard.wait(Looked)
        jobs.apply("TEST-001.all")
        eventually(lambda: any("Unpacking bcc" in said.text for said in heard.all(Said)), "its output")
        assert (machine.root / "proc/value").read_text() == "2\n"
        jobs.apply("TEST-001.all")
        assert "one thing at a time" in heard.wait(Ended).text
        jobs.cancel()
        told = heard.wait(Ended, 2)
        assert (told.good, told.cancelled) == (False, True)
        assert "was cancelled, and what it had done was taken back" in told.text
        assert jobs.busy is None
    (machine.root / "bin/apt-get").write_text(APT)
    assert machine.picture() == before


@root
def test_a_failure_says_what_was_unwound(machine: Machine) -> None:
    before = machine.picture()
    (machine.root / "bin/apt-get").write_text("#!/bin/sh\necho 'E: no network'; exit 100\n")
    picture = machine.picture()
    with helped([check(machine, "all")], machine.settings) as (jobs, heard, _):
        jobs.look()
        heard.wait(Looked)
        jobs.apply("TEST-001.all")
        told = heard.wait(Ended)
        assert not told.good
        assert "ended with status 100: E: no network; what it had done was taken back" in told.text
    assert machine.picture() == picture != before


@root
def test_a_parent_that_goes_in_the_middle_has_it_all_taken_back(machine: Machine) -> None:
    before = machine.picture()
    (machine.root / "bin/apt-get").write_text(APT.replace("${SLOW:-0}", "60"))
    with helped([check(machine, "all")], machine.settings) as (jobs, heard, pid):
        jobs.look()
        heard.wait(Looked)
        jobs.apply("TEST-001.all")
        eventually(lambda: any("Unpacking bcc" in said.text for said in heard.all(Said)), "its output")
        jobs.close()
        assert ended(pid)
    (machine.root / "bin/apt-get").write_text(APT)
    assert machine.picture() == before


@root
@pytest.mark.parametrize(
    "wanted",
    [
        "TEST-001.file",  # exists, but it is not what this machine needs
        "TEST-001",
        "TEST-001.value ",
        "TEST-001.value\n",
        "FS-001.mount",
        "../../TEST-001.value",
        "/proc/self/root",
        "$(touch /tmp/x)",
        "",
        "A" * 3000,
    ],
)
def test_only_what_it_found_itself_is_applied(machine: Machine, wanted: str) -> None:
    before = machine.picture()
    with helped([check(machine)], machine.settings) as (jobs, heard, _):
        jobs.look()
        heard.wait(Looked)
        jobs.apply(wanted)
        told = heard.wait(Ended)
        assert (told.good, told.changed) == (False, False)
        assert "no fix that was found on this machine; nothing was changed" in told.text
        jobs.undo(wanted)
        assert "nothing to undo" in heard.wait(Ended, 2).text
    assert {**machine.picture(), "x": 0} == {**before, "x": 0}


@root
def test_nothing_is_applied_before_it_has_looked(machine: Machine) -> None:
    before = machine.picture()
    with helped([check(machine)], machine.settings) as (jobs, heard, _):
        jobs.apply("TEST-001.value")
        assert "no fix that was found" in heard.wait(Ended).text
    assert machine.picture() == before


JUNK: dict[str, bytes] = {
    "no json": b"hello\n",
    "half of it": b'{"apply": "TEST-0\n',
    "bytes": b"\xff\xfe\x00\x01\n",
    "an empty line": b"\n",
    "a list": b'["apply", "TEST-001.value"]\n',
    "a number": b"7\n",
    "nothing": b"{}\n",
    "an unknown word": b'{"run": ["/bin/sh"]}\n',
    "two words": b'{"apply": "TEST-001.value", "undo": "TEST-001.value"}\n',
    "a word more": b'{"apply": "TEST-001.value", "settings": {"files": ["/etc/*"]}}\n',
    "a fix of the parent's": b'{"apply": {"id": "TEST-001.value", "changes": [{"argv": ["/bin/sh"]}]}}\n',
    "many fixes": b'{"apply": ["TEST-001.value"]}\n',
    "an unknown check": b'{"look": ["TEST-001", "../TEST-001"]}\n',
    "no check": b'{"look": [1]}\n',
    "a way that there is none of": b'{"load": {"way": "/tmp/x", "sizes": {}, "only_wanted": false}}\n',
    "a program": b'{"load": {"way": "auto", "sizes": {}, "only_wanted": false, "program": ["-c", "x"]}}\n',
    "a map": b'{"load": {"way": "auto", "sizes": {"X": 1}, "only_wanted": false}}\n',
    "a huge map": b'{"load": {"way": "auto", "sizes": {"ROWS": 99999999999}, "only_wanted": false}}\n',
    "a size of true": b'{"load": {"way": "auto", "sizes": {"ROWS": true}, "only_wanted": false}}\n',
    "slots that are no power of two": b'{"load": {"way": "auto", "sizes": {"SLOTS": 3}, "only_wanted": false}}\n',
    "deep": b"[" * 4000 + b"\n",
    "long": b'{"apply": "' + b"A" * 5000 + b'"}\n',
    "huge, without an end": b"A" * 1_000_000,
    "cancel what": b'{"cancel": "all"}\n',
}


@root
@pytest.mark.parametrize("name", JUNK)
def test_junk_ends_it_with_nothing_done(machine: Machine, name: str) -> None:
    before = machine.picture()
    channel, pid = forked((check(machine),), machine.settings)
    with channel:
        heard = channel.recv(1 << 16)
        assert b"may_load" in heard
        with contextlib.suppress(OSError):  # it has gone already
            channel.sendall(JUNK[name] + b'{"look": ["TEST-001"]}\n{"apply": "TEST-001.value"}\n')
        assert status_of(pid) == 0
    assert machine.picture() == before


@root
def test_junk_after_a_request_takes_that_back_too(machine: Machine) -> None:
    before = machine.picture()
    (machine.root / "bin/apt-get").write_text(APT.replace("${SLOW:-0}", "60"))
    channel, pid = forked((check(machine, "all"),), machine.settings)
    with channel:
        channel.sendall(b'{"look": ["TEST-001"]}\n')
        said = b""
        while b'"found"' not in said:
            said += channel.recv(1 << 16)
        channel.sendall(b'{"apply": "TEST-001.all"}\n')
        while b"Unpacking bcc" not in said:
            said += channel.recv(1 << 16)
        channel.sendall(b"junk\n")
        assert status_of(pid) == 0
    (machine.root / "bin/apt-get").write_text(APT)
    assert machine.picture() == before


def test_a_request_may_come_in_pieces_and_several_at_once() -> None:
    channel, pid = forked((simple("A-001"), simple("B-001")))
    with channel:
        for piece in (b'{"lo', b'ok": ["A-001"]', b'}\n{"look": ["B-001"]}\n'):
            channel.sendall(piece)
            time.sleep(0.02)
        said = b""
        while said.count(b'"found"') < 2:
            said += channel.recv(1 << 16)
    assert status_of(pid) == 0


@root
def test_a_parent_that_does_not_read_is_given_up(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helper, "_PATIENCE_S", 1)
    loud = Check("A-001", "kernel", "a", lambda host: Finding("A-001", State.PASS, "x" * 5_000_000))
    channel, pid = forked((loud,), machine.settings)
    with channel:
        channel.sendall(b'{"look": ["A-001"]}\n')
        assert status_of(pid) == 0


def test_what_the_helper_holds_of_its_parent(tmp_path: Path) -> None:
    with (tmp_path / "secret").open("w"), helped([simple("A-001")]) as (_, _, pid):
        held = descriptors(pid)
        assert {held.pop(number) for number in (0, 1, 2)} == {"/dev/null"}
        assert [each.partition(":")[0] for each in held.values()] == ["socket"]
        assert Path(f"/proc/{pid}/cwd").readlink() == Path("/")
        assert os.getsid(pid) == pid, "no terminal's signals reach it"


def test_without_root_nothing_is_changed_or_loaded() -> None:
    def body() -> None:
        handover.become(handover.find_user("65534"))
        channel, pid = forked()
        jobs = Jobs(Client(channel, pid))
        heard = Heard(jobs)
        assert (jobs.root, jobs.may_load) == (False, False)
        jobs.look(["PRIV-001"])
        heard.wait(Looked)
        assert jobs.findings["PRIV-001"].state is State.FAIL
        with pytest.raises(LoadError, match="needs root"):
            jobs.load()
        jobs.close()

    if os.geteuid() != 0:
        pytest.skip("needs root: it becomes nobody")
    in_child(body)


def in_child(body: Any) -> None:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            body()
            status = 0
        finally:
            os._exit(status)
    assert status_of(pid) == 0


# The real thing


@pytest.mark.root
def test_the_proof_grows_and_ends_exactly_in_a_process_without_privilege() -> None:
    def body() -> None:
        channel, pid = forked()
        handover.become(handover.find_user("65534"))
        jobs = Jobs(Client(channel, pid))
        heard = Heard(jobs)
        jobs.prove()
        told = heard.wait(Proved)
        assert told.exact, told
        assert (told.outcome.made, told.outcome.counted, told.way) == (1000, 1000, "raw")  # type: ignore[union-attr]
        counted = [(event.made, event.counted) for event in heard.all(Counted)]
        assert counted == [(made, made) for made in range(50, 1001, 50)]
        assert not [name for name in descriptors(os.getpid()).values() if "bpf" in name], "nothing is held afterwards"
        jobs.close()

    in_child(body)


@pytest.mark.root
def test_a_real_fix_is_applied_by_the_helper_for_a_process_without_privilege() -> None:
    """FS-001 in a mount namespace of its own: mounted, seen by the real checks, and unmounted again."""

    def body() -> None:
        subprocess.run(["sh", "-c", "umount -a -t tracefs; mount -t tmpfs -o mode=755 tmpfs /var/lib"], check=True)
        channel, pid = forked([catalogue.by_id[each] for each in ("FS-001", "FS-002")])
        handover.become(handover.find_user("65534"))
        jobs = Jobs(Client(channel, pid), [catalogue.by_id[each] for each in ("FS-001", "FS-002")])
        heard = Heard(jobs)
        jobs.look()
        heard.wait(Looked)
        assert jobs.findings["FS-001"].state is State.FAIL
        jobs.apply("FS-001.mount")
        assert heard.wait(Ended).good, heard.events
        heard.wait(Looked, 2)
        assert {jobs.findings[each].state for each in ("FS-001", "FS-002")} == {State.PASS}
        assert any("mount -t tracefs" in said.text for said in heard.all(Said))
        jobs.undo("FS-001.mount")
        assert heard.wait(Ended, 2).good, heard.events
        heard.wait(Looked, 3)
        assert jobs.findings["FS-001"].state is State.FAIL
        jobs.close()

    in_own_mounts(body)


@pytest.mark.root
def test_a_file_of_the_kernel_that_never_answers_holds_up_its_check_alone() -> None:
    """A pipe that nobody writes to lies where KERN-002 reads: the real catalogue goes on."""

    def body() -> None:
        fifo = "mount -t tmpfs tmpfs /mnt && mkfifo /mnt/f && mount --bind /mnt/f /proc/config.gz"
        if not Path("/proc/config.gz").exists() or subprocess.run(["sh", "-c", fifo]).returncode:
            return
        kernel = [each.id for each in catalogue.ALL if each.area == "kernel"]
        channel, pid = forked()
        jobs = Jobs(Client(channel, pid))
        heard = Heard(jobs)
        jobs.look(kernel)
        eventually(lambda: len(heard.all(Found)) == len(kernel) - 1 and jobs.slow, "all the others")
        assert jobs.looking == jobs.slow == {"KERN-002"}
        jobs.skip("KERN-002")
        heard.wait(Looked)
        jobs.close()
        assert ended(pid)

    in_own_mounts(body)


@pytest.mark.root
def test_the_burst_is_counted_beside_a_handler_of_sigcont() -> None:
    """Textual has one: in the child that is stopped and continued it would run the screen's code."""

    def body() -> None:
        signal.signal(signal.SIGCONT, lambda *_: os._exit(3))
        kernel = handover.Loading("raw").receive()
        tracer = Tracer(kernel)
        seen: list[tuple[int, int]] = []
        outcome = burst.count(tracer, numbers()["read"], lambda made, counted: seen.append((made, counted)))
        assert outcome.exact
        assert seen[-1] == (1000, 1000)
        assert len(seen) == 20

    in_child(body)
