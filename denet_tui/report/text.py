"""Findings for a terminal: grouped by area, a sign and a word for each, 80 columns, no colour needed to read it."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterable, Iterator, Sequence

from denet_tui.checks.catalogue import AREAS, by_id
from denet_tui.checks.model import Finding, Fix, State
from denet_tui.checks.verdict import MethodVerdict
from denet_tui.repair.next_step import NextStep
from denet_tui.repair.preview import preview
from denet_tui.system.visible import visible

WIDTH = 80
SIGNS = {
    State.PASS: ("\N{CHECK MARK}", "+", "good"),
    State.WARN: ("!", "!", "warn"),
    State.FAIL: ("\N{BALLOT X}", "x", "bad"),
    State.OPTIONAL: ("\N{WHITE CIRCLE}", "o", "dim"),
    State.UNKNOWN: ("?", "?", "warn"),
    State.SKIP: ("-", "-", "dim"),
    State.CRASH: ("#", "#", "bad"),
}
"""By state: the sign, the same in ASCII, and the tone."""
_COLOURS = {"good": "32", "warn": "33", "bad": "31;1", "dim": "2"}
"""By tone: SGR parameters."""
_CHANGES = {
    "set": "{0.text}: write {0.new}",
    "delete": "{0.text}: delete",
    "write": "{0.text} (mode {0.mode}):",
    "text": "  {0.text}",
}
"""By kind of a line of a preview."""
_NEEDS_WORDS = (State.WARN, State.FAIL, State.UNKNOWN, State.CRASH)
_FEW = 5
"""Pieces of evidence that a terminal shows of one finding."""
_SHORT_EVIDENCE = 200
"""Characters of a value that a terminal shows; the report has all of it."""


def render(
    findings: Sequence[Finding],
    methods: Sequence[MethodVerdict],
    step: NextStep,
    *,
    colour: bool = False,
    ascii_only: bool = False,
) -> str:
    """The whole text, with a newline at its end."""
    lines: list[str] = []
    for area in AREAS:
        mine = [finding for finding in findings if area_of(finding) == area]
        if mine:
            lines += [area, *(line for each in mine for line in _finding(each, colour=colour, ascii_only=ascii_only))]
            lines.append("")
    for method in methods:
        lines += _wrapped(f"{method.method}: {method}", "method  ", "        ")
    lines += ["", *_wrapped(step.text + (":" if step.command else ""), "next    ", "        ")]
    lines += (f"        {visible(line)}" for line in command_lines(step.command, WIDTH - 8)) if step.command else ()
    return "\n".join(lines).rstrip("\n") + "\n"


def area_of(finding: Finding) -> str:
    """The area of the check that found it; what is unknown stands with the proof."""
    check = by_id.get(finding.id)
    return check.area if check else AREAS[-1]


def _finding(finding: Finding, *, colour: bool, ascii_only: bool) -> Iterator[str]:
    sign, ascii_sign, tone = SIGNS[finding.state]
    mark = f"{ascii_sign if ascii_only else sign} {finding.state:<9}"
    first, *rest = _wrapped(one_line(finding.title), " " * (len(mark) + 14), " " * (len(mark) + 14))
    head = f"{finding.id:<11} "
    painted = f"\x1b[{_COLOURS[tone]}m{mark}\x1b[0m" if colour else mark
    yield f"  {painted}{head}{first[len(mark) + 14 :]}"
    yield from rest
    evidence = finding.evidence if finding.state in _NEEDS_WORDS else finding.evidence[:1]
    for each in evidence[:_FEW]:
        value = one_line(each.value)
        short = value if len(value) <= _SHORT_EVIDENCE else f"{value[:_SHORT_EVIDENCE]} ... ({len(value)} characters)"
        yield from _wrapped(f"{one_line(each.source)}: {short}", "      seen  ", "            ")
    if len(evidence) > _FEW:
        yield f"      seen  ... and {len(evidence) - _FEW} more, in `denet-tui diag --report FILE`"
    if finding.state in _NEEDS_WORDS:
        yield from _wrapped(finding.why, "      why   ", "            ") if finding.why else ()
        for fix in finding.fixes:
            yield from _fix(fix)
        for link in finding.links:
            yield f"      see   {visible(link)}"


def _fix(fix: Fix) -> Iterator[str]:
    scope = f" ({fix.scope})" if fix.changes else ""
    yield from _wrapped(f"{fix.title}{scope}", "      fix   ", "            ")
    if fix.weakens:
        yield from _wrapped(f"opens: {fix.weakens}", "            ", "            ")
    yield from _advice(fix.advice)
    for line in change_lines(fix, WIDTH - 14):
        yield f"              {visible(line)}"


def _advice(advice: str) -> Iterator[str]:
    """Wrapped; a long command in it (in backquotes) has lines of its own, so that it can be copied."""
    for number, part in enumerate(re.split(r"`([^`]{40,})`", advice)):
        if number % 2:
            yield from (f"              {visible(line)}" for line in _broken(part.split(), WIDTH - 14))
        elif part.strip():
            yield from _wrapped(part.strip(), "            ", "            ")


def change_lines(fix: Fix, width: int = 1_000_000) -> list[str]:
    """What a fix does, a line or more for each change: commands as they would be run, files with their content."""
    lines: list[str] = []
    for line in preview(fix):
        lines += _broken(line.words, width) if line.words else [_CHANGES[line.kind].format(line)]
    return lines


def command_lines(argv: Iterable[str], width: int) -> list[str]:
    """A command as a shell would take it, broken between words, each line but the last with a backslash at its end."""
    return _broken(map(shlex.quote, argv), width)


def _broken(words: Iterable[str], width: int) -> list[str]:
    lines = [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + len(word) + 3 > width:
            lines[-1] += " \\"
            lines.append(f"  {word}")
        else:
            lines[-1] += f" {word}" if lines[-1] else word
    return lines


def one_line(text: str) -> str:
    """The text with every run of white space as one space."""
    return " ".join(text.split())


def _wrapped(text: str, first: str, rest: str) -> list[str]:
    """At least one line, none over WIDTH."""
    cleaned = visible(text)
    return textwrap.wrap(cleaned, WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False) or [
        first.rstrip()
    ]
