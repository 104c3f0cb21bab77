"""Chooses the safest fix for what stands in the way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from denet_tui.checks.model import Finding, Fix, Scope, SetValue, State, Way, WriteFile
from denet_tui.checks.verdict import PROOF, ways

_WRONG = (State.FAIL, State.WARN)


class PlanError(Exception):
    """An id that names nothing; the text says which there are."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A finding and the fix for it: one to apply, or one that a person must do (its `advice`)."""

    finding: Finding
    fix: Fix


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done for one way in, what a person must do, and what is offered beyond."""

    way: Way
    choices: tuple[Choice, ...] = ()
    advice: tuple[Choice, ...] = ()
    offered: tuple[Choice, ...] = ()
    """Not needed for this way, or weakening the machine: only where asked for by id."""
    stuck: tuple[Finding, ...] = ()
    """What blocks this way, and nothing is known against it."""


def plan(findings: Sequence[Finding], ids: Iterable[str] | None = None, *, permanent: bool = False) -> Plan:
    """The safest fix for each finding that fails or warns and that the way in needs; raises PlanError.

    `ids` (of checks or of fixes) asks for just these, whether needed or not; a fix's own id also where all is
    well. A fix that weakens the machine is
    chosen where its own id is given, never else. Order of safety: as the check has them, settings of the kernel
    last; until reboot before permanent, or the other way round where `permanent` was asked for.
    """
    way = _way(findings)
    asked = None if ids is None else set(ids)
    by_name = asked or set()
    wrong = [each for each in findings if each.state in _WRONG or by_name & {fix.id for fix in each.fixes}]
    if asked is not None:
        _known(findings, asked)
    choices: list[Choice] = []
    advice: list[Choice] = []
    offered: list[Choice] = []
    stuck: list[Finding] = []
    for finding in wrong:
        named = asked is not None and bool(asked & {finding.id, *(fix.id for fix in finding.fixes)})
        chosen = _safest(finding, asked or set(), permanent=permanent)
        if not named and (asked is not None or way not in finding.required_for):
            offered += [Choice(finding, fix) for fix in chosen]
        else:
            choices += [Choice(finding, fix) for fix in chosen if fix.changes]
            advice += [Choice(finding, fix) for fix in chosen if not fix.changes]
            stuck += [finding] if not chosen and way in finding.blocks else []
            offered += [Choice(finding, fix) for fix in finding.fixes if not chosen]
    if asked is None:  # what could be had beyond: nothing is wrong without it
        able = (each for each in findings if each.state is State.SKIP)
        offered += [Choice(each, fix) for each in able for fix in each.fixes if fix.changes]
    if any(way in finding.blocks for finding in wrong if finding.id != PROOF):
        stuck = [finding for finding in stuck if finding.id != PROOF]  # it fails because of the others
    return Plan(way, *map(tuple, (_once(choices), _once(advice), offered, stuck)))  # type: ignore[arg-type]


def _once(choices: list[Choice]) -> list[Choice]:
    """Two findings may name the same fix."""
    return list({choice.fix.id: choice for choice in reversed(choices)}.values())[::-1]


def _known(findings: Sequence[Finding], asked: set[str]) -> None:
    known = {finding.id for finding in findings} | {fix.id for finding in findings for fix in finding.fixes}
    content = {finding.id for finding in findings if finding.state is State.PASS}  # so its fix is not offered any more
    if unknown := sorted(each for each in asked - known if each.partition(".")[0] not in content):
        there = ", ".join(sorted(fix.id for finding in findings for fix in finding.fixes)) or "none"
        raise PlanError(f"{', '.join(unknown)}: no such check or fix here; fixes offered on this machine: {there}")


def _way(findings: Sequence[Finding]) -> Way:
    """The way that is ready; else the first that fixes can free; else raw tracepoints, which need least."""
    verdicts = ways(findings)
    for each in verdicts:
        if each.verdict == "ready":
            return each.way
    for each in verdicts:
        blocking = [finding for finding in findings if each.way in finding.blocks]
        if blocking and all(any(fix.changes and not fix.weakens for fix in finding.fixes) for finding in blocking):
            return each.way
    return "raw"


def _safest(finding: Finding, asked: set[str], *, permanent: bool) -> list[Fix]:
    by_name = [fix for fix in finding.fixes if fix.id in asked]
    sound = [fix for fix in finding.fixes if not fix.weakens]
    if by_name or finding.all_fixes:
        return by_name or sound
    first: Scope = "permanent" if permanent else "until-reboot"
    return sorted(sound, key=lambda fix: (not fix.changes, _is_setting(fix), fix.scope != first))[:1]


def _is_setting(fix: Fix) -> bool:
    """A setting of the kernel holds for everybody on the machine: the last resort."""
    return any(
        isinstance(change, SetValue) or (isinstance(change, WriteFile) and change.path.startswith("/etc/sysctl.d/"))
        for change in fix.changes
    )
