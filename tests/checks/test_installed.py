"""PRIV-006 and PRIV-007: the group, and interpreters that carry capabilities."""

from __future__ import annotations

import dataclasses
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from denet_tui.bpf.privilege import User
from denet_tui.bpf.request import SOCKET
from denet_tui.checks import capabilities, installed
from denet_tui.checks.host import Host
from denet_tui.checks.model import Finding, RunCommand, State
from denet_tui.repair import repair
from tests.checks.fake import FakeHost, machine, status
from tests.checks.states import Seen, again, nobody, see

# PRIV-006


@pytest.mark.root
def test_a_group_of_this_session_and_one_that_it_does_not_know_yet(tmp_path: Path) -> None:
    groups = tmp_path / "group"
    groups.write_text(Path("/etc/group").read_text() + "denet-trace:x:4999:nobody\n")
    made = f"mount --bind {groups} /etc/group && mount -t tmpfs tmpfs /run && mkdir {Path(SOCKET).parent} && > {SOCKET}"
    change = ["unshare", "--mount", "sh", "-c", f'{made} && exec "$@"', "sh"]
    late = see([*change, *nobody()], "privileges")
    assert late.found["PRIV-006"]["state"] == "warn"
    assert late.found["PRIV-006"]["fixes"][0][0] == "PRIV-006.login"
    known = ["setpriv", "--reuid=65534", "--regid=65534", "--groups=4999", "--inh-caps=-all", "--ambient-caps=-all"]
    assert see([*change, *known, *again()], "privileges").found["PRIV-006"]["state"] == "pass"


def group(text: str, *, uid: int = 1000, there: bool = True, **more: object) -> Finding:
    """PRIV-006 for ann (1000), whose session has the groups in `text`, or root where `uid` is 0."""
    files = {"/etc/group": text, "/usr/bin/gpasswd": "", **({SOCKET: ""} if there else {})}
    files |= more.pop("files", {})  # type: ignore[arg-type]
    answers = {"asker": User(1000, 1000, "ann", "/"), **more}
    own = status(Uid=f"{uid}\t" * 4, Groups="1000 27", PPid="77")
    return installed.group(machine(own, files=files, uid=uid, modes={"/usr/bin/gpasswd": 0o755}, answers=answers))


def test_who_is_not_in_the_group_may_join_it() -> None:
    found = group("denet-trace:x:990:bob\n")
    assert (found.state, found.title) == (State.SKIP, "you are not in the group denet-trace: sudo is your way")
    (fix,) = found.fixes
    assert fix.changes == (
        RunCommand(
            ("/usr/bin/gpasswd", "--add", "ann", "denet-trace"),
            undo=("/usr/bin/gpasswd", "--delete", "ann", "denet-trace"),
        ),
    )
    assert fix.weakens
    assert group("denet-trace:x:990:bob\n", asker=User(1000, 1000, "--root=/tmp", "/")).fixes == ()


def test_a_group_without_the_socket_gives_nothing() -> None:
    for names in ("", "ann"):
        found = group(f"denet-trace:x:990:{names}\n", there=False)
        assert (found.state, found.fixes) == (State.SKIP, ())
        assert "denet-tui-loader.socket is not there" in found.title


def test_root_and_machines_without_the_group_need_nothing() -> None:
    assert group("root:x:0:\n").state is State.SKIP
    assert group("denet-trace:x:990:\n", uid=0, asker=User(0, 0, "root", "/")).state is State.SKIP
    assert group("denet-trace:x:990:\n", asker=KeyError("x")).state is State.UNKNOWN


@pytest.mark.parametrize(("groups", "state"), [("1000 990", State.PASS), ("1000", State.WARN)])
def test_under_sudo_the_session_that_it_was_started_from_counts(groups: str, state: State) -> None:
    sudo, shell = status(Uid="0\t" * 4, Groups="0", PPid="60"), status(Uid="1000\t" * 4, Groups=groups, PPid="1")
    above = {"/proc/77/status": sudo, "/proc/60/status": shell}
    assert group("denet-trace:x:990:ann\n", uid=0, files=above).state is state


def test_a_session_that_cannot_be_seen_is_unknown() -> None:
    assert group("denet-trace:x:990:ann\n", uid=0).state is State.UNKNOWN


def test_a_membership_counts_as_applied_though_a_new_login_is_needed() -> None:
    (fix,) = group("denet-trace:x:990:\n").fixes
    assert repair.holds(fix, [group("denet-trace:x:990:ann\n")])
    assert not repair.holds(fix, [dataclasses.replace(group("denet-trace:x:990:ann\n"), fixes=(fix,))])


# PRIV-007


class Programs(Host):
    """The real machine with one more folder of programs, and no other."""

    def __init__(self, folder: Path, python: str = "/nonexistent") -> None:
        self.folder, self.python = folder, python

    def search_path(self) -> list[str]:
        return [str(self.folder)]

    def interpreter(self) -> str:
        return self.python


def give(path: Path, text: str) -> None:
    if not shutil.which("setcap"):
        pytest.skip("needs setcap")
    if subprocess.run(["setcap", text, str(path)], capture_output=True).returncode:
        pytest.skip("needs a filesystem with file capabilities")


def carried(folder: Path) -> Finding:
    return installed.carriers(Programs(folder))


@pytest.mark.root
@pytest.mark.parametrize(
    ("name", "of"), [("python3.11", "true"), ("helper", sys.executable), ("script", "#!"), ("perl", "true")]
)
def test_an_interpreter_that_carries_capabilities_fails(tmp_path: Path, name: str, of: str) -> None:
    target = tmp_path / name
    if of == "#!":
        target.write_text("#!/bin/sh\n")
    else:
        shutil.copy(os.path.realpath(shutil.which(of) or of), target)
    (tmp_path / "other-name").symlink_to(target)
    assert carried(tmp_path).state is State.PASS
    give(target, "cap_bpf,cap_perfmon=ep")
    found = carried(tmp_path)
    assert found.state is State.FAIL
    assert [(each.source, each.value) for each in found.evidence] == [(str(target), "cap_perfmon,cap_bpf=ep")]
    assert found.blocks == ()


@pytest.mark.root
@pytest.mark.parametrize(
    "text", ["cap_bpf=ep", "cap_bpf,cap_perfmon=p", "cap_net_raw=eip cap_bpf=ei", "cap_dac_read_search=i", "all=ep"]
)
def test_taking_capabilities_off_and_putting_them_back(tmp_path: Path, text: str) -> None:
    target = tmp_path / "python3"
    shutil.copy("/bin/true", target)
    give(target, text)
    before = os.getxattr(target, "security.capability")
    (fix,) = carried(tmp_path).fixes
    (change,) = fix.changes
    assert isinstance(change, RunCommand)
    subprocess.run(change.argv, check=True, capture_output=True)
    assert carried(tmp_path).state is State.PASS
    subprocess.run(change.undo or (), check=True, capture_output=True)
    assert os.getxattr(target, "security.capability") == before


@pytest.mark.root
def test_programs_that_are_meant_to_carry_capabilities_pass(tmp_path: Path) -> None:
    shutil.copy("/bin/true", tmp_path / "ping")
    give(tmp_path / "ping", "cap_net_raw=ep")
    assert carried(tmp_path).state is State.PASS


@pytest.mark.root
def test_the_interpreter_that_runs_this_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    shutil.copy("/bin/true", tmp_path / "own/mine")
    give(tmp_path / "own/mine", "cap_bpf=ep")
    (tmp_path / "empty").mkdir()
    found = installed.carriers(Programs(tmp_path / "empty", str(tmp_path / "own/mine")))
    assert found.state is State.FAIL


@pytest.mark.root
def test_a_web_server_on_a_low_port_is_left_alone(tmp_path: Path) -> None:
    shutil.copy("/bin/true", tmp_path / "node")
    give(tmp_path / "node", "cap_net_bind_service=ep")
    found = carried(tmp_path)
    assert (found.state, found.fixes) == (State.WARN, ())


def test_without_setcap_the_fix_says_what_to_run() -> None:
    attribute = struct.pack("<5I", 0x02000001, 0, 0, 1 << 7, 0)
    host = FakeHost({"/usr/bin/perl": "ELF"}, attributes={"/usr/bin/perl": attribute})
    (fix,) = installed.carriers(host).fixes
    assert fix.changes == ()
    assert "setcap -r /usr/bin/perl" in fix.advice


def test_capabilities_of_a_user_namespace_are_put_back_for_its_root() -> None:
    attribute = struct.pack("<6I", 0x03000001, 1 << 21, 0, 1 << 7, 0, 100_000)
    programs = {"/usr/bin/perl": "ELF", "/usr/sbin/setcap": "ELF"}
    host = FakeHost(programs, attributes={"/usr/bin/perl": attribute}, modes=dict.fromkeys(programs, 0o755))
    (change,) = installed.carriers(host).fixes[0].changes
    undo = ("/usr/sbin/setcap", "-n", "100000", "cap_sys_admin,cap_bpf=ep", "/usr/bin/perl")
    assert change == RunCommand(("/usr/sbin/setcap", "-r", "/usr/bin/perl"), undo=undo)


@given(st.binary(max_size=40))
def test_any_attribute_is_parsed(attribute: bytes) -> None:
    found = capabilities.parse(attribute)
    if found is not None and found.numbers:
        assert found.text


def test_a_capability_newer_than_the_list_is_a_number() -> None:
    held = capabilities.FileCapabilities(1 << 50 | 1 << 39, 0, effective=True)
    assert held.text == "cap_bpf,50=ep"


def test_seen_knows_what_is_wrong() -> None:
    assert Seen({"A": {"id": "A", "state": "fail"}, "B": {"id": "B", "state": "unknown"}}).wrong == {"A"}
