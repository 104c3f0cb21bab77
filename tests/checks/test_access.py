"""The ways to the capabilities: which of them work where, and which is recommended."""

from __future__ import annotations

import pytest

from denet_tui.bpf import unprivileged
from denet_tui.checks import access
from denet_tui.checks.installed import LAUNCHER
from denet_tui.checks.model import Finding, State
from tests.checks.fake import FakeHost

ANN = (1000, 1000)
TOOLS = {"/usr/bin/setpriv": "x", "/proc/sys/kernel/cap_last_cap": "40"}
MODES = {"/usr/bin/setpriv": 0o755}


@pytest.fixture(autouse=True)
def sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unprivileged, "sudo", lambda: "/usr/bin/sudo")


def host(**more: str) -> FakeHost:
    return FakeHost({**TOOLS, **more}, modes=MODES, uid=1000)


def by_id(machine: FakeHost, **findings: State) -> dict[str, access.Access]:
    found = {name.replace("_", "-"): Finding(name, state, "why not") for name, state in findings.items()}
    return {each.id: each for each in access.ways(machine, found, ANN)}


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


def test_without_sudo_the_launcher_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unprivileged, "sudo", lambda: "")
    machine = FakeHost({**TOOLS, LAUNCHER: "x"}, modes={**MODES, LAUNCHER: 0o755}, uid=1000)
    found = by_id(machine, PRIV_006=State.PASS)
    assert [each.id for each in found.values() if each.recommended] == ["group"]
    assert found["sudo"].why_not == "there is no sudo that works in this session"
    assert by_id(machine, PRIV_006=State.FAIL)["group"].why_not == "why not"


def test_what_is_out_of_reach_is_so_whichever_way() -> None:
    found = by_id(host(), PRIV_002=State.FAIL)
    assert not any(each.works or each.recommended for each in found.values())
    assert {each.why_not for each in found.values()} == {"PRIV-002: why not"}


def test_an_old_kernel_has_no_half_of_root() -> None:
    machine = host()
    machine.files["/proc/sys/kernel/cap_last_cap"] = "37"
    assert by_id(machine)["setpriv"].why_not == "this kernel has no CAP_BPF (Linux 5.8): it needs all of root"
    del machine.files["/usr/bin/setpriv"]
    assert by_id(machine)["setpriv"].why_not == "setpriv is not installed (package util-linux)"
