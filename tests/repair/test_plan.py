"""Which fixes are chosen."""

from __future__ import annotations

from typing import Any

import pytest

from denet_tui.checks.model import BOTH, Finding, Fix, RunCommand, SetValue, State
from denet_tui.repair import plan


def choice(name: str, scope: Any = "until-reboot", changes: tuple[Any, ...] | None = None, weakens: str = "") -> Fix:
    made = (RunCommand(("/usr/bin/mount", "x", "/mnt")),) if changes is None else changes
    return Fix(f"FS-002.{name}", name, made, scope, "", weakens, advice="" if made else "log in again")


SETTING = (SetValue("/proc/sys/kernel/perf_event_paranoid", "2"),)


@pytest.mark.parametrize(
    ("fixes", "permanent", "chosen"),
    [
        ([choice("a"), choice("b")], False, "a"),
        ([choice("a", "permanent"), choice("b")], False, "b"),
        ([choice("a"), choice("b", "permanent")], True, "b"),
        ([choice("a", changes=SETTING), choice("b", "permanent")], False, "b"),
        ([choice("a", weakens="opens all"), choice("b", changes=SETTING)], False, "b"),
        ([choice("a", weakens="opens all")], False, None),
        ([choice("a", changes=()), choice("b", "permanent")], False, "b"),
        ([], False, None),
    ],
)
def test_the_safest_fix_is_chosen(fixes: list[Fix], permanent: bool, chosen: str | None) -> None:
    finding = Finding("FS-002", State.FAIL, "", required_for=BOTH, fixes=tuple(fixes))
    found = plan.plan([finding], permanent=permanent)
    assert [each.fix.id for each in found.choices] == ([f"FS-002.{chosen}"] if chosen else [])
    assert bool(found.stuck) == (chosen is None)


def test_advice_is_no_fix_to_apply() -> None:
    finding = Finding("PRIV-006", State.WARN, "", required_for=BOTH, fixes=(choice("login", changes=()),))
    found = plan.plan([finding])
    assert found.choices == ()
    assert [each.fix.advice for each in found.advice] == ["log in again"]


def test_only_what_the_way_needs_is_planned_and_the_rest_is_offered() -> None:
    findings = [
        Finding("E2E-001", State.PASS, "", required_for=("raw",)),
        Finding("FS-001", State.FAIL, "", required_for=("tracefs",), fixes=(choice("mount"),)),
        Finding("FS-003", State.FAIL, "", fixes=(choice("close"),)),
    ]
    found = plan.plan(findings)
    assert (found.method, found.choices, found.stuck) == ("raw", (), ())
    assert [each.fix.id for each in found.offered] == ["FS-002.mount", "FS-002.close"]
    assert [each.finding.id for each in plan.plan(findings, ["FS-001"]).choices] == ["FS-001"]
    assert [each.finding.id for each in plan.plan(findings, ["FS-002.close"]).choices] == ["FS-003"]


def test_a_fix_that_weakens_is_chosen_by_its_own_id_only() -> None:
    finding = Finding("FS-002", State.FAIL, "", required_for=BOTH, fixes=(choice("group", weakens="read for a group"),))
    assert plan.plan([finding], ["FS-002"]).choices == ()
    assert [each.fix.id for each in plan.plan([finding], ["FS-002.group"]).choices] == ["FS-002.group"]
    with pytest.raises(plan.PlanError, match=r"FS-002\.gruop: no such check or fix here.*FS-002\.group"):
        plan.plan([finding], ["FS-002.gruop"])


def test_the_way_that_fixes_can_free_is_taken() -> None:
    findings = [
        Finding("KERN-001", State.FAIL, "", required_for=("raw",)),
        Finding("FS-001", State.FAIL, "", required_for=("tracefs",), fixes=(choice("mount"),)),
    ]
    found = plan.plan(findings)
    assert (found.method, [each.fix.id for each in found.choices]) == ("tracefs", ["FS-002.mount"])
