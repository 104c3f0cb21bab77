"""From findings to a verdict for each attach method, and an exit status."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from denet_tui.checks.model import BOTH, AttachMethod, Finding, State

Verdict = Literal["ready", "blocked", "unknown"]
READY, BLOCKED, WARNINGS, USAGE, CRASHED = 0, 1, 2, 64, 70
"""Exit statuses of diag and setup; 64 and 70 are those of sysexits.h."""

PROOF = "E2E-001"
"""The check that loads, attaches and counts for real: what it says of an attach method outweighs what was only read."""
ACCESS = "PRIV-001"
"""The check at whose step a way to the capabilities is chosen."""
_TRIED = (State.WARN, State.FAIL, State.OPTIONAL)
_UNSURE = (State.UNKNOWN, State.CRASH)


@dataclass(frozen=True, slots=True)
class MethodVerdict:
    """What the findings say about one attach method, and which ids say it."""

    method: AttachMethod
    verdict: Verdict
    ids: tuple[str, ...] = ()
    proven: bool = True
    """False if only some checks were run, and not the one that tries this method."""

    def __str__(self) -> str:
        if self.verdict == "ready":
            return "ready" if self.proven else "ready as far as was checked"
        if self.verdict == "blocked":
            return f"blocked by {', '.join(self.ids)}"
        return f"unknown: {', '.join(self.ids)} could not be told" if self.ids else "unknown: nothing was proven"


def methods(findings: Sequence[Finding], *, whole: bool = True) -> tuple[MethodVerdict, ...]:
    """The verdict of each attach method. `whole` is False if only some checks were run, so that nothing is proven."""
    return tuple(_method(method, findings, whole=whole) for method in BOTH)


def _method(method: AttachMethod, findings: Sequence[Finding], *, whole: bool) -> MethodVerdict:
    proof = next((finding for finding in findings if finding.id == PROOF), None)
    if proof and _proves(proof, method):
        return MethodVerdict(method, "ready")
    if blocking := tuple(finding.id for finding in findings if method in finding.blocks):
        return MethodVerdict(method, "blocked", blocking)
    unsure = tuple(
        finding.id
        for finding in findings
        if finding.state in _UNSURE and (method in finding.required_for or finding.id == PROOF)
    )
    return MethodVerdict(method, "unknown", unsure) if unsure or whole else MethodVerdict(method, "ready", proven=False)


def _proves(proof: Finding, method: AttachMethod) -> bool:
    """Whether it has counted exactly by this method; unsure of the other one, it names that alone."""
    if proof.state is State.PASS:
        return method in (proof.required_for or BOTH)
    if proof.state in _TRIED:
        return method not in proof.blocks
    return bool(proof.required_for) and method not in proof.required_for


def status(findings: Sequence[Finding], found: Sequence[MethodVerdict], *, strict: bool = False) -> int:
    """The exit status of diag."""
    states = {finding.state for finding in findings}
    if State.CRASH in states:
        return CRASHED
    if not any(method.verdict == "ready" for method in found):
        return BLOCKED
    return WARNINGS if strict and State.WARN in states else READY


def method_of(findings: Sequence[Finding]) -> AttachMethod:
    """What is worked towards: the one that is ready, else the first that fixes can free, if any; else raw tracepoints.

    Raw tracepoints come first: they need least.
    """
    verdicts = methods(findings)
    for each in verdicts:
        if each.verdict == "ready":
            return each.method
    for each in verdicts:
        blocking = [finding for finding in findings if each.method in finding.blocks]
        if all(any(fix.changes and not fix.weakens for fix in finding.fixes) for finding in blocking):
            return each.method
    return BOTH[0]


def settled(findings: Sequence[Finding]) -> list[Finding]:
    """The findings as they are shown: what fails is `optional` where watching works, or is worked towards, without it.

    A failure that no attach method needs (a hole in this machine) stays one.
    """
    method = method_of(findings)
    ready = any(each.verdict == "ready" for each in methods(findings))

    def is_optional(each: Finding) -> bool:
        return each.state is State.FAIL and bool(each.required_for) and (ready or method not in each.required_for)

    return [replace(each, state=State.OPTIONAL) if is_optional(each) else each for each in findings]
