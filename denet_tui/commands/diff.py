"""What diff does: recordings of before and after compared, and rules that may not be broken."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from denet_tui.bpf.privilege import become, invoking_user
from denet_tui.commands.report import cell
from denet_tui.commands.run import exit_with
from denet_tui.record.gate import Change, Rule, changes
from denet_tui.record.table import duration
from denet_tui.record.totals import Totals
from denet_tui.visible import write


def diff(words: Sequence[str], rules: Sequence[str]) -> NoReturn:
    """Write the differences; exits with 1 where a rule is broken. Raises click.UsageError."""
    base, new = _sides(words)
    try:
        limits = [Rule.of(each) for each in rules]
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    exit_with(lambda _: _diff(base, new, limits))


def _sides(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The files of each side; `--base` and `--new` take all that follow, which click has no way to say."""
    sides: dict[str, list[str]] = {"--base": [], "--new": []}
    side = None
    for word in words:
        if word in sides:
            side = sides[word]
        elif word.startswith("-"):
            raise click.UsageError(f"No such option {word!r}")
        elif side is None:
            sides["--new" if sides["--base"] else "--base"].append(word)
        else:
            side.append(word)
    base, new = sides.values()
    if not base or not new or (side is None and len(words) != 2):
        raise click.UsageError("diff takes two recordings, or --base with some and --new with some")
    return base, new


def _diff(base: Sequence[str], new: Sequence[str], rules: Sequence[Rule]) -> int:
    sides = [[Totals.of(path) for path in side] for side in (base, new)]
    become(invoking_user())
    found = changes(*sides)
    broken = [(rule, change) for rule in rules if (change := rule.broken_by(found))]
    lines = [f"- **{cell(rule.words)}** is so: {_numbers(change)}" for rule, change in broken]
    for side, runs in zip(("base", "new"), sides, strict=True):
        lines += [f"- {side}: {run.last.loss.describe()}" for run in runs if not run.last.exact]
        lines += [f"- {side}: {run.ending}" for run in runs if run.ending]
    write("\n".join([*lines, *([""] if lines else []), *_table(found)]) + "\n", sys.stdout)
    return 1 if broken else 0


def _table(found: Sequence[Change]) -> list[str]:
    """What is beyond noise, the largest change first."""
    told = sorted((each for each in found if each.word), key=lambda each: -abs(each.after - each.before))
    rows = [f"| {cell(each.program)} | {cell(each.call)} | {each.word} | {_numbers(each)} |" for each in told]
    return (
        ["| program | syscall | | before → after |", "|---|---|---|---|", *rows] if rows else ["no change beyond noise"]
    )


def _numbers(change: Change) -> str:
    if change.metric == "time":
        return f"time {duration(change.before)} → {duration(change.after)}"
    return f"{change.metric} {change.before:,.0f} → {change.after:,.0f}"
