"""The helper that stays root, and a parent that says what it should not: nothing is done."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from pathlib import Path

import pytest

from denet_tui.bpf import privilege
from denet_tui.bpf.errors import LoadError
from denet_tui.bpf.request import Request
from denet_tui.checks.host import Host
from denet_tui.checks.model import Check, Finding, SetValue, State
from denet_tui.helper import telling
from denet_tui.helper.client import Client
from denet_tui.helper.jobs import Ended, Jobs
from tests.helper.helped import Heard, Parent, apply, check, forked, helped, in_child, root, simple, status_of
from tests.repair.machine import APT, Machine
from tests.watch.helpers import descriptors, eventually


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "m")


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
        heard.look("TEST-001")
        apply(heard, wanted)
        told = heard.wait(Ended)
        assert (told.good, told.changed) == (False, False)
        assert "no fix that was found on this machine; nothing was changed" in told.text
        jobs.undo(wanted)
        assert "nothing to undo" in heard.wait(Ended, 2).text
    assert {**machine.picture(), "x": 0} == {**before, "x": 0}


@root
def test_nothing_is_applied_before_it_has_looked(machine: Machine) -> None:
    before = machine.picture()
    with helped([check(machine)], machine.settings) as (_, heard, _):
        apply(heard, "TEST-001.value")
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
    "two words": b'{"apply": "TEST-001.value", "shown": "", "undo": "TEST-001.value"}\n',
    "a word more": b'{"apply": "TEST-001.value", "shown": "", "settings": {"files": ["/etc/*"]}}\n',
    "a fix of the parent's": b'{"apply": {"id": "TEST-001.value", "changes": [{"argv": ["/bin/sh"]}]}, "shown": ""}\n',
    "a fix as it was shown": b'{"apply": "TEST-001.value", "shown": {"changes": [{"argv": ["/bin/sh"]}]}}\n',
    "a fix that was not shown": b'{"apply": "TEST-001.value"}\n',
    "many fixes": b'{"apply": ["TEST-001.value"], "shown": ""}\n',
    "an unknown check": b'{"look": ["TEST-001", "../TEST-001"]}\n',
    "no check": b'{"look": [1]}\n',
    "a way that there is none of": b'{"load": {"method": "/tmp/x", "sizes": {}, "only_wanted": false}}\n',
    "a program": b'{"load": {"method": "auto", "sizes": {}, "only_wanted": false, "program": ["-c", "x"]}}\n',
    "a map": b'{"load": {"method": "auto", "sizes": {"X": 1}, "only_wanted": false}}\n',
    "a huge map": b'{"load": {"method": "auto", "sizes": {"ROWS": 99999999999}, "only_wanted": false}}\n',
    "a size of true": b'{"load": {"method": "auto", "sizes": {"ROWS": true}, "only_wanted": false}}\n',
    "slots that are no power of two": b'{"load": {"method": "auto", "sizes": {"SLOTS": 3}, "only_wanted": false}}\n',
    "deep": b"[" * 4000 + b"\n",
    "long": b'{"undo": "' + b"A" * 5000 + b'"}\n',
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
            channel.sendall(JUNK[name])
            Parent(channel).ask(look=["TEST-001"])
            Parent(channel).apply(machine.fix("value"))
        assert status_of(pid) == 0
    assert machine.picture() == before


@root
def test_junk_after_a_request_takes_that_back_too(machine: Machine) -> None:
    before = machine.picture()
    (machine.root / "bin/apt-get").write_text(APT.replace("${SLOW:-0}", "60"))
    channel, pid = forked((check(machine, "all"),), machine.settings)
    with channel:
        parent = Parent(channel)
        parent.ask(look=["TEST-001"])
        parent.hear("found")
        parent.apply(machine.fix("all"))
        while "Unpacking bcc" not in parent.hear("said"):
            pass
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
    monkeypatch.setattr(telling, "_PATIENCE_S", 1)
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
        privilege.become(privilege.find_user("65534"))
        channel, pid = forked()
        jobs = Jobs(Client(channel, pid))
        heard = Heard(jobs)
        assert (jobs.root, jobs.may_load) == (False, False)
        heard.look("PRIV-001")
        assert heard.findings["PRIV-001"].state is State.FAIL
        with pytest.raises(LoadError, match="needs root"):
            jobs.client.loading(Request(), None).receive()
        jobs.close()

    if os.geteuid() != 0:
        pytest.skip("needs root: it becomes nobody")
    in_child(body)


# Undoing


@root
def test_what_was_applied_before_this_session_is_not_taken_back(machine: Machine) -> None:
    machine.repair().apply(machine.fix("value"))
    before = machine.picture()
    with helped([check(machine)], machine.settings) as (jobs, heard, _):
        eventually(
            lambda: heard.in_force.applied == ("TEST-001.value",), "it is told that there is something to take back"
        )
        jobs.undo("TEST-001.value")
        told = heard.wait(Ended)
        assert (told.good, told.changed) == (False, False)
        assert "setup --undo --only TEST-001.value" in told.text, "which root may type"
        assert heard.in_force.applied == ("TEST-001.value",)
    assert machine.picture() == before


@root
def test_of_a_fix_that_was_applied_twice_only_its_own_part_is_taken_back(machine: Machine) -> None:
    """The value was 3, set to 2 in an earlier session, to 5 by hand, and to 2 in this session."""
    machine.repair().apply(machine.fix("value"))
    (machine.root / "proc/value").write_text("5\n")
    before = machine.picture()
    with helped([check(machine)], machine.settings) as (jobs, heard, _):
        heard.look("TEST-001")
        apply(heard, "TEST-001.value")
        assert heard.wait(Ended).good
        assert heard.in_force.applied == ("TEST-001.value", "TEST-001.value")
        jobs.undo("TEST-001.value")
        assert heard.wait(Ended, 2) == Ended("undo", "TEST-001.value", good=True, changed=True)
        assert heard.in_force.applied == ("TEST-001.value",)
        jobs.undo("TEST-001.value")
        assert not heard.wait(Ended, 3).good
    journal = f"{machine.settings.state}/journal.jsonl"
    assert {**machine.picture(), journal: 0} == {**before, journal: 0}


@root
def test_what_another_setup_has_undone_and_applied_again_is_not_its_own(machine: Machine) -> None:
    with helped([check(machine)], machine.settings) as (jobs, heard, _):
        heard.look("TEST-001")
        apply(heard, "TEST-001.value")
        assert heard.wait(Ended).good
        assert machine.repair().undo() != []
        machine.repair().apply(machine.fix("value"))
        jobs.undo("TEST-001.value")
        assert not heard.wait(Ended, 2).good
    assert (machine.root / "proc/value").read_text() == "2\n"


# Applying what is so no more, or what the user was asked about


@root
def test_what_the_machine_needs_no_more_is_not_applied(machine: Machine) -> None:
    """A file that another guide left is to be deleted; meanwhile an administrator has written something else there."""
    path = machine.root / "etc/leftover.rules"

    def look(host: Host) -> Finding:
        known = host.read(str(path)) == "SUBSYSTEM==x\n"
        return Finding("TEST-001", State.FAIL, "left", fixes=(machine.fix("file"),) if known else ())

    with helped([Check("TEST-001", "kernel", "a file", look)], machine.settings) as (_, heard, _):
        heard.look("TEST-001")
        path.write_text("an administrator's own\n")
        before = machine.picture()
        apply(heard, "TEST-001.file")
        told = heard.wait(Ended)
        assert (told.good, told.changed) == (False, False)
        assert "this machine has changed since" in told.text
    assert machine.picture() == before


@root
def test_what_was_shown_is_applied_and_no_other_fix_of_that_name(machine: Machine) -> None:
    """The fix of one id would do something else by now, and the screen has not drawn that yet."""

    def look(host: Host) -> Finding:
        fix = machine.fix("value")
        wanted = (machine.root / "unit/read").read_text() or "2"
        changed = dataclasses.replace(fix, changes=(SetValue(f"{machine.root}/proc/value", wanted),))
        return Finding("TEST-001", State.FAIL, "bad", fixes=(changed,))

    with helped([Check("TEST-001", "kernel", "a value", look)], machine.settings) as (jobs, heard, _):
        heard.look("TEST-001")
        shown = heard.findings["TEST-001"].fixes[0]
        (machine.root / "unit/read").write_text("7")
        heard.look("TEST-001")
        before = machine.picture()
        jobs.apply(shown)
        assert "this machine has changed since" in heard.wait(Ended).text
        assert machine.picture() == before
        apply(heard, "TEST-001.value")
        assert heard.wait(Ended, 2).good
    assert (machine.root / "proc/value").read_text() == "7\n"


@root
def test_what_weakens_the_machine_is_never_applied(machine: Machine) -> None:
    before = machine.picture()

    def look(host: Host) -> Finding:
        opens = dataclasses.replace(machine.fix("value"), weakens="everything")
        return Finding("TEST-001", State.FAIL, "bad", fixes=(opens,))

    with helped([Check("TEST-001", "kernel", "a value", look)], machine.settings) as (_, heard, _):
        heard.look("TEST-001")
        apply(heard, "TEST-001.value")
        told = heard.wait(Ended)
        assert (told.good, told.changed) == (False, False)
        assert "setup --only TEST-001.value" in told.text
    assert machine.picture() == before
