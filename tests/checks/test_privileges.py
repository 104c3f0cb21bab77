"""PRIV-001 to PRIV-007, on this machine made wrong for one process, and on machines that cannot be made here."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from denet_tui.checks import privileges
from denet_tui.checks.model import State
from tests.checks.fake import EVERYTHING, FakeHost, machine, status
from tests.checks.states import again, filtered, nobody, see, without

ALL_MODULES = ("privileges", "kernel", "limits")
BOTH, FULL = "000000c000000000", EVERYTHING


@pytest.mark.root
def test_nothing_is_wrong_with_this_machine() -> None:
    seen = see((), *ALL_MODULES)
    assert len(seen.found) == 19
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
    assert words[0] == "setpriv", "sudo does nothing for nobody"
    assert words[-2:] == ["denet-tui", "…"]
    seen = see(words[:-2], *ALL_MODULES)
    assert seen.wrong == set()
    assert int(seen.found["PRIV-001"]["evidence"][0][1].split()[-1], 16) == int(BOTH, 16)


@pytest.mark.root
@pytest.mark.parametrize("cut", ["bpf", "perfmon"])
def test_a_cut_bounding_set_is_what_keeps_root_from_it(cut: str) -> None:
    seen = see(without(cut, "sys_admin"), *ALL_MODULES)
    assert seen.wrong == {"PRIV-002"}, "one cause"
    assert f"lacks CAP_{cut.upper()}:" in seen.found["PRIV-002"]["title"]
    assert seen.found["PRIV-001"]["state"] == "skip"  # sudo would not help
    assert seen.found["PRIV-002"]["fixes"]


@pytest.mark.root
def test_no_new_privs_matters_only_to_who_has_nothing_yet() -> None:
    seen = see(nobody(more=["--no-new-privs"]), *ALL_MODULES)
    assert seen.wrong == {"PRIV-002"}
    assert "sudo cannot work" in seen.found["PRIV-002"]["title"]
    assert seen.found["PRIV-001"]["state"] == "skip"
    assert see(nobody("bpf", "perfmon", more=["--no-new-privs"]), *ALL_MODULES).wrong == set()
    assert see(["setpriv", "--no-new-privs", *again()], *ALL_MODULES).wrong == set()


@pytest.mark.root
@pytest.mark.parametrize("state", [[], nobody()], ids=["root", "nobody"])
def test_root_of_a_user_namespace_is_not_root(state: list[str]) -> None:
    if subprocess.run([*state, "unshare", "-Ur", "true"], capture_output=True).returncode:
        pytest.skip("needs user namespaces")
    not_installed = ["sh", "-c", 'mount -t tmpfs tmpfs /opt && exec "$@"', "sh"]  # else its owner is nobody in there
    seen = see([*state, "unshare", "-Urm", *not_installed], *ALL_MODULES)
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
    assert [each.source for each in found.evidence] == [*files, "/proc/self/uid_map"], "what shows it comes first"
    assert "container" not in privileges.namespace(machine(status(FULL))).title


@pytest.mark.root
@pytest.mark.parametrize(
    ("how", "seen_as"), [("EPERM", "EPERM"), ("ENOSYS", "ENOSYS"), ("kill", "the caller was killed by SIGSYS")]
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
