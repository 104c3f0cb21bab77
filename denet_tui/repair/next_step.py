"""The one step to take next, by the plan that setup and its screen go by, too."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from denet_tui.checks.host import Host
from denet_tui.checks.model import Finding, State
from denet_tui.checks.verdict import ACCESS, MethodVerdict
from denet_tui.repair import plan
from denet_tui.repair.plan import Choice
from denet_tui.system import called


@dataclass(frozen=True, slots=True)
class NextStep:
    """What to do next: a sentence, and the command to type where there is one."""

    text: str
    command: tuple[str, ...] = ()
    finding: str = ""

    def __str__(self) -> str:
        return f"{self.text}: {shlex.join(self.command)}" if self.command else self.text


def next_step(host: Host, findings: Sequence[Finding], found: Sequence[MethodVerdict]) -> NextStep:
    """What to do now: watch, put right the first thing in the way, look as root, or ask an administrator."""
    sudo, is_root, command = _becoming_root(host), host.uid == 0, called.program()
    if not all(method.proven for method in found) and not any(method.ids for method in found):
        return NextStep("Look at everything", (*sudo, command, "diag"))
    if any(method.verdict == "ready" and method.proven for method in found):
        # Whoever is not root and could load the program needs nobody's help; root most likely came through sudo.
        prefix = sudo if is_root and not _is_served(findings) else ()
        return NextStep("Ready. Watch a command", (*prefix, command, "run", "--", "CMD"))
    for choice in plan.plan(findings).needed:
        if choice.finding.id == ACCESS and not is_root:
            continue  # as root is how all that follows is done
        return _repair(choice, command, sudo, is_root=is_root)
    if is_root:
        return _without_fix(findings, command, sudo)
    if not sudo:
        return _asked("run, as root", ("diag",))
    return NextStep("Root can look at everything, and watch", (*sudo, command, "diag"))


def _without_fix(findings: Sequence[Finding], command: str, sudo: tuple[str, ...]) -> NextStep:
    """What root does where nothing is known against what is in the way."""
    if any(finding.state is State.CRASH for finding in findings):
        return NextStep("Report what broke, with", (command, "diag", "--report", "FILE"))
    return NextStep("Try it, and see what it says", (*sudo, command, "selftest", "--debug"))


def _is_served(findings: Sequence[Finding]) -> bool:
    """Whether who asked needs no sudo: the socket counts, and lets this session in."""
    return {"PRIV-005", "PRIV-006"} <= {finding.id for finding in findings if finding.state is State.PASS}


def _repair(choice: Choice, command: str, sudo: tuple[str, ...], *, is_root: bool) -> NextStep:
    finding, fix = choice.finding, choice.fix
    if not fix.changes:
        return NextStep(f"{finding.id}: {fix.advice}", finding=finding.id)
    words, what = ("setup", "--only", finding.id), f"epair {finding.id} ({fix.title})"
    if not (sudo or is_root):
        return _asked(f"r{what} with, as root", words, finding.id)
    return NextStep(f"R{what}", (*sudo, command, *words), finding.id)


def _asked(text: str, words: tuple[str, ...], finding: str = "") -> NextStep:
    """What an administrator is to be asked to do."""
    program, to_install = called.for_administrator()
    first = "run `make install` in a checkout of theirs, then to " * to_install
    return NextStep(f"Ask an administrator of this machine to {first}{text}", (program, *words), finding)


def _becoming_root(host: Host) -> tuple[str, ...]:
    ways = called.installed(host.access)
    itself = called.itself()
    return next(((Path(each).name,) for each in ways if host.uid == 0 or not called.refuses(each, *itself)), ())
