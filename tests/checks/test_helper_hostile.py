"""The helper that stays root, and a parent that says what it should not: nothing is done."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import pytest

from denet_tui.bpf import handover
from denet_tui.bpf.errors import LoadError
from denet_tui.bpf.request import Request
from denet_tui.checks import helper
from denet_tui.checks.client import Client
from denet_tui.checks.jobs import Ended, Jobs, Looked
from denet_tui.checks.model import Check, Finding, State
from tests.checks.helped import Heard, check, forked, helped, in_child, root, simple, status_of
from tests.checks.machine import APT, Machine
from tests.watch.helpers import descriptors


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
            jobs._client.loading(Request(), None).receive()
        jobs.close()

    if os.geteuid() != 0:
        pytest.skip("needs root: it becomes nobody")
    in_child(body)
