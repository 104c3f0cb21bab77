"""Whether the summary at the end of a recording says what the ticks before it say."""

from __future__ import annotations

from denet_tui.model import Snapshot
from denet_tui.record.denet_lines import amount, whole
from denet_tui.record.read import DAMAGE, Line, damage, loss_of
from denet_tui.record.summary import by_syscall
from denet_tui.record.text import plain

_NUMBERS = ("calls", "returns", "errors", "unreturned", "time_ns", "max_ns")


def disagrees(summary: Line, last: Snapshot) -> str:
    """What is wrong with it, in words; empty for nothing. Of what exactness is checked on: the rest is not read."""
    try:
        lost, elapsed_s = loss_of(summary["lost"]), amount(summary["elapsed_s"])
        rows = {
            name: ([whole(row[each]) for each in _NUMBERS], {word: whole(n) for word, n in row["errnos"].items()})
            for name, row in summary["syscalls"].items()
        }
        if not isinstance(summary["exact"], bool):
            raise TypeError
    except DAMAGE as problem:
        return damage(problem)
    errnos = by_syscall(last.errnos)
    counted = {
        plain(call.name): ([getattr(row, each) for each in _NUMBERS], errnos.get(call, {}))
        for call, row in last.syscalls.items()
    }
    if (lost, elapsed_s, rows) == (last.loss, last.elapsed_ns / 1e9, counted):
        return ""
    return "its numbers are not those of the ticks before it"
