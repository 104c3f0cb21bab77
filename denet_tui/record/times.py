"""Where the time went: in the summary, and in the ticks of a recording."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from denet_tui.detail import NO_WAITS, Time, Wait
from denet_tui.model import Counters, Snapshot
from denet_tui.record.text import Json, plain
from denet_tui.spent import kernel_in, longest, outside_calls
from denet_tui.syscalls import named


def item(spent: Time | None, calls: Mapping[Any, Counters]) -> Json | None:
    """Of the summary, for whoever made these calls; the longest first in `kernel_in_ns` and `blocked_in_ns`."""
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


def numbers(spent: Time, waits: Json | None = None) -> list[Any]:
    """Its parts as `taken` reads them; what is not known is there where there is any."""
    unknown = [spent.unknown_ns] if spent.unknown_ns else []
    return [*spent[:4], *([waits or {}] if unknown or waits is not None else []), *unknown]


def of_tick(snapshot: Snapshot) -> Json:
    """`time` of all, with what was waited in calls, and `times` by pid; cumulative, as `taken` reads them."""
    time, changed = snapshot.detail.time, dict[str, Any]()
    living = [each for each in snapshot.processes if each.alive]
    for each in (*living, *snapshot.ended):
        if each.time is not None:
            name = f"{each.pid}@{each.start_ns}" if f"{each.pid}" in changed else f"{each.pid}"  # two had that id
            changed[name] = numbers(each.time)
    return {
        "time": time and numbers(time, {plain(call.name): wait for call, wait in time.waits.items()}),
        "times": changed,
    }


def taken(found: list[Any] | None) -> Time | None:
    """From a tick; raises TypeError or ValueError where it is damaged."""
    if found is None:
        return None
    user, kernel, runqueue, blocked = (int(number) for number in found[:4])
    waits: Mapping[str, Any] = found[4] if len(found) > 4 else {}
    inside = {named(name): Wait(*map(int, wait)) for name, wait in waits.items()} or NO_WAITS
    return Time(user, kernel, runqueue, blocked, inside, *map(int, found[5:6]))
