"""Findings as JSON that nothing is lost of, between the helper that looks and the process that shows."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, fields, replace
from typing import Any

from denet_tui.checks.host import Host
from denet_tui.checks.model import Change, Evidence, Finding, Fix, RunCommand, SetValue, State, WriteFile
from denet_tui.checks.verdict import ACCESS
from denet_tui.helper import access
from denet_tui.helper.access import Reach
from denet_tui.repair.preview import PreviewLine, preview

_CHANGES: dict[str, type[Change]] = {each.__name__: each for each in (RunCommand, WriteFile, SetValue)}


def to_json(finding: Finding) -> dict[str, Any]:
    """All of a finding."""
    return {**asdict(replace(finding, fixes=())), "fixes": [_fix(each) for each in finding.fixes]}


def _fix(fix: Fix) -> dict[str, Any]:
    changes = [{"kind": type(each).__name__, **asdict(each)} for each in fix.changes]
    return {**asdict(replace(fix, changes=())), "changes": changes}


def digest(fix: Fix) -> str:
    """Stands for a fix and all that it does and says: of two that differ in anything the digests differ."""
    return hashlib.sha256(json.dumps(_fix(fix), sort_keys=True).encode()).hexdigest()


def from_json(value: dict[str, Any]) -> Finding:
    """The finding again; raises KeyError, TypeError, ValueError where it is none."""
    fixes = tuple(
        Fix(**{**_tuples(each), "changes": tuple(_change(change) for change in each["changes"])})
        for each in value["fixes"]
    )
    evidence = tuple(Evidence(**each) for each in value["evidence"])
    known = {**_tuples(value), "state": State(value["state"]), "fixes": fixes, "evidence": evidence}
    return Finding(**{each.name: known[each.name] for each in fields(Finding)})


def _change(value: dict[str, Any]) -> Change:
    kind = _CHANGES[value["kind"]]
    return kind(**{name: each for name, each in _tuples(value).items() if name != "kind"})


def _tuples(value: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(each) if isinstance(each, list) else each for name, each in value.items()}


def beside(finding: Finding, host: Host) -> dict[str, Any]:
    """What a screen shows beside a finding, looked at now: each fix's preview, and the reach of ACCESS."""
    reach = {"reach": asdict(access.reach(host))} if finding.id == ACCESS else {}
    return {"previews": {fix.id: [asdict(line) for line in preview(fix, host)] for fix in finding.fixes}, **reach}


def previews(value: dict[str, Any]) -> dict[str, tuple[PreviewLine, ...]]:
    """The lines of each fix again."""
    return {fix: tuple(PreviewLine(**_tuples(line)) for line in lines) for fix, lines in value.items()}


def reach(value: dict[str, Any] | None) -> Reach | None:
    """The reach again; None if none was told."""
    return Reach(**_tuples(value)) if value else None
