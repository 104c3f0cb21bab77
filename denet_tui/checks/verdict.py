"""From findings to a verdict for each attach method, an exit status, and the one step to take next."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from denet_tui.checks.host import Host
from denet_tui.checks.model import BOTH, AttachMethod, Finding, Fix, State

Verdict = Literal["ready", "blocked", "unknown"]
READY, BLOCKED, WARNINGS, USAGE, CRASHED = 0, 1, 2, 64, 70
"""Exit statuses of diag and setup; 64 and 70 are those of sysexits.h."""

PROOF = "E2E-001"
"""The check that loads, attaches and counts for real: what it says of a way outweighs what was only read."""
_TRIED = (State.PASS, State.WARN, State.FAIL)
_UNSURE = (State.UNKNOWN, State.CRASH)


@dataclass(frozen=True, slots=True)
class MethodVerdict:
    """What the findings say about one attach method, and which ids say it."""

    method: AttachMethod
    verdict: Verdict
    ids: tuple[str, ...] = ()
    proven: bool = True
    """False if only some checks were run, and not the one that tries this way."""

    def __str__(self) -> str:
        if self.verdict == "ready":
            return "ready" if self.proven else "ready as far as was checked"
        if self.verdict == "blocked":
            return f"blocked by {', '.join(self.ids)}"
        return f"unknown: {', '.join(self.ids)} could not be told" if self.ids else "unknown: nothing was proven"


@dataclass(frozen=True, slots=True)
class NextStep:
    """What to do next: a sentence, and the command to type where there is one."""

    text: str
    command: tuple[str, ...] = ()
    finding: str = ""

    def __str__(self) -> str:
        return f"{self.text}: {shlex.join(self.command)}" if self.command else self.text


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
    """Whether it has counted exactly by this way; unsure of the other one, it names that alone."""
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


def next_step(
    host: Host, findings: Sequence[Finding], found: Sequence[MethodVerdict], command: str = "denet-tui"
) -> NextStep:
    """The one thing to do now: watch, repair the first thing in the way, look as root, or ask an administrator."""
    sudo = _becoming_root(host)
    if not all(method.proven for method in found) and not any(method.ids for method in found):
        return NextStep("Look at everything", (*sudo, command, "diag"))
    if any(method.verdict == "ready" and method.proven for method in found):
        # Whoever is not root and could load the program needs nobody's help; root most likely came through sudo.
        prefix = sudo if host.uid == 0 and not _is_served(findings) else ()
        return NextStep("Ready. Watch a command", (*prefix, command, "run", "--", "CMD"))
    is_root = host.uid == 0
    if found_fix := _first_fix(findings, BOTH if is_root else BOTH[:1]):  # raw first: it needs least
        return _repair(*found_fix, command, sudo, is_root=is_root)
    if is_root:
        return _without_fix(findings, command, sudo)
    if not sudo:
        return NextStep("Ask an administrator of this machine to run, as root", (command, "diag"))
    return NextStep("Root can look at everything, and watch", (*sudo, command, "diag"))


def _first_fix(findings: Sequence[Finding], ways_in: Sequence[AttachMethod]) -> tuple[Finding, Fix] | None:
    for method in ways_in:
        for finding in findings:
            if method in finding.blocks and (fix := applicable(finding)):
                return finding, fix
    return None


def _without_fix(findings: Sequence[Finding], command: str, sudo: tuple[str, ...]) -> NextStep:
    """What root does where nothing can be applied."""
    for finding in findings:
        if finding.blocks and (advice := next((fix.advice for fix in finding.fixes if fix.advice), "")):
            return NextStep(f"{finding.id}: {advice}", finding=finding.id)
    if any(finding.state is State.CRASH for finding in findings):
        return NextStep("Report what broke, with", (command, "diag", "--report", "FILE"))
    return NextStep("Try it, and see what it says", (*sudo, command, "selftest", "--debug"))


def _is_served(findings: Sequence[Finding]) -> bool:
    """Whether who asked needs no sudo: the socket counts, and lets this session in."""
    return {"PRIV-005", "PRIV-006"} <= {finding.id for finding in findings if finding.state is State.PASS}


def _repair(finding: Finding, fix: Fix, command: str, sudo: tuple[str, ...], *, is_root: bool) -> NextStep:
    repair, text = (command, "setup", "--only", finding.id), f"epair {finding.id} ({fix.title})"
    if not (sudo or is_root):
        return NextStep(f"Ask an administrator of this machine to r{text} with, as root", repair, finding.id)
    return NextStep(f"R{text}", (*sudo, *repair), finding.id)


def applicable(finding: Finding) -> Fix | None:
    """The first fix that denet-tui can apply itself and that opens nothing."""
    return next((fix for fix in finding.fixes if fix.changes and not fix.weakens), None)


def _becoming_root(host: Host) -> tuple[str, ...]:
    for name in ("sudo", "doas", "pkexec"):
        for folder in ("/usr/bin", "/bin", "/usr/local/bin", "/run/wrappers/bin"):
            if host.access(f"{folder}/{name}", os.X_OK):
                return (name,)
    return ()
