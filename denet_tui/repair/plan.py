"""Chooses the safest fix for what stands in the way, and shows exactly what it would change."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from denet_tui.checks.host import Host
from denet_tui.checks.model import Finding, Fix, RunCommand, Scope, SetValue, State, Way, WriteFile
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


def shown(fix: Fix, host: Host) -> list[str]:
    """The exact commands and file differences of a fix, line by line, before anything happens."""
    lines = []
    for change in fix.changes:
        match change:
            case RunCommand(argv):
                lines.append(f"run    {shlex.join(argv)}")
            case SetValue(path, value):
                lines.append(f"set    {path}: {_value(host, path)} -> {value}")
            case WriteFile(path, text, mode):
                lines.append(f"delete {path}" if text is None else f"write  {path} (root, mode {mode:04o})")
                lines += difference(host, change)
    return lines


def _value(host: Host, path: str) -> str:
    try:
        return " ".join(host.read(path).split())
    except OSError as error:
        return f"({error.strerror})"


def difference(host: Host, change: WriteFile) -> list[str]:
    """Unified difference between a file as it is and as it would be."""
    try:
        old: str | None = host.read(change.path)
    except FileNotFoundError:
        old = None
    except OSError as error:
        return [f"  (cannot be read: {error.strerror})"]
    before, after = ("/dev/null" if each is None else change.path for each in (old, change.text))
    return list(
        difflib.unified_diff((old or "").splitlines(), (change.text or "").splitlines(), before, after, lineterm="")
    )


def as_json(choice: Choice, host: Host) -> dict[str, Any]:
    """A fix in the plan of `setup --json`."""
    fix = choice.fix
    files = [
        {"path": each.path, "mode": f"{each.mode:04o}", "text": each.text, "diff": difference(host, each)}
        for each in fix.changes
        if isinstance(each, WriteFile)
    ]
    return {
        "id": fix.id,
        "title": fix.title,
        "finding": {"id": choice.finding.id, "state": str(choice.finding.state), "title": choice.finding.title},
        "commands": [list(each.argv) for each in fix.changes if isinstance(each, RunCommand)],
        "files": files,
        "values": [
            {"path": each.path, "old": _value(host, each.path), "new": each.value}
            for each in fix.changes
            if isinstance(each, SetValue)
        ],
        "scope": fix.scope,
        "undo": fix.undo,
        "weakens": fix.weakens,
        "advice": fix.advice,
    }
