"""PRIV-005 to PRIV-007: the launcher, the group, and interpreters that carry capabilities."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from denet_tui.bpf.handover import User
from denet_tui.checks import capabilities, installed
from denet_tui.checks.host import Host
from denet_tui.checks.model import Finding, RunCommand, State
from tests.checks.fake import FakeHost, machine, status
from tests.checks.states import Seen, again, nobody, see


class Elsewhere(Host):
    """The real machine with /opt and /usr/local below another folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def lstat(self, path: str) -> os.stat_result:
        return super().lstat(f"{self.root}{path}")

    def stat(self, path: str) -> os.stat_result:
        return super().stat(f"{self.root}{path}")

    def names(self, path: str) -> list[str]:
        return super().names(f"{self.root}{path}")


@pytest.fixture
def installation(tmp_path: Path) -> Path:
    """A launcher as it should be."""
    inside = tmp_path / "opt/denet-tui/lib"
    inside.mkdir(parents=True)
    (inside / "loader.py").write_text("")
    (tmp_path / "usr/local/bin").mkdir(parents=True)
    (tmp_path / "usr/local/bin/denet-tui").write_text("")
    (inside / "python3").symlink_to(os.path.realpath("/usr/bin/env"))
    for path in (*tmp_path.rglob("*"), tmp_path):
        if not path.is_symlink():
            path.chmod(0o755)
    return tmp_path


def test_no_launcher_is_no_fault(tmp_path: Path) -> None:
    assert installed.launcher(Elsewhere(tmp_path)).state is State.SKIP


@pytest.mark.root
def test_a_launcher_of_root_alone_passes(installation: Path) -> None:
    found = installed.launcher(Elsewhere(installation))
    assert (found.state, found.evidence[0].value[:7]) == (State.PASS, "6 files")


@pytest.mark.root
@pytest.mark.parametrize("path", ["opt", "opt/denet-tui/lib/loader.py", "opt/denet-tui/lib", "usr/local/bin/denet-tui"])
@pytest.mark.parametrize("how", ["others", "group", "owner"])
def test_a_launcher_that_others_can_change_fails(installation: Path, path: str, how: str) -> None:
    target = installation / path
    if how == "owner":
        os.chown(target, 65534, 0)
    else:
        os.chown(target, 0, 65534)
        target.chmod(0o757 if how == "others" else 0o775)
    found = installed.launcher(Elsewhere(installation))
    assert found.state is State.FAIL
    assert [each.source for each in found.evidence] == [f"/{path}"]
    assert found.blocks == ()
    assert found.fixes[0].advice


@pytest.mark.root
def test_a_link_out_of_the_launcher_is_followed(installation: Path, tmp_path: Path) -> None:
    planted = tmp_path / "planted"
    planted.write_text("")
    os.chown(planted, 65534, 65534)
    (installation / "opt/denet-tui/lib/more.py").symlink_to(planted)
    found = installed.launcher(Elsewhere(installation))
    assert [each.source for each in found.evidence] == ["/opt/denet-tui/lib/more.py"]


# PRIV-006


@pytest.mark.root
def test_a_group_of_this_session_and_one_that_it_does_not_know_yet(tmp_path: Path) -> None:
    groups = tmp_path / "group"
    groups.write_text(Path("/etc/group").read_text() + "denet-trace:x:4999:nobody\n")
    change = ["unshare", "--mount", "sh", "-c", f'mount --bind {groups} /etc/group && exec "$@"', "sh"]
    late = see([*change, *nobody()], "privileges")
    assert late.found["PRIV-006"]["state"] == "warn"
    assert late.found["PRIV-006"]["fixes"][0][0] == "PRIV-006.login"
    known = ["setpriv", "--reuid=65534", "--regid=65534", "--groups=4999", "--inh-caps=-all", "--ambient-caps=-all"]
    assert see([*change, *known, *again()], "privileges").found["PRIV-006"]["state"] == "pass"


def test_who_is_not_in_the_group_may_join_it() -> None:
    files = {"/etc/group": "denet-trace:x:990:bob\n", "/usr/bin/gpasswd": "", "/usr/local/bin/denet-tui": ""}
    host = machine(status(), files=files, uid=1000, modes={"/usr/bin/gpasswd": 0o755})
    found = installed.group(host)
    assert found.state is State.PASS
    (fix,) = found.fixes
    assert fix.changes == (
        RunCommand(
            ("/usr/bin/gpasswd", "--add", "ann", "denet-trace"),
            undo=("/usr/bin/gpasswd", "--delete", "ann", "denet-trace"),
        ),
    )
    assert fix.weakens
    without_launcher = machine(status(), files={"/etc/group": files["/etc/group"]}, uid=1000)
    assert installed.group(without_launcher).fixes == ()
    host.answers["asker"] = User(1000, 1000, "--root=/tmp", "/")
    assert installed.group(host).fixes == ()


def test_root_and_machines_without_the_group_need_nothing() -> None:
    assert installed.group(machine(status(), files={"/etc/group": "root:x:0:\n"})).state is State.SKIP
    assert installed.group(machine(status(), files={"/etc/group": "denet-trace:x:990:\n"})).state is State.SKIP
    behind_sudo = machine(
        status(), files={"/etc/group": "denet-trace:x:990:ann\n"}, answers={"asker": User(1000, 1000, "ann", "/")}
    )
    assert installed.group(behind_sudo).state is State.PASS
    nobody_there = machine(status(), files={"/etc/group": "denet-trace:x:990:\n"}, answers={"asker": KeyError("x")})
    assert installed.group(nobody_there).state is State.UNKNOWN


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
