"""PRIV-001 to PRIV-007, on this machine made wrong for one process, and on machines that cannot be made here."""

from __future__ import annotations

import errno
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
from denet_tui.checks import capabilities, installed, privileges
from denet_tui.checks.host import Host
from denet_tui.checks.model import Finding, RunCommand, State
from tests.checks.fake import FakeHost
from tests.checks.states import Seen, again, filtered, nobody, see, without

ALL_MODULES = ("privileges", "kernel", "limits")
NONE, BOTH, FULL = "0" * 16, "000000c000000000", "000001ffffffffff"


def status(effective: str = NONE, bounding: str = FULL, nnp: int = 0, seccomp: int = 0, **more: str) -> str:
    fields = {"CapEff": effective, "CapBnd": bounding, "NoNewPrivs": nnp, "Seccomp": seccomp, "Gid": "7\t7\t7\t7"}
    return "".join(f"{name}:\t{value}\n" for name, value in (fields | more).items())


def machine(text: str, **options: object) -> FakeHost:
    files = {"/proc/self/status": text, "/proc/self/uid_map": "0 0 4294967295", "/proc/sys/kernel/cap_last_cap": "40\n"}
    files |= options.pop("files", {})  # type: ignore[arg-type]
    return FakeHost(files, **options)  # type: ignore[arg-type]


@pytest.mark.root
def test_nothing_is_wrong_with_this_machine() -> None:
    seen = see((), *ALL_MODULES)
    assert len(seen.found) == 18
    assert seen.wrong == set()
    assert seen.found["PRIV-001"]["title"] == "root may load BPF programs"


@pytest.mark.root
@pytest.mark.parametrize(
    ("state", "lacking"),
    [
        (nobody(), "CAP_BPF and CAP_PERFMON"),
        (nobody("bpf"), "CAP_PERFMON"),
        (nobody("perfmon"), "CAP_BPF"),
        (nobody("dac_read_search", "net_admin"), "CAP_BPF and CAP_PERFMON"),
    ],
    ids=["none", "bpf", "perfmon", "others"],
)
def test_the_missing_capability_is_named_and_how_to_get_it(state: list[str], lacking: str) -> None:
    seen = see(state, *ALL_MODULES)
    assert seen.wrong == {"PRIV-001"}
    found = seen.found["PRIV-001"]
    assert found["title"] == f"this process lacks {lacking}"
    assert found["blocks"] == ["raw", "tracefs"]
    assert [each[0] for each in found["fixes"]] == ["PRIV-001.sudo", "PRIV-001.setpriv"]
    assert "--reuid=65534 --regid=65534" in found["fixes"][1][1]


@pytest.mark.root
@pytest.mark.parametrize(
    "state",
    [nobody("bpf", "perfmon"), nobody("sys_admin"), without("sys_admin"), without("bpf", "perfmon")],
    ids=["both", "sys_admin", "root-without-sys_admin", "root-with-sys_admin-only"],
)
def test_what_is_enough_is_enough(state: list[str]) -> None:
    assert see(state, *ALL_MODULES).wrong == set()


@pytest.mark.root
def test_the_advised_command_gives_what_is_missing() -> None:
    advice = see(nobody(), "privileges").found["PRIV-001"]["fixes"][1][1]
    words = advice.split("`")[1].split()
    assert words[0] == "sudo"
    assert words[-2:] == ["denet-tui", "…"]
    seen = see(words[1:-2], *ALL_MODULES)
    assert seen.wrong == set()
    assert int(seen.found["PRIV-001"]["evidence"][0][1].split()[-1], 16) == int(BOTH, 16)


@pytest.mark.root
@pytest.mark.parametrize("cut", ["bpf", "perfmon"])
def test_a_cut_bounding_set_is_what_keeps_root_from_it(cut: str) -> None:
    seen = see(without(cut, "sys_admin"), *ALL_MODULES)
    assert seen.wrong == {"PRIV-001", "PRIV-002"}
    assert f"lacks CAP_{cut.upper()}:" in seen.found["PRIV-002"]["title"]
    assert seen.found["PRIV-001"]["fixes"] == []  # sudo would not help
    assert seen.found["PRIV-002"]["fixes"]


@pytest.mark.root
def test_no_new_privs_matters_only_to_who_has_nothing_yet() -> None:
    seen = see(nobody(more=["--no-new-privs"]), *ALL_MODULES)
    assert seen.wrong == {"PRIV-001", "PRIV-002"}
    assert "sudo cannot work" in seen.found["PRIV-002"]["title"]
    assert seen.found["PRIV-001"]["fixes"] == []
    assert see(nobody("bpf", "perfmon", more=["--no-new-privs"]), *ALL_MODULES).wrong == set()
    assert see(["setpriv", "--no-new-privs", *again()], *ALL_MODULES).wrong == set()


@pytest.mark.root
@pytest.mark.parametrize("state", [[], nobody()], ids=["root", "nobody"])
def test_root_of_a_user_namespace_is_not_root(state: list[str]) -> None:
    if subprocess.run([*state, "unshare", "-Ur", "true"], capture_output=True).returncode:
        pytest.skip("needs user namespaces")
    seen = see([*state, "unshare", "-Ur"], *ALL_MODULES)
    assert seen.wrong == {"PRIV-003"}
    assert seen.found["PRIV-001"]["state"] == "skip"
    assert seen.found["PRIV-003"]["blocks"] == ["raw", "tracefs"]


def test_a_user_namespace_with_the_identity_map_is_one() -> None:
    host = machine(status(FULL), answers={"namespace": lambda kind: 4026532000})
    assert privileges.namespace(host).state is State.FAIL
    assert privileges.namespace(machine(status(FULL))).state is State.PASS


def test_without_the_namespace_file_the_map_decides() -> None:
    hidden = {"namespace": OSError(errno.ENOENT, "No such file or directory")}
    assert privileges.namespace(machine("", answers=hidden)).state is State.PASS
    mapped = machine("", answers=hidden, files={"/proc/self/uid_map": "0 1000 1"})
    assert privileges.namespace(mapped).state is State.FAIL
    unread = machine("", answers=hidden, files={"/proc/self/uid_map": OSError(errno.EACCES, "Permission denied")})
    assert privileges.namespace(unread).state is State.UNKNOWN


@pytest.mark.parametrize(
    "files",
    [
        {"/run/.containerenv": ""},
        {"/run/systemd/container": "podman"},
        {"/proc/self/cgroup": "0::/system.slice/docker-0123.scope\n"},
        {"/proc/self/cgroup": "4:memory:/kubepods/besteffort/pod1\n0::/\n"},
    ],
)
def test_a_container_is_said_but_is_no_fault(files: dict[str, str]) -> None:
    found = privileges.namespace(machine(status(FULL), files=files))
    assert found.state is State.PASS
    assert "container" in found.title
    assert len(found.evidence) == 2
    assert "container" not in privileges.namespace(machine(status(FULL))).title


@pytest.mark.root
@pytest.mark.parametrize(
    ("how", "seen_as"), [("EPERM", "EPERM"), ("ENOSYS", "ENOSYS"), ("kill", "the caller was ended by SIGSYS")]
)
def test_bpf_refused_by_a_filter(how: str, seen_as: str) -> None:
    seen = see(filtered("bpf", how), *ALL_MODULES)
    assert seen.wrong == {"PRIV-004"}
    assert ["bpf(2), malformed", seen_as] in seen.found["PRIV-004"]["evidence"]
    assert seen.found["PRIV-004"]["blocks"] == ["raw", "tracefs"]


@pytest.mark.root
@pytest.mark.parametrize("how", ["EPERM", "ENOSYS", "kill"])
def test_perf_events_refused_by_a_filter_leave_raw_tracepoints(how: str) -> None:
    seen = see(filtered("perf_event_open", how), *ALL_MODULES)
    assert seen.wrong == {"PRIV-004"}
    assert seen.found["PRIV-004"]["blocks"] == ["tracefs"]


@pytest.mark.root
def test_a_filter_is_told_from_missing_capabilities() -> None:
    if tuple(map(int, os.uname().release.split(".")[:2])) < (5, 19):
        pytest.skip("needs Linux 5.19: older ones look at who asks first")
    plain, refused = see(nobody(), "privileges"), see([*nobody(), *filtered("bpf", "EPERM")], "privileges")
    assert plain.found["PRIV-004"]["state"] == "pass"
    assert refused.found["PRIV-004"]["state"] == "fail"


@pytest.mark.root
def test_a_filter_that_refuses_something_else_is_no_fault(tmp_path: Path) -> None:
    other = tmp_path / "other.py"
    source = Path(filtered("bpf", "EPERM")[1]).read_text()
    other.write_text(source.replace('"bpf": 321', '"bpf": 169').replace('"bpf": 280', '"bpf": 142'))  # reboot(2)
    seen = see([sys.executable, str(other), "bpf", "EPERM"], "privileges")
    assert seen.wrong == set()
    assert "a filter is on" in seen.found["PRIV-004"]["title"]


def test_old_kernels_ask_who_it_is_first_so_a_filter_cannot_be_told() -> None:
    answers = {"probe_bpf": errno.EPERM}
    host = machine(status(seccomp=2), answers=answers, release="5.10.0-28-amd64")
    assert privileges.seccomp(host).state is State.UNKNOWN
    able = machine(status(BOTH, seccomp=2), answers=answers, release="5.10.0-28-amd64")
    assert privileges.seccomp(able).state is State.FAIL
    newer = machine(status(seccomp=2), answers=answers, release="5.19.0")
    assert privileges.seccomp(newer).state is State.FAIL
    without_filter = machine(status(), answers=answers, release="5.10.0-28-amd64")
    assert privileges.seccomp(without_filter).state is State.PASS


def test_what_cannot_be_tried_is_unknown() -> None:
    host = machine(status(seccomp=2), answers={"probe_bpf": OSError(errno.EAGAIN, "no process left")})
    found = privileges.seccomp(host)
    assert (found.state, "no process left" in found.title) == (State.UNKNOWN, True)


def test_without_proc_nothing_is_claimed() -> None:
    host = FakeHost()
    states = [check.run(host).state for check in privileges.CHECKS[:3]]
    assert states == [State.UNKNOWN, State.UNKNOWN, State.PASS]


def test_before_cap_bpf_only_sys_admin_will_do() -> None:
    old = machine(status(BOTH), files={"/proc/sys/kernel/cap_last_cap": "37\n"}, uid=1000)
    found = privileges.effective(old)
    assert found.title == "this process lacks CAP_SYS_ADMIN"
    assert [fix.id for fix in found.fixes] == ["PRIV-001.sudo"]
    backported = machine(status(BOTH), release="4.18.0-553.el8.x86_64")
    assert privileges.effective(backported).state is State.PASS
    no_word = FakeHost({"/proc/self/status": status(BOTH)}, release="5.4.0")
    assert privileges.effective(no_word).state is State.FAIL


# PRIV-005


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
