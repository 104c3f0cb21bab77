"""PRIV-005, on machines made of dictionaries: who is offered the loader's socket, and what is wrong with one."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import stat
from pathlib import Path

import pytest

from denet_tui.bpf.privilege import User
from denet_tui.bpf.request import SOCKET
from denet_tui.bpf.toolchain import ToolchainError
from denet_tui.checks import service, verdict
from denet_tui.checks.host import Host, Output
from denet_tui.checks.model import Finding, RunCommand, State, WriteFile
from denet_tui.repair import plan, policy, repair
from denet_tui.repair.next_step import next_step
from tests.checks.fake import FakeHost, status
from tests.checks.served import COPY, WRITTEN, able, installed


def test_it_is_offered_where_it_can_work_and_is_no_fault_where_it_is_not_there() -> None:
    host = able()
    found = service.check(host)
    assert (found.state, found.blocks) == (State.SKIP, ())
    assert found.title == "not set up: members of denet-trace could watch their own commands without sudo"
    (fix,) = found.fixes
    assert [(type(each), getattr(each, "path", None) or each.argv) for each in fix.changes] == [  # type: ignore[union-attr]
        (RunCommand, ("/usr/bin/groupadd", "--system", "denet-trace")),
        *((WriteFile, f"/etc/systemd/system/{name}") for name in service.units()),
        (RunCommand, ("/usr/bin/systemctl", "daemon-reload")),
        (RunCommand, ("/usr/bin/systemctl", "start", "denet_tui.slice")),
        (RunCommand, ("/usr/bin/systemctl", "enable", "--now", "denet-tui-loader.socket")),
    ]
    assert fix.weakens, "never preselected"
    assert policy.violations(fix) == []
    assert repair.refuse(dataclasses.replace(fix, changes=fix.changes[1:4]))
    assert host.ran == [], "nothing is run only to look"


@pytest.mark.parametrize(
    ("group", "words"),
    [
        ("", "nobody is one until you add them."),
        ("denet-trace:x:990:\n", "nobody is one until you add them."),
        ("denet-trace:x:990:bert,anna\n", "members already are bert, anna."),
        ("denet-trace:x:1001:bert\n", "members already are bert, carl."),
    ],
)
def test_its_price_names_who_is_a_member_already(group: str, words: str) -> None:
    host = able(files={"/etc/group": group, "/etc/passwd": "carl:x:1001:1001::/home/carl:/bin/sh\n"})
    (fix,) = service.check(host).fixes
    assert words in fix.weakens


def test_the_units_of_the_debian_package_count_once_they_are_enabled() -> None:
    moved = {path: service.PACKAGED + path.removeprefix(service.SYSTEMD) for path in WRITTEN}
    files = {moved[path]: text for path, text in WRITTEN.items()}
    assert service.check(able(files=files)).state == State.SKIP
    host = installed(files=files)
    for path in WRITTEN:
        del host.files[path]
    found = service.check(host)
    assert found.state == State.PASS
    assert {each.source for each in found.evidence} >= {*files}


def test_setup_names_it_and_never_takes_it_by_itself() -> None:
    found = plan.plan([service.check(able())])
    assert (found.choices, [each.fix.id for each in found.offered]) == ((), ["PRIV-005.socket"])
    chosen = plan.plan([service.check(able())], ["PRIV-005.socket"])
    assert [each.fix.id for each in chosen.choices] == ["PRIV-005.socket"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"release": "5.15.0-91-generic"}, "Linux 5.19"),
        ({"answers": {"find_bcc": ToolchainError("no bcc")}}, "BCC-001"),
        ({"files": {"/sys/kernel/btf/vmlinux": None}}, "KERN-009"),
        ({"files": {"/sys/kernel/security/lockdown": "none integrity [confidentiality]\n"}}, "KERN-008"),
        ({"files": {"/proc/1/status": status(bounding="00000000a80425fb")}}, "a container"),
        ({"files": {"/usr/bin/groupadd": None}}, "groupadd"),
    ],
)
def test_it_is_not_offered_where_it_cannot_work_and_why_is_said(change: dict[str, object], words: str) -> None:
    host = able(**change)
    host.files = {path: content for path, content in host.files.items() if content is not None}
    found = service.check(host)
    assert (found.state, found.fixes) == (State.SKIP, ())
    assert words in found.title


def test_without_systemd_there_is_nothing_of_it() -> None:
    host = able()
    del host.files["/run/systemd/system/x"]
    found = service.check(host)
    assert (found.state, found.fixes) == (State.SKIP, ())
    assert found.title == "systemd does not run this machine: sudo is the way here"
    assert service.cannot(host)


@pytest.mark.parametrize("copy", ["none", "older"])
def test_the_copy_that_it_would_run_comes_first(copy: str) -> None:
    host = able()
    for name in service.units():
        host.files[f"{COPY}/{name}"] = "# denet-tui units 0\n"
    if copy == "none":
        host.files = {path: content for path, content in host.files.items() if not path.startswith("/opt/")}
    (fix,) = service.check(host).fixes
    assert (fix.id, fix.changes) == ("PRIV-005.install", ())
    assert "`make install`" in fix.advice
    assert ("no denet-tui is" in fix.advice) == (copy == "none")


@pytest.mark.parametrize(("uid", "who", "as_whom"), [(0, "nobody", 65534), (1000, "ann", 1000)])
def test_root_has_a_member_count_through_it(uid: int, who: str, as_whom: int) -> None:
    host = installed(answers={"asker": User(uid, uid, who, "/")})
    found = service.check(host)
    assert (found.state, found.fixes) == (State.PASS, ())
    assert "1,000 known calls counted exactly" in found.title
    assert found.evidence[0].source == f"selftest as {who}, a member of denet-trace"
    (words,) = host.ran
    assert words[1:4] == (f"--reuid={as_whom}", f"--regid={as_whom}", "--groups=990")
    assert "--bounding-set=-all" in words
    assert words[-5:] == ("--no-new-privs", "--", "/opt/denet-tui/bin/denet-tui", "selftest", "--json")


def test_a_member_tries_it_and_others_only_look() -> None:
    member = installed(uid=1000, answers={"access": lambda path, mode: path in (SOCKET, "/usr/bin/setpriv")})
    assert "counted exactly" in service.check(member).title
    assert member.ran == [("/usr/bin/setpriv", "--no-new-privs", "--", service._PROGRAM, "selftest", "--json")]
    other = installed(uid=1000)
    found = service.check(other)
    assert (found.state, other.ran) == (State.PASS, [])
    assert "only they and root can try it" in found.title


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (Output(125, "", "x\ndenet-tui: the loader was killed by SIGKILL\n"), "the loader was killed by SIGKILL"),
        (Output(1, json.dumps({"made": 1000, "counted": 999, "exact": False}), ""), "1,000 calls made, 999 counted"),
        (Output(124, "[]", ""), "it exited with status 124"),
    ],
)
def test_what_does_not_count_is_a_warning_with_what_was_said(said: Output, words: str) -> None:
    found = service.check(installed(commands={"/usr/bin/setpriv": said}))
    assert found.state is State.WARN
    assert found.title.endswith(words)
    assert [fix.id for fix in found.fixes] == ["PRIV-005.socket"]


NEWER, OLDER = "# denet-tui units 999\n", "# denet-tui units 0\n[Socket]\n"
SERVICE = f"{service.SYSTEMD}/denet-tui-loader@.service"


@pytest.mark.parametrize(
    ("text", "state", "words"),
    [
        (OLDER, State.WARN, "units are of an older denet-tui: denet-tui-loader@.service"),
        (WRITTEN[SERVICE] + "User=root\n", State.WARN, "changed since they were installed: denet-tui-loader@.service"),
        ("", State.WARN, "older denet-tui"),
        (errno.EACCES, State.WARN, "denet-tui-loader@.service missing"),
        (NEWER, State.PASS, "counted exactly"),
    ],
)
def test_units_are_compared_byte_for_byte(text: str | int, state: State, words: str) -> None:
    found = service.check(installed(files={SERVICE: text}))
    assert found.state is state
    assert words in found.title
    assert [fix.id for fix in found.fixes] == (["PRIV-005.socket"] if state is State.WARN else [])


def test_units_are_brought_up_to_date_by_making_the_socket_anew() -> None:
    host = installed(files={SERVICE: OLDER})
    (fix,) = service.check(host).fixes
    commands = [each for each in fix.changes if isinstance(each, RunCommand)]
    assert commands[-1].argv == ("/usr/bin/systemctl", "restart", service.UNIT)
    assert commands[-2].undo == ("/usr/bin/systemctl", "stop", service.UNIT), "it was enabled before"
    assert not any("groupadd" in each.argv[0] for each in commands)


def test_settings_of_the_machines_own_are_seen_and_left_alone() -> None:
    drop_in = f"{SERVICE}.d/override.conf"
    found = service.check(installed(files={drop_in: "[Service]\nMemoryMax=1G\n"}))
    assert found.state is State.PASS
    assert drop_in in [each.source for each in found.evidence]


@pytest.mark.parametrize(
    ("change", "state", "words"),
    [
        ({"modes": {SOCKET: stat.S_IFSOCK | 0o666}}, State.FAIL, "open to others than members"),
        ({"modes": {SOCKET: 0o660}}, State.FAIL, "is not root's"),
        ({"modes": {"/run/denet-tui": 0o777}}, State.FAIL, "is not root's"),
        ({"owners": {SOCKET: (1000, 990)}}, State.FAIL, "is not root's"),
        ({"owners": {"/run/denet-tui": (1000, 0)}}, State.FAIL, "is not root's"),
        ({"owners": {SOCKET: (0, 0)}}, State.WARN, "is not the group denet-trace's"),
        ({"files": {"/etc/group": "root:x:0:\n"}}, State.WARN, "is not the group denet-trace's"),
    ],
)
def test_the_socket_is_roots_and_the_groups(change: dict[str, object], state: State, words: str) -> None:
    host = installed(**change)
    found = service.check(host)
    assert found.state is state
    assert words in found.title
    assert found.blocks == (), "sudo works all the same"
    last = found.fixes[0].changes[-1]
    assert isinstance(last, RunCommand)
    assert last.argv == ("/usr/bin/systemctl", "restart", service.UNIT)


def test_a_socket_that_nobody_listens_on() -> None:
    host = installed(commands={("/usr/bin/systemctl", "is-active", service.UNIT): Output(3, "failed\n", "")})
    del host.files[SOCKET]
    found = service.check(host)
    assert (found.state, found.title) == (
        State.WARN,
        "denet-tui-loader.socket is installed, but nothing listens there: it is failed",
    )
    assert [each.argv[1] for each in found.fixes[0].changes if isinstance(each, RunCommand)] == [
        "daemon-reload",
        "start",
        "enable",
    ]


def test_units_without_the_copy_that_they_run() -> None:
    host = installed()
    host.files = {path: content for path, content in host.files.items() if not path.startswith("/opt/")}
    found = service.check(host)
    assert found.state is State.WARN
    assert "make install" in found.title
    assert [fix.id for fix in found.fixes] == ["PRIV-005.install"]


# The copy in /opt


class Elsewhere(Host):
    """The real machine with /opt below another folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def lstat(self, path: str) -> os.stat_result:
        return super().lstat(f"{self.root}{path}")

    def stat(self, path: str) -> os.stat_result:
        return super().stat(f"{self.root}{path}")

    def names(self, path: str) -> list[str]:
        return super().names(f"{self.root}{path}")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy as it should be."""
    inside = tmp_path / "opt/denet-tui/lib"
    inside.mkdir(parents=True)
    (inside / "loader.py").write_text("")
    (inside / "python3").symlink_to(os.path.realpath("/usr/bin/env"))
    for path in (*tmp_path.rglob("*"), tmp_path):
        if not path.is_symlink():
            path.chmod(0o755)
    return tmp_path


def test_no_copy_is_no_fault(tmp_path: Path) -> None:
    assert service.check(Elsewhere(tmp_path)).state is State.SKIP


@pytest.mark.root
@pytest.mark.parametrize("path", ["opt", "opt/denet-tui/lib/loader.py", "opt/denet-tui/lib"])
@pytest.mark.parametrize("how", ["others", "group", "owner"])
def test_a_copy_that_others_can_change_fails(copy: Path, path: str, how: str) -> None:
    assert service.check(Elsewhere(copy)).state is State.SKIP
    target = copy / path
    if how == "owner":
        os.chown(target, 65534, 0)
    else:
        os.chown(target, 0, 65534)
        target.chmod(0o757 if how == "others" else 0o775)
    found = service.check(Elsewhere(copy))
    assert found.state is State.FAIL
    assert [each.source for each in found.evidence] == [f"/{path}"]
    assert found.blocks == ()
    assert found.fixes[0].advice


@pytest.mark.root
def test_a_link_out_of_the_copy_is_followed(copy: Path, tmp_path: Path) -> None:
    planted = tmp_path / "planted"
    planted.write_text("")
    os.chown(planted, 65534, 65534)
    (copy / "opt/denet-tui/lib/more.py").symlink_to(planted)
    found = service.check(Elsewhere(copy))
    assert [each.source for each in found.evidence] == ["/opt/denet-tui/lib/more.py"]


# What others make of it


def test_who_is_let_in_needs_no_sudo_next() -> None:
    served = [Finding(each, State.PASS, "") for each in ("PRIV-005", "PRIV-006", verdict.PROOF)]
    host = FakeHost({"/usr/bin/sudo": ""}, modes={"/usr/bin/sudo": 0o755})
    assert next_step(host, served, verdict.methods(served)).command == ("denet-tui", "run", "--", "CMD")
    unserved = served[1:]
    assert next_step(host, unserved, verdict.methods(unserved)).command[:2] == ("sudo", "denet-tui")
