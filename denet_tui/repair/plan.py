"""Chooses the safest fix for what stands in the way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from denet_tui.checks.model import AttachMethod, Finding, Fix, Scope, SetValue, State, WriteFile
from denet_tui.checks.verdict import PROOF, method_of, settled

_WRONG = (State.FAIL, State.WARN, State.OPTIONAL)


class PlanError(Exception):
    """An id that names nothing; the text says which there are."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A finding and the fix for it: one to apply, or one that a person must do (its `advice`)."""

    finding: Finding
    fix: Fix


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done for one attach method, what a person must do, and what is offered beyond."""

    method: AttachMethod
    needed: tuple[Choice, ...] = ()
    """What stands in the way, in the order in which it was looked at."""
    offered: tuple[Choice, ...] = ()
    """Not needed for this attach method, or weakening the machine: only where asked for by id."""
    stuck: tuple[Finding, ...] = ()
    """What blocks this attach method, and has no fix that is known."""

    @property
    def choices(self) -> tuple[Choice, ...]:
        """Of what is needed: what can be applied."""
        return tuple(choice for choice in self.needed if choice.fix.changes)

    @property
    def advice(self) -> tuple[Choice, ...]:
        """Of what is needed: what a person must do."""
        return tuple(choice for choice in self.needed if not choice.fix.changes)


def plan(findings: Sequence[Finding], ids: Iterable[str] = (), *, permanent: bool = False) -> Plan:
    """The safest fix for each finding that fails or warns and that the attach method needs; raises PlanError.

    `ids` (of checks or of fixes) asks for just these, whether needed or not; a fix's own id also where all is
    well. A fix that weakens the machine is chosen where its own id is given, never else. Order of safety: as the
    check has them, settings of the kernel last; until reboot before permanent, or the other way round where
    `permanent` was asked for.
    """
    findings, method, asked = settled(findings), method_of(findings), frozenset(ids)
    _known(findings, asked)
    choices: list[Choice] = []
    offered: list[Choice] = []
    stuck: list[Finding] = []
    for finding in findings:
        names = {fix.id for fix in finding.fixes}
        if finding.state not in _WRONG and not asked & names:
            continue
        chosen = _choices(finding, _safest(finding, asked, permanent=permanent))
        needed = method in finding.required_for and finding.state is not State.OPTIONAL
        if asked & {finding.id, *names} if asked else needed:
            choices += chosen
            if not chosen:
                offered += _choices(finding, finding.fixes)
                stuck.append(finding)
        else:
            offered += chosen
    return Plan(
        method,
        _once(choices),
        (*offered, *(() if asked else _beyond(findings))),
        _stuck(findings, method, stuck),
    )


def _choices(finding: Finding, fixes: Iterable[Fix]) -> list[Choice]:
    return [Choice(finding, fix) for fix in fixes]


def _beyond(findings: Sequence[Finding]) -> list[Choice]:
    """What could be had: nothing is wrong without it."""
    able = (each for each in findings if each.state is State.SKIP)
    return [Choice(each, fix) for each in able for fix in each.fixes if fix.changes]


def _stuck(findings: Sequence[Finding], method: AttachMethod, without_fix: Sequence[Finding]) -> tuple[Finding, ...]:
    """What of it blocks the attach method; the proof only by itself, as it fails because of the others."""
    others = any(method in finding.blocks for finding in findings if finding.id != PROOF)
    return tuple(each for each in without_fix if method in each.blocks and not (others and each.id == PROOF))


def _once(choices: list[Choice]) -> tuple[Choice, ...]:
    """Two findings may name the same fix."""
    return tuple({choice.fix.id: choice for choice in reversed(choices)}.values())[::-1]


def _known(findings: Sequence[Finding], asked: frozenset[str]) -> None:
    known = {finding.id for finding in findings} | {fix.id for finding in findings for fix in finding.fixes}
    content = {finding.id for finding in findings if finding.state is State.PASS}  # so its fix is not offered any more
    if unknown := sorted(each for each in asked - known if each.partition(".")[0] not in content):
        there = ", ".join(sorted(fix.id for finding in findings for fix in finding.fixes)) or "none"
        raise PlanError(f"{', '.join(unknown)}: no such check or fix here; fixes offered on this machine: {there}")


def _safest(finding: Finding, asked: frozenset[str], *, permanent: bool) -> list[Fix]:
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
