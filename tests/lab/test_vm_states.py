"""States that need a machine of their own: each is named by the right id, repaired, and given back as it was."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.lab import vm
from tests.lab.states import BOOTS
from tests.lab.vm import Boot, Case

pytestmark = [pytest.mark.lab, pytest.mark.root]

CASES = [pytest.param(boot, case, id=f"{boot}-{case.name}") for boot in BOOTS for case in boot.cases]
REPAIRED = [pytest.param(boot, case, id=f"{boot}-{case.name}") for boot in BOOTS for case in boot.cases if case.fixes]
SUDO = [pytest.param(boot, case, id=str(boot)) for boot in BOOTS for case in boot.cases if "sudo" in case.also]
CAPABLE = [
    pytest.param(boot, case, id=f"{boot}-{case.name}")
    for boot in BOOTS
    for case in boot.cases
    if "capabilities-only" in case.also
]


class Lab:
    """What each boot showed: it is made once, when the first of its states is asked for."""

    def __init__(self, machines: Path, folder: Path, wanted: set[str]) -> None:
        self._machines, self._folder, self._wanted = machines, folder, wanted
        self._booted: dict[str, dict[str, dict[str, Any]]] = {}

    def _boot(self, boot: Boot) -> dict[str, dict[str, Any]]:
        if str(boot) in self._booted:
            return self._booted[str(boot)]
        seen = self._booted[str(boot)] = {}
        for attempt in ("first", "second"):
            left = tuple(case for case in boot.cases if f"{boot} {case.name}" in self._wanted - seen.keys())
            if left:
                folder = self._folder / f"{BOOTS.index(boot)}-{attempt}"
                folder.mkdir()
                found = vm.boot(self._machines, replace(boot, cases=left), folder)
                seen |= {f"{boot} {name}": each for name, each in found.items()}
        return seen

    def seen(self, boot: Boot, case: Case) -> dict[str, Any]:
        """What was seen in one state; skips where the kernel cannot be brought into it."""
        seen = self._boot(boot).get(f"{boot} {case.name}")
        assert seen, f"{boot} never got to {case.name}: see {self._folder}/{BOOTS.index(boot)}-*/console"
        assert "broken" not in seen, seen["broken"]
        if seen["make"]["status"] == 9:
            pytest.skip(f"{boot} cannot be made so: {seen['make']['stderr'].strip()}")
        assert seen["make"]["status"] == 0, seen["make"]["stderr"]
        assert seen["clean"]["status"] == 0, seen["clean"]["stderr"]
        return seen


@pytest.fixture(scope="session")
def lab(wheels: Path, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    folder = tmp_path_factory.mktemp("vm")
    chosen = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    wanted = {f"{each['boot']} {each['case'].name}" for each in chosen if "boot" in each and "case" in each}
    return Lab(vm.make(wheels), folder, wanted)


@pytest.mark.parametrize(("boot", "case"), CASES)
def test_the_cause_is_named_and_nothing_else(lab: Lab, boot: Boot, case: Case) -> None:
    seen = lab.seen(boot, case)["diag"]
    states, titles = states_of(seen), titles_of(seen)
    assert ids(states, "crash") == set(), titles
    assert ids(states, "fail") == set(case.fails), titles
    # What changed since the state before this one may be told as well.
    assert ids(states, "warn") - {"DRIFT-001"} == set(case.warns), titles
    assert ready_methods(seen) == set(case.ready), titles
    assert seen["status"] == (0 if case.ready else 1)


@pytest.mark.parametrize(("boot", "case"), REPAIRED)
def test_the_fix_mends_it(lab: Lab, boot: Boot, case: Case) -> None:
    seen = lab.seen(boot, case)
    fixed = json.loads(seen["fixed"]["stdout"])
    assert fixed["failed"] == []
    assert fixed["applied"], seen["fixed"]["stderr"]
    assert seen["fixed"]["status"] == 0, seen["fixed"]["stderr"]
    assert seen["changed"], "nothing on the machine was changed"
    # What the next setup finds, which looks at everything anew, the real probe included.
    states, titles = states_of(seen["again"]), titles_of(seen["again"])
    assert {each: states[each] for each in case.mends} == dict.fromkeys(case.mends, "pass"), titles
    assert ids(states, "fail", "crash") == set(), titles
    assert states["E2E-001"] == "pass", titles


@pytest.mark.parametrize(("boot", "case"), REPAIRED)
def test_applying_again_changes_nothing(lab: Lab, boot: Boot, case: Case) -> None:
    seen = lab.seen(boot, case)
    assert seen["changed_again"] == []
    assert seen["again"]["status"] == 0, seen["again"]["stderr"]


@pytest.mark.parametrize(("boot", "case"), REPAIRED)
def test_undo_gives_the_machine_back(lab: Lab, boot: Boot, case: Case) -> None:
    seen = lab.seen(boot, case)
    left = [line for line in seen["left"] if not line[1:].startswith(case.stays or ("\0",))]
    assert left == [], seen["undo"]["stderr"]


@pytest.mark.parametrize(("boot", "case"), SUDO)
def test_a_user_with_sudo_watches_exactly(lab: Lab, boot: Boot, case: Case) -> None:
    also = lab.seen(boot, case)["also"]
    watched = also["sudo"]
    summary = json.loads(watched["stdout"].splitlines()[-1])
    assert watched["status"] == 0, watched["stderr"]
    assert summary["exact"] is True, json.dumps(summary["lost"])
    assert summary["syscalls"]["execve"]["calls"] >= 2, "sh and id"
    assert "anna" in watched["stderr"].split(), "the command runs as who asked, not as root"
    assert "1,000 counted" in also["selftest"]["stdout"], also["selftest"]["stderr"]
    assert "exact" in also["selftest"]["stdout"]


@pytest.mark.parametrize(("boot", "case"), CAPABLE)
def test_two_capabilities_are_enough_for_raw_tracepoints(lab: Lab, boot: Boot, case: Case) -> None:
    assert "raw" in ready_methods(lab.seen(boot, case)["also"]["capabilities-only"])


def states_of(seen: dict[str, Any]) -> dict[str, str]:
    return {finding["id"]: finding["state"] for finding in _findings(seen)}


def titles_of(seen: dict[str, Any]) -> list[str]:
    wrong = (finding for finding in _findings(seen) if finding["state"] not in ("pass", "skip"))
    return [f"{finding['id']} {finding['state']}: {finding['title']}" for finding in wrong]


def ready_methods(seen: dict[str, Any]) -> set[str]:
    return {name for name, method in _report(seen)["ways"].items() if method["verdict"] == "ready"}


def _findings(seen: dict[str, Any]) -> list[dict[str, Any]]:
    """Of a `diag`, or those that a `setup` came to."""
    report = _report(seen)
    found: list[dict[str, Any]] = report.get("findings") or report["verified"]
    return found


def _report(seen: dict[str, Any]) -> dict[str, Any]:
    assert seen["status"] in (0, 1), f"it ended with {seen['status']}: {seen['stderr']}"
    report: dict[str, Any] = json.loads(seen["stdout"])
    return report


def ids(states: dict[str, str], *wanted: str) -> set[str]:
    return {each for each, state in states.items() if state in wanted}
