"""The ways to the capabilities: which of them work where, and which is recommended."""

from __future__ import annotations

import pytest

from denet_tui.checks.model import Finding, Fix, RunCommand, State
from denet_tui.helper import access
from denet_tui.system import called
from tests.checks.fake import FakeHost

ANN = (1000, 1000)
TOOLS = {"/usr/bin/setpriv": "x", "/proc/sys/kernel/cap_last_cap": "40", "/run/systemd/system/x": ""}
MODES = {"/usr/bin/setpriv": 0o755}


@pytest.fixture(autouse=True)
def sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(called, "way_up", lambda *_: "/usr/bin/sudo")


def host(**more: str) -> FakeHost:
    return FakeHost({**TOOLS, **more}, modes=MODES, uid=1000)


def by_id(machine: FakeHost, **findings: State) -> dict[str, access.Access]:
    found = {name.replace("_", "-"): Finding(name, state, "why not") for name, state in findings.items()}
    return {each.id: each for each in access.ways(access.reach(machine), found, ANN, "denet-tui")}


def test_sudo_needs_least_and_nothing_stays() -> None:
    found = by_id(host())
    assert list(found) == ["sudo", "setpriv", "group"], "in the order in which they are offered"
    assert [each.id for each in found.values() if each.recommended] == ["sudo"]
    assert [each.works for each in found.values()] == [True, True, False]
    assert all(len(each.means) == 2 and max(map(len, each.means)) <= 105 for each in found.values())


def test_setpriv_gives_two_capabilities_and_no_more() -> None:
    words = by_id(host())["setpriv"].text
    assert "--reuid=1000 --regid=1000 --init-groups --inh-caps=-all,+bpf,+perfmon" in words
    assert "--ambient-caps=-all,+bpf,+perfmon --bounding-set=-all,+bpf,+perfmon --no-new-privs --" in words


def fix(identity: str) -> Fix:
    return Fix(identity, "", (RunCommand(("/usr/bin/true",)),), "permanent", "", weakens="something")


INSTALL, JOIN = fix("PRIV-005.socket"), fix("PRIV-006.join")
LOGIN = Fix("PRIV-006.login", "", (), "permanent", "", advice="log in again")
GOOD = {each: Finding(each, State.PASS, "fine") for each in ("PRIV-005", "PRIV-006")}
SOCKET_STATES = {
    "not installed": ([Finding("PRIV-005", State.SKIP, "not set up", fixes=(INSTALL,))], False, "not set up", INSTALL),
    "not for this kernel": ([Finding("PRIV-005", State.SKIP, "Linux 5.19")], False, "Linux 5.19", None),
    "not a member": ([Finding("PRIV-006", State.SKIP, "no member", fixes=(JOIN,))], False, "no member", JOIN),
    "log in again": ([Finding("PRIV-006", State.WARN, "log in", fixes=(LOGIN,))], False, "log in", None),
    "broken": ([Finding("PRIV-005", State.WARN, "failed", fixes=(INSTALL,))], False, "failed", INSTALL),
    "works": ([], True, "", None),
}


@pytest.mark.parametrize("state", SOCKET_STATES)
def test_the_way_to_keep_says_what_is_so_and_what_would_help(state: str) -> None:
    findings, works, why_not, wanted = SOCKET_STATES[state]
    known = GOOD | {each.id: each for each in findings}
    found = {each.id: each for each in access.ways(access.reach(host()), known, ANN, "denet-tui")}
    assert found["group"].title == "to keep: denet-tui-loader.socket, for members of the group denet-trace"
    assert (found["group"].works, found["group"].why_not, found["group"].fix) == (works, why_not, wanted)
    assert [each.id for each in found.values() if each.recommended] == ["group" if works else "sudo"]
    assert found["group"].text == "denet-tui run -- CMD"


def test_where_nothing_was_looked_at_yet_it_is_not_said_to_work() -> None:
    assert by_id(host())["group"].why_not == "it was not looked at"
    assert not by_id(host())["group"].works


def test_without_systemd_it_is_not_offered() -> None:
    machine = host()
    del machine.files["/run/systemd/system/x"]
    assert list(by_id(machine)) == ["sudo", "setpriv"]


def test_without_sudo_the_socket_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(called, "way_up", lambda *_: "")
    monkeypatch.setattr(called, "_FOLDERS", ("/nowhere",))
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    found = {each.id: each for each in access.ways(access.reach(host()), GOOD, ANN, "denet-tui")}
    assert [each.id for each in found.values() if each.recommended] == ["group"]
    assert found["sudo"].why_not == "there is no sudo, doas, run0 or pkexec that works in this session"


def test_what_is_out_of_reach_is_so_whichever_way() -> None:
    found = by_id(host(), PRIV_002=State.FAIL)
    assert not any(each.works or each.recommended for each in found.values())
    assert {found[each].why_not for each in ("sudo", "setpriv")} == {"PRIV-002: why not"}


def test_an_old_kernel_has_no_half_of_root() -> None:
    machine = host()
    machine.files["/proc/sys/kernel/cap_last_cap"] = "37"
    assert by_id(machine)["setpriv"].why_not == "this kernel has no CAP_BPF (Linux 5.8): it needs all of root"
    del machine.files["/usr/bin/setpriv"]
    assert by_id(machine)["setpriv"].why_not == "setpriv is not installed (package util-linux)"
