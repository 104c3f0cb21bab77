"""What diff does: recordings of before and after compared, and rules that may not be broken."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from denet_tui.commands.recordings import tracks
from denet_tui.commands.run import exit_with, log_to
from denet_tui.commands.targets import WatchRequest
from denet_tui.record.gate import ENOUGH, RUNS, TIMES, Change, Rule, changes, distinct, path_changes, unknown
from denet_tui.record.table import duration
from denet_tui.record.totals import Totals
from denet_tui.system.visible import complain, markdown, visible, write
from denet_tui.watch.launch import FAILED, StartError

_MOST = 20
"""Paths that are told."""
_CHANCE = f"a time is told from noise where each side has {RUNS} different recordings, p10 of {ENOUGH} calls in each"


def diff(words: Sequence[str], rules: Sequence[str], request: WatchRequest) -> NoReturn:
    """Write the differences; exits with 1 where a rule is broken, 125 where none can be decided.

    Raises click.UsageError.
    """
    base, new = _sides(words)
    try:
        limits = [Rule.of(each) for each in rules]
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    exit_with(lambda _: _diff(base, new, limits, request))


def _sides(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The files of each side; `--base` and `--new` take all that follow, which click has no way to say."""
    sides: dict[str, list[str]] = {"--base": [], "--new": []}
    side = None
    for word in words:
        if word in sides:
            side = sides[word]
        elif word.startswith("-") and word != "-":
            raise click.UsageError(f"No such option {word!r}")
        elif side is None:
            sides["--new" if sides["--base"] else "--base"].append(word)
        else:
            side.append(word)
    base, new = sides.values()
    if not base or not new or (side is None and len(words) != 2):
        raise click.UsageError("diff takes two recordings, or --base with some and --new with some")
    if words.count("-") > 1:
        raise click.UsageError("standard input can be one of the recordings only")
    return base, new


def _diff(base: Sequence[str], new: Sequence[str], rules: Sequence[Rule], request: WatchRequest) -> int:
    opened = tracks([*base, *new])
    log_to(request, on_screen=False)
    runs = [Totals.of(track) for track in opened]
    for rule in rules:
        if why := unknown(rule, runs):
            raise StartError(why)
    sides = distinct(runs[: len(base)]), distinct(runs[len(base) :])
    found = changes(*sides)
    chances = [rule for rule in rules if rule.chance(found)]
    broken = [(rule, change) for rule in rules if rule not in chances and (change := rule.broken_by(*sides))]
    doubts, aside = _doubts([*base, *new], runs)
    lines = [*_verdicts(broken, chances, doubts, aside), *_table(found, other=bool(broken)), *_paths(*sides)]
    if min(map(len, sides)) < RUNS:
        lines += ["", "times are compared where each side has three recordings or more: --base a b c --new d e f"]
    write("\n".join(lines) + "\n", sys.stdout)
    if undecided := _undecided(rules, doubts, () if broken else chances):
        return complain(undecided, FAILED)
    return 1 if broken else 0


def _doubts(paths: Sequence[str], runs: Sequence[Totals]) -> tuple[list[tuple[str, str]], list[str]]:
    """Which recordings are not exact and why, and which files among their parts are passed over."""
    both = list(zip(paths, runs, strict=True))
    return [(path, run.doubt) for path, run in both if run.doubt], [
        f"{path}: {why}" for path, run in both for why in run.astray
    ]


def _undecided(rules: Sequence[Rule], doubts: Sequence[tuple[str, str]], chances: Sequence[Rule]) -> str:
    """Why rules cannot be decided, as one line; empty where they can."""
    if rules and doubts:
        return f"no rule can be decided: {visible(doubts[0][0])} is not exact ({doubts[0][1]})"
    return f"{visible(chances[0].words)!r} cannot be decided: {_CHANCE}" if chances else ""


def _verdicts(
    broken: Sequence[tuple[Rule, Change]],
    chances: Sequence[Rule],
    doubts: Sequence[tuple[str, str]],
    aside: Sequence[str],
) -> list[str]:
    """What is so, where all is exact that it goes by; and an empty line."""
    verdict = "cannot be decided" if doubts else "is so"
    lines = [
        f"- **{markdown(rule.words)}** {verdict}: "
        f"{f'{markdown(change.program)}: ' if rule.program == '*' else ''}{_numbers(change)}"
        for rule, change in broken
    ]
    lines += [f"- **{markdown(rule.words)}** cannot be decided: {_CHANCE}" for rule in chances]
    lines += [f"- {markdown(path)} is not exact: {markdown(doubt)}" for path, doubt in doubts]
    lines += [f"- {markdown(each)}" for each in aside]
    return [*lines, *([""] if lines else [])]


def _table(found: Sequence[Change], *, other: bool) -> list[str]:
    """What is beyond noise, the largest change first; with `other` there is more than that."""
    beyond = sorted((each for each in found if each.word), key=lambda each: -abs(each.after - each.before))
    told = [each for each in beyond if not each.lacks]
    rows = [f"| {markdown(each.program)} | {markdown(each.call)} | {each.word} | {_numbers(each)} |" for each in told]
    lacking = dict.fromkeys(each.program for each in beyond if each.lacks)
    rows += [f"| {markdown(program)} | | not told: its parts were deleted | |" for program in lacking]
    if not rows:
        return ["no other change beyond noise" if other else "no change beyond noise"]
    return ["| program | syscall | | before → after |", "|---|---|---|---|", *rows]


def _paths(base: Sequence[Totals], new: Sequence[Totals]) -> list[str]:
    """Of files and failing paths what is beyond noise, the largest change first."""
    told = sorted(
        (each for each in path_changes(base, new) if each.word), key=lambda each: -abs(each.after - each.before)
    )
    cells = [(markdown(each.program), markdown(each.call), each.word, _numbers(each)) for each in told[:_MOST]]
    rows = [f"| {' | '.join(each)} |" for each in cells]
    more = [f"| {len(told) - _MOST:,} more | | | |"] if len(told) > _MOST else []
    return ["", "| path | failing call | | before → after |", "|---|---|---|---|", *rows, *more] if rows else []


def _numbers(change: Change) -> str:
    if change.metric in TIMES:
        return f"{change.metric} {duration(change.before)} → {duration(change.after)}"
    return f"{change.metric} {change.before:,.0f} → {change.after:,.0f}"
