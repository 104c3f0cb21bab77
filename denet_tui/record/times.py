"""Where the time went: in the summary, in the ticks of a recording, and in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from denet_tui.detail import Time, Wait
from denet_tui.model import Snapshot
from denet_tui.record.text import Json, plain
from denet_tui.syscalls import named
from denet_tui.visible import visible

_NAMED = 3
"""Calls that are named as what was waited in."""


def item(spent: Time | None) -> Json | None:
    """Of the summary; `blocked_in_ns` is what of it was in calls that were counted, the longest first."""
    if spent is None:
        return None
    inside = {plain(call.name): wait.blocked_ns for call, wait in _longest(spent) if wait.blocked_ns}
    return {**dict(zip(Time._fields[:4], spent[:4], strict=True)), "blocked_in_ns": inside}


def of_tick(snapshot: Snapshot) -> Json:
    """`time` of all, with what was waited in calls, and `times` by pid; cumulative, as `taken` reads them."""
    time, changed = snapshot.detail.time, dict[str, Any]()
    living = [each for each in snapshot.processes if each.alive]
    for each in (*living, *snapshot.ended):
        if each.time is not None:
            name = f"{each.pid}@{each.start_ns}" if f"{each.pid}" in changed else f"{each.pid}"  # two had that id
            changed[name] = each.time[:4]
    return {
        "time": time and [*time[:4], {plain(call.name): wait for call, wait in time.waits.items()}],
        "times": changed,
    }


def taken(numbers: list[Any] | None) -> Time | None:
    """From a tick; raises TypeError or ValueError where it is damaged."""
    if numbers is None:
        return None
    user, kernel, runqueue, blocked = (int(number) for number in numbers[:4])
    waits: Mapping[str, Any] = numbers[4] if len(numbers) > 4 else {}
    return Time(user, kernel, runqueue, blocked, {named(name): Wait(*map(int, wait)) for name, wait in waits.items()})


def in_words(spent: Time) -> str:
    """`on CPU 41 % (user 30 %, kernel 11 %), waits for CPU 8 %, blocked 51 % (wait4 30 %, read 12 %)`."""
    whole = spent.whole_ns or 1
    percent = [f"{100 * part / whole:.0f} %" for part in (*spent[:4], spent.user_ns + spent.kernel_ns)]
    inside = [
        f"{visible(call.name)} {100 * wait.blocked_ns / whole:.0f} %"
        for call, wait in _longest(spent)[:_NAMED]
        if 200 * wait.blocked_ns >= whole
    ]
    where = f" ({', '.join(inside)})" if inside else ""
    busy = f"on CPU {percent[4]} (user {percent[0]}, kernel {percent[1]})"
    return f"{busy}, waits for CPU {percent[2]}, blocked {percent[3]}{where}"


def _longest(spent: Time) -> list[tuple[Any, Wait]]:
    return sorted(spent.waits.items(), key=lambda item: (-item[1].blocked_ns, item[0]))
