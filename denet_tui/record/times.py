"""Where the time went: in the summary, and in the ticks of a recording."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import compress
from operator import attrgetter
from typing import Any

from denet_tui.detail import NO_WAITS, Time, Wait
from denet_tui.model import Counters, Snapshot
from denet_tui.record.places import Living, placed
from denet_tui.record.text import Json, plain
from denet_tui.spent import kernel_in, longest, outside_calls
from denet_tui.syscalls import named

_TIME, _THREADS = attrgetter("time"), attrgetter("threads")


def item(spent: Time | None, calls: Mapping[Any, Counters]) -> Json | None:
    """Of the summary, for all that made these calls; the longest first in `kernel_in_ns` and `blocked_in_ns`."""
    if spent is None:
        return None
    inside = {plain(call.name): wait.blocked_ns for call, wait in longest(spent) if wait.blocked_ns}
    named_parts = dict(zip(Time._fields[:4], spent[:4], strict=True))
    return {
        **named_parts,
        "unknown_ns": spent.unknown_ns,
        "kernel_in_ns": {plain(call.name): ns for call, ns in kernel_in(spent, calls)},
        "blocked_in_ns": inside,
        "blocked_outside_ns": outside_calls(spent),
    }


def numbers(spent: Time, inside: Json | None = None) -> list[Any]:
    """Its parts as `taken` reads them; what is not known is there where there is any."""
    unknown = [spent.unknown_ns] if spent.unknown_ns else []
    return [*spent[:4], *([inside or {}] if unknown or inside is not None else []), *unknown]


def waits(spent: Time) -> Json | None:
    """What was waited in calls, as `taken` reads it; None for nothing."""
    return {plain(call.name): wait for call, wait in spent.waits.items()} or None


class Times:
    """Remembers what the last tick had."""

    def __init__(self) -> None:
        self._keys: list[tuple[int, int, str]] = []
        self._told: list[Time | None] = []

    def of_tick(self, snapshot: Snapshot, living: Living) -> Json:
        """`time` of all, with what was waited in calls, and `times` by pid; cumulative, as `taken` reads them.

        Not of the living whose threads were blocked all the time: for `rested_ns` each.
        """
        told = placed(living.keys, self._keys, self._told, None)
        self._keys, self._told = living.keys, list(map(_TIME, living.processes))
        rests = _rests(self._told, told, map(_THREADS, living.usages))
        rested_ns = next((ns for ns, _ in Counter(rests).most_common(2) if ns >= 0), 0)
        changed = dict[str, Any]()
        for each in (*compress(living.processes, map(rested_ns.__ne__, rests)), *snapshot.ended):
            if each.time or each.alive:
                name = f"{each.pid}@{each.start_ns}" if f"{each.pid}" in changed else f"{each.pid}"  # two had that id
                changed[name] = each.time and numbers(each.time, waits(each.time) if each.end_ns else None)
        total = snapshot.detail.time
        return {
            "time": total and numbers(total, waits(total) or {}),
            "rested_ns": rested_ns,
            "times": changed,
        }


def _rests(now: Iterable[Time | None], before: Iterable[Time | None], threads: Iterable[int]) -> list[int]:
    """For how long (ns) the threads of each were blocked, where nothing else has come; -1 where something has.

    By places rather than names, and in one loop: there are hundreds a tick.
    """
    return [
        (new[3] - old[3] if count == 1 else _each(new[3] - old[3], count))
        if new and old and new[0] == old[0] and new[1] == old[1] and new[2] == old[2] and new[5] == old[5]
        else -1
        for new, old, count in zip(now, before, threads, strict=True)
    ]


def _each(rest_ns: int, threads: int) -> int:
    return -1 if not threads or rest_ns % threads else rest_ns // threads


def rested(time: Time, rested_ns: int, threads: int) -> Time:
    """A time after such a rest."""
    user, kernel, runqueue, blocked, waits, unknown = time
    return Time(user, kernel, runqueue, blocked + rested_ns * threads, waits, unknown)


def taken(found: list[Any] | None) -> Time | None:
    """From a tick; raises TypeError or ValueError where it is damaged."""
    if found is None:
        return None
    user, kernel, runqueue, blocked = (int(number) for number in found[:4])
    told: Mapping[str, Any] = found[4] if len(found) > 4 else {}
    inside = {named(name): Wait(*map(int, wait)) for name, wait in told.items()} or NO_WAITS
    return Time(user, kernel, runqueue, blocked, inside, *map(int, found[5:6]))
