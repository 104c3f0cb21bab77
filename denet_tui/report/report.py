"""Findings for programs (JSON, diag.schema.json) and for whoever helps (Markdown, everything, redacted)."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from denet_tui import __version__
from denet_tui.checks.host import Host
from denet_tui.checks.model import Finding
from denet_tui.checks.verdict import MethodVerdict
from denet_tui.repair import preview
from denet_tui.repair.next_step import NextStep
from denet_tui.report import about, redact
from denet_tui.report.redact import Secrets
from denet_tui.report.text import area_of, change_lines
from denet_tui.system import visible

FORMAT = 1
"""Of the JSON object; it changes where a field changes its meaning or goes."""


@dataclass(frozen=True, slots=True)
class Report:
    """All that diag found out: for whom, as whom, and what to do next."""

    findings: tuple[Finding, ...]
    methods: tuple[MethodVerdict, ...]
    step: NextStep
    uid: int
    user: str
    """Name of the user who asked, and whom `uid` looked for."""
    command: tuple[str, ...] = ("denet-tui", "diag")
    """The command line that made it."""
    secrets: Secrets = field(default_factory=Secrets)

    @property
    def ready(self) -> bool:
        """Whether at least one attach method is ready."""
        return any(method.verdict == "ready" for method in self.methods)


def as_object(report: Report) -> dict[str, Any]:
    """The object of `diag --json`; a finding with something to hide has its redacted twin beside it."""
    return {
        "format": FORMAT,
        "version": __version__,
        "ready": report.ready,
        "checked_as": {"uid": report.uid, "for": report.user},
        "ways": {method.method: {"verdict": method.verdict, "ids": list(method.ids)} for method in report.methods},
        "next": {"text": report.step.text, "command": list(report.step.command)},
        "findings": [_with_twin(finding, report.secrets) for finding in report.findings],
    }


def as_json(report: Report) -> str:
    """`as_object` as text, ASCII, with a newline at its end."""
    return f"{visible.as_json(as_object(report), lines=True)}\n"


def _with_twin(finding: Finding, secrets: Secrets) -> dict[str, Any]:
    mine = finding_object(finding)
    twin = finding_object(secrets.finding(finding))
    differing = {name: value for name, value in twin.items() if value != mine[name]}
    return {**mine, "redacted": differing} if differing else mine


def finding_object(finding: Finding) -> dict[str, Any]:
    """A finding as it stands in JSON."""
    return {
        "id": finding.id,
        "area": area_of(finding),
        "state": str(finding.state),
        "title": finding.title,
        "evidence": [{"source": each.source, "value": each.value} for each in finding.evidence],
        "why": finding.why,
        "required_for": list(finding.required_for),
        "fixes": [preview.as_object(fix) for fix in finding.fixes],
        "links": list(finding.links),
        "seconds": round(finding.seconds, 4),
    }


def as_markdown(report: Report, host: Host, *, redacted: bool = True) -> str:
    """The complete report, for whoever is asked for help."""
    secrets = report.secrets if redacted else Secrets()
    findings = [secrets.finding(finding) if redacted else finding for finding in report.findings]
    covered = redact.NOT_COVERED if redacted else "not redacted: it names users, folders and hosts, and all they say"
    command = secrets.argv(report.command, keep=2) if redacted else list(report.command)
    head = [f"# denet-tui diagnostic report, {covered}; read it before you share it", ""]
    head += [redact.COVERED, ""] if redacted else []
    lines = [
        "## Verdict",
        "",
        *(f"- attach method `{method.method}`: {method}" for method in report.methods),
        f"- next: {report.step}",
        f"- checked as uid {report.uid} for {report.user}",
        "",
        "## Steps to reproduce",
        "",
        *_code([shlex.join(command)]),
        "Please add how denet-tui was installed (make install, make run, pipx, uv, a package), what you did, a step a",
        "line, what you expected, and what happened instead.",
        "",
        "## System",
        "",
        *_table(about.system(host)),
        "## Capabilities of this process",
        "",
        *_table(about.capabilities(host)),
        "## Settings",
        "",
        *_table(about.sysctls(host)),
        "## Mounts",
        "",
        *_code(about.mounts(host)),
        "## Kernel configuration",
        "",
        *_code(about.config(host) or ["not readable: /proc/config.gz, /boot and /lib/modules have none"]),
        "## Findings",
        "",
        *(line for finding in findings for line in _markdown(finding)),
    ]
    text = "\n".join(lines).rstrip("\n")
    return visible.visible("\n".join((*head, secrets.redact(text) if redacted else text, "")), keep="\n\t")


def _markdown(finding: Finding) -> list[str]:
    required = f"; required for: {', '.join(finding.required_for)}" if finding.required_for else ""
    lines = [f"### {finding.id} {finding.state}: {_inline(finding.title)}", ""]
    lines += [f"{_inline(finding.why)}", ""] if finding.why else []
    lines += [f"Took {finding.seconds:.3f} s{required}.", ""]
    for each in finding.evidence:
        lines += [f"Seen in {_inline(each.source)}:", "", *_code(each.value.splitlines())]
    for fix in finding.fixes:
        lines += [f"Fix {fix.id} ({fix.scope}): {_inline(fix.title)}", ""]
        lines += [_inline(text) for text in (fix.advice, fix.weakens and f"Opens: {fix.weakens}") if text]
        lines += [""] if lines[-1] else []
        lines += _code(change_lines(fix)) if fix.changes else []
        lines += [f"Undo: {_inline(fix.undo)}", ""] if fix.undo else []
    return lines + [f"- {link}" for link in finding.links] + ([""] if finding.links else [])


def _table(values: Mapping[str, str]) -> list[str]:
    return _code([f"{name}: {value}" for name, value in values.items()] or ["not readable"])


def _code(lines: Iterable[str]) -> list[str]:
    """A fenced block; its fence is longer than any run of tildes inside, and control characters are escaped."""
    shown: Sequence[str] = [visible.visible(line, keep="\t") for line in lines]
    longest = max((len(run) for line in shown for run in re.findall("~+", line)), default=0)
    fence = "~" * max(3, longest + 1)
    return [fence, *shown, fence, ""]


def _inline(text: str) -> str:
    """One line in which nothing counts as Markdown."""
    return visible.markdown(" ".join(text.split()))
