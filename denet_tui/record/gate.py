"""Recordings of before and after by program and system call: what is change, what is noise, what may not be."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import NamedTuple

from denet_tui.counts import bucket_of
from denet_tui.model import BUCKETS, LANE, Counters, bucket_floor_ns, unpack_buckets
from denet_tui.record.totals import Totals
from denet_tui.syscalls import WAITS, errno_name, named, numbers
from denet_tui.touched import Touched

METRICS = ("calls", "errors", "time", "p10")
"""How many, how many of them failed, ns in all, and ns that nine of ten take at least: what else the machine does makes
some calls slower, of a call that has become slower itself all are.
"""
TIMES = ("time", "p10")
PATH_METRICS = ("bytes read", "bytes written", "failures")
SHARE = {"calls": 0.1, "errors": 0.1, "time": 0.5, "p10": 1.25, **dict.fromkeys(PATH_METRICS, 0.1)}
"""Of p10 more than the factor of two that lies between two buckets."""
LEAST = {
    "calls": 20,
    "errors": 5,
    "time": 2_000_000,
    "p10": 1_000_000,
    "bytes read": 65_536,
    "bytes written": 65_536,
    "failures": 20,
}
"""A change is noise up to this share of what was, and up to this much; and so far as the runs of a side differ."""
ENOUGH = 10
"""Calls of each run, of which p10 is no chance."""
RUNS = 3
"""Of each side: with fewer, it is not known how much a time varies from run to run."""
_RULE = re.compile(r"(?:(?P<program>.+)/)?(?P<call>[\w:]+|\*)\.(?P<metric>calls|errors|time|p10)\s*>\s*(?P<limit>.+)")
_LIMIT = re.compile(r"(?P<plus>\+?)(?P<number>\d{1,15}(?:\.\d{1,6})?)(?P<unit>%|ns|us|ms|s|)")
_NS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}

Key = tuple[str, str]
"""Program and syscall."""


class Change(NamedTuple):
    """One number of both sides, as medians over their runs, and how large a change of it may be noise."""

    program: str
    call: str
    metric: str
    before: float
    after: float
    noise: float
    lacks: bool = False
    """Whether a run of the side that has less lacks processes: they ended in parts that are not here."""

    @property
    def word(self) -> str:
        """What happened; empty where it may be noise. Waiting calls take as long as others let them wait."""
        more = self.after - self.before
        waits = self.metric in TIMES and self.call.rpartition(":")[2] in WAITS
        if waits or abs(more) <= self.noise:
            return ""
        if self.metric in TIMES:
            return "slowed" if more > 0 else "faster"
        if not self.before or not self.after:
            return "appeared" if more > 0 else "vanished"
        return "grew" if more > 0 else "shrank"


class Rule(NamedTuple):
    """A limit as it was written: `openat.errors > +10%`, `gcc/openat.calls > 5000`, `*.time > +20ms`."""

    words: str
    program: str | None
    call: str
    metric: str
    relative: bool
    number: float
    unit: str

    @classmethod
    def of(cls, words: str) -> Rule:
        """Raises ValueError, which says what a rule looks like."""
        found = _RULE.fullmatch(words.strip())
        limit = found and _LIMIT.fullmatch(found["limit"].strip())
        if not found or not limit or not _fits(found["metric"], limit["plus"], limit["unit"]):
            raise ValueError(
                f"{words!r} is no rule: [PROGRAM/]SYSCALL.calls|errors|time|p10 > [+]NUMBER[%|ns|us|ms|s], "
                "such as `openat.errors > +10%`; * as the program is each by itself, as the system call all together"
            )
        number = float(limit["number"]) * _NS.get(limit["unit"], 1)
        return cls(words, found["program"], found["call"], found["metric"], bool(limit["plus"]), number, limit["unit"])

    def broken_by(self, base: Sequence[Totals], new: Sequence[Totals]) -> Change | None:
        """The sum that is over the limit, of p10 and of `*/` the one that grew most; None if none is.

        How much more a time is must be beyond noise as well, but for the least of p10: a rule has its own.
        """
        programs: Sequence[str | None] = (self.program,)
        if self.program == "*":
            programs = sorted({name for run in (*base, *new) for name in run.programs})
        mine = [self._sum(base, new, each) for each in programs]
        if self.metric == "p10":
            mine = [each for each in self._of(changes(base, new)) if not self.relative or each.noise < math.inf]
        return max(filter(self._broken_by, mine), key=lambda each: each.after - each.before, default=None)

    def _sum(self, base: Sequence[Totals], new: Sequence[Totals], program: str | None) -> Change:
        """Of one program, of all together for None."""
        sides = [[self._sums(run, program) for run in side] for side in (base, new)]
        key = program or "*", self.call
        return next(each for each in _of_key(key, METRICS, *sides) if each.metric == self.metric)

    def _sums(self, run: Totals, program: str | None) -> list[int]:
        rows = [
            row for (name, call), row in _numbers(run).items() if program in (None, name) and self._is_of(name, call)
        ]
        return [sum(column) for column in zip((0,) * len(METRICS), *rows, strict=True)]

    def chance(self, changes: Sequence[Change]) -> bool:
        """Whether it is about how much a time has changed, of which nothing can be told from noise."""
        mine = self._of(changes)
        return self.relative and bool(mine) and all(each.noise == math.inf for each in mine)

    def _of(self, changes: Sequence[Change]) -> list[Change]:
        return [each for each in changes if each.metric == self.metric and self._is_of(each.program, each.call)]

    def _is_of(self, program: str, call: str) -> bool:
        return self.program in (None, "*", program) and self.call in ("*", call)

    def _broken_by(self, change: Change) -> bool:
        own = self.metric == "p10" and change.noise <= LEAST["p10"]
        if self.relative and self.metric in TIMES and not own and change.after - change.before <= change.noise:
            return False
        allowed = self.number * change.before / 100 if self.unit == "%" else self.number
        return (change.after - change.before if self.relative else change.after) > allowed


def unknown(rule: Rule, runs: Sequence[Totals]) -> str:
    """What a rule names that no run has, nor, of system calls, any table: one line; empty where there is no such."""
    programs = {name for run in runs for name in run.programs}
    calls = {call.name for run in runs for program in run.programs.values() for call in program.syscalls}
    for what, name, known in (("program", rule.program, programs), ("system call", rule.call, calls)):
        if name is None or name in ("*", *known) or (known is calls and _has_number(name)):
            continue
        near = difflib.get_close_matches(name, [*known, *numbers()] if known is calls else known, n=1)
        return f"{rule.words!r}: there is no {what} {name!r}" + (f"; did you mean {near[0]}?" if near else "")
    return ""


def _has_number(call: str) -> bool:
    try:
        return named(call).nr >= 0
    except ValueError:
        return False


def _fits(metric: str, plus: str, unit: str) -> bool:
    return bool(plus) if unit == "%" else (unit in _NS) is (metric in TIMES)


def distinct(runs: Sequence[Totals]) -> list[Totals]:
    """Without copies of the same recording: these do not differ, however much its runs would."""
    return list(
        {(run.info.start_ns, run.info.start_wall_ms, run.last.elapsed_ns, run.last.total): run for run in runs}.values()
    )


def changes(base: Sequence[Totals], new: Sequence[Totals]) -> list[Change]:
    """Every number of either side, by program and syscall; what is in none of a side's runs is 0 there."""
    found = _compared([[_numbers(run) for run in side] for side in (base, new)], METRICS)
    lack = [any(run.left_out for run in side) for side in (base, new)]
    return [each._replace(lacks=lack[each.after < each.before]) for each in found] if any(lack) else found


def path_changes(base: Sequence[Totals], new: Sequence[Totals]) -> list[Change]:
    """The same by path, and of failures the call; nothing where a run does not know them. Pipes have no name."""
    sides = [[_by_path(run.last.detail.touched) for run in side] for side in (base, new)]
    if any(run is None for side in sides for run in side):
        return []
    return _compared([[run or {} for run in side] for side in sides], PATH_METRICS)


def _compared(sides: Sequence[Sequence[Mapping[Key, Sequence[int]]]], metrics: Sequence[str]) -> list[Change]:
    keys = sorted({key for side in sides for run in side for key in run})
    nothing = (0,) * len(metrics)
    return [
        each
        for key in keys
        for each in _of_key(key, metrics, *([run.get(key, nothing) for run in side] for side in sides))
    ]


def _of_key(
    key: Key, metrics: Sequence[str], base: Sequence[Sequence[int]], new: Sequence[Sequence[int]]
) -> Iterator[Change]:
    few = min(len(base), len(new)) < RUNS
    fewest = min(row[0] for row in (*base, *new))
    for metric, before, after in zip(metrics, zip(*base, strict=True), zip(*new, strict=True), strict=True):
        chance = few if metric == "time" else metric == "p10" and (few or fewest < ENOUGH)
        noise = math.inf if chance else _noise(metric, before, after)
        yield Change(*key, metric, median(before), median(after), noise)


def _noise(metric: str, before: Sequence[int], after: Sequence[int]) -> float:
    """How large a change may be noise. Of p10 the fastest run counts: others on the machine make no call faster."""
    if metric != "p10":
        apart = max(max(each) - min(each) for each in (before, after))
        return max(LEAST[metric], SHARE[metric] * median(before), 2 * apart)
    faster, slower = sorted((before, after), key=median)
    return max(LEAST[metric], SHARE[metric] * median(faster)) + median(slower) - min(slower)


def _numbers(run: Totals) -> dict[Key, tuple[int, int, int, int]]:
    return {
        (name, call.name): (each.calls, each.errors, each.time_ns, _p10(each))
        for name, program in run.programs.items()
        for call, each in program.syscalls.items()
    }


def _p10(counted: Counters) -> int:
    """In ns; within a bucket as if its calls were evenly apart: one more that is quicker changes little."""
    place = math.ceil(0.1 * counted.returns)
    if not (found := bucket_of(unpack_buckets(counted.buckets), place)):
        return 0
    at, before = found
    count = counted.buckets >> 64 * at & LANE
    floor, top = bucket_floor_ns(at), bucket_floor_ns(at + 1) if at < BUCKETS - 1 else counted.max_ns
    return min(floor + (top - floor) * (place - before) // count, counted.max_ns)


def _by_path(touched: Touched | None) -> dict[Key, tuple[int, int, int]] | None:
    if touched is None:
        return None
    found: dict[Key, tuple[int, int, int]] = {}
    for file, use in touched.files.items():
        if file.path is not None and file.kind != "pipe":
            found[file.path, ""] = use.read_bytes, use.write_bytes, 0
    for path, count in touched.failed.items():
        if path.path is not None:
            found[path.path, f"{path.syscall} {errno_name(path.errno)}"] = 0, 0, count
    return found
