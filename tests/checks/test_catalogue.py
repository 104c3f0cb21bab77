"""Running all checks: order, crashes, roots and times; and the whole catalogue as the design has it."""

from __future__ import annotations

import dataclasses
import errno
import os
import threading
import time

import pytest

from denet_tui.checks import catalogue
from denet_tui.checks.host import Host
from denet_tui.checks.model import Check, Finding, State
from denet_tui.helper import check_runner
from tests.checks.fake import FakeHost

IDS = """
PRIV-001 PRIV-002 PRIV-003 PRIV-004 PRIV-005 PRIV-006 PRIV-007 KERN-001 KERN-002 KERN-003 KERN-004 KERN-005 KERN-006
KERN-007 KERN-008 KERN-009 FS-001 FS-002 FS-003 FS-004 BCC-001 BCC-002 BCC-003 BCC-004 LIM-001 NS-001 NS-002 PROG-001
E2E-001 OTHER-001 LEFT-001 DRIFT-001 LOG-001
"""


def passing(name: str = "A-001") -> Check:
    return Check(name, "kernel", "a title", lambda host: Finding(name, State.PASS, "fine"))


def breaking(name: str, error: BaseException) -> Check:
    def run(host: Host) -> Finding:
        raise error

    return Check(name, "kernel", "a title", run)


def test_every_check_of_the_design_is_there_once_and_in_the_order_of_areas() -> None:
    ids = [check.id for check in catalogue.ALL]
    assert sorted(ids) == sorted(IDS.split())
    areas = [catalogue.AREAS.index(check.area) for check in catalogue.ALL]
    assert areas == sorted(areas)
    assert catalogue.by_id.keys() == set(ids)


def test_what_a_check_says_may_change_exists() -> None:
    for check in catalogue.ALL:
        assert set(check.after) <= catalogue.by_id.keys(), check.id


@pytest.mark.parametrize(
    "error", [ValueError("x\ny"), RecursionError(), KeyError("k"), OSError(5, "five"), AssertionError()]
)
def test_a_check_that_breaks_is_a_crash_and_the_rest_go_on(error: Exception) -> None:
    found = check_runner.run(FakeHost(), checks=[passing("A-001"), breaking("B-001", error), passing("C-001")])
    assert [(each.id, each.state) for each in found] == [
        ("A-001", State.PASS),
        ("B-001", State.CRASH),
        ("C-001", State.PASS),
    ]
    assert type(error).__name__ in found[1].title
    assert "\n" not in found[1].title
    assert "run, line " in found[1].evidence[0].source
    assert found[1].blocks == ()


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (MemoryError(), "not enough memory to look (LIM-001)"),
        (OSError(errno.EMFILE, os.strerror(errno.EMFILE)), "no descriptor was left to look with (LIM-001)"),
    ],
)
def test_too_little_to_look_with_is_unknown(error: Exception, why: str) -> None:
    found = check_runner.run(FakeHost(), checks=[breaking("B-001", error), passing("C-001")])
    assert [each.state for each in found] == [State.UNKNOWN, State.PASS]
    assert why in found[0].title


def test_times_are_taken_and_over_a_second_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def slowly(host: Host) -> Finding:
        time.sleep(0.02)
        return Finding("A-001", State.PASS, "fine")

    check = Check("A-001", "kernel", "something", slowly)
    (finding,) = check_runner.run(FakeHost(), checks=[check])
    assert finding.seconds >= 0.02
    assert finding.title == "fine"
    monkeypatch.setattr(catalogue, "_SLOW_S", 0.01)
    (finding,) = check_runner.run(FakeHost(), checks=[check])
    assert "(took 0.0 s)" in finding.title


def test_checks_that_wait_run_beside_each_other() -> None:
    barrier = threading.Barrier(2, timeout=5)

    def waiting(name: str) -> Check:
        def run(host: Host) -> Finding:
            barrier.wait()
            return Finding(name, State.PASS, "met")

        return Check(name, "proof", "a title", run, waits=True)

    found = check_runner.run(FakeHost(), checks=[waiting("A-001"), waiting("B-001")])
    assert [each.state for each in found] == [State.PASS, State.PASS]


def test_the_findings_come_in_the_order_of_the_catalogue_and_no_thread_is_left() -> None:
    def slowly(host: Host) -> Finding:
        time.sleep(0.05)
        return Finding("A-001", State.PASS, "fine")

    checks = [Check("A-001", "kernel", "a title", slowly), *(passing(f"B-{n:03}") for n in range(9))]
    before = threading.active_count()
    found = check_runner.run(FakeHost(), checks=[*checks, dataclasses.replace(passing("C-001"), waits=True)])
    assert threading.active_count() == before, "privilege is given away after this"
    assert [each.id for each in found] == [*(each.id for each in checks), "C-001"]


def test_only_what_was_asked_for_runs() -> None:
    checks = [passing("A-001"), breaking("B-001", ValueError())]
    assert [each.id for each in check_runner.run(FakeHost(), ["A-001"], checks=checks)] == ["A-001"]
    with pytest.raises(KeyError, match="Z-001"):
        check_runner.run(FakeHost(), ["A-001", "Z-001"], checks=checks)


def test_no_check_crashes_on_a_machine_where_nothing_can_be_read() -> None:
    nothing = FakeHost(uid=1000)
    crashed = [each for each in check_runner.run(nothing) if each.state is State.CRASH]
    assert crashed == []
