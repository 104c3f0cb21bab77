"""What is worth jumping to in a recording: what a tick brought that stands out, in words."""

from __future__ import annotations

from collections.abc import Iterable

from denet_tui.model import ProcessInfo, Snapshot
from denet_tui.syscalls import WAITS
from denet_tui.system.visible import how_many, visible

KINDS = {"errors": "error burst", "exec": "exec", "exit": "exit", "slow": "slow call", "loss": "loss"}
"""Their names in words."""
BURST_ERRORS, BURST_TIMES = 10, 3
"""A burst has at least so many errors in a tick, and so many times the errors/s of the ticks before it."""
_CALMING = 0.1
"""What one tick weighs in the mean of those before."""
SLOW_NS = 100_000_000
"""From here on a call is slow, where it is none that waits for another process."""
_NAMED = 3


class Marks:
    """Looks through snapshots in their order."""

    def __init__(self, usual: float | None = None) -> None:
        self.usual = usual
        """Errors/s of late; None before the first tick, in which every program misses some files."""

    def of(self, before: Snapshot, now: Snapshot) -> dict[str, str]:
        """The kinds that a snapshot has something of, each with what that is, in a few words."""
        found = {
            "errors": self._burst(now),
            "exec": _named(each for each in now.processes if (each.exec_ns or 0) > before.time_ns),
            "exit": _named(now.ended),
            "slow": _slow(now),
            "loss": _lost(before, now),
        }
        return {kind: words for kind, words in found.items() if words}

    def _burst(self, now: Snapshot) -> str:
        errors, seconds = now.delta.errors, now.interval_ns / 1e9
        rate = errors / seconds if seconds > 0 else 0.0
        usual = rate if self.usual is None else self.usual
        self.usual = usual + _CALMING * (rate - usual)
        if errors < BURST_ERRORS or rate < BURST_TIMES * usual:
            return ""
        most = max(now.recent.items(), key=lambda item: item[1].errors)
        return f"{how_many(errors, 'error')}, {most[1].errors:,} of them of {visible(most[0].name)}"


def _lost(before: Snapshot, now: Snapshot) -> str:
    if now.loss.short > before.loss.short:
        return now.loss.since(before.loss).counted
    if left_out := now.detail.left_out - before.detail.left_out:
        return f"the recording lacks {how_many(left_out, 'tick')}"
    return now.detail.gaps[-1].words if now.detail.gaps != before.detail.gaps else ""


def _slow(now: Snapshot) -> str:
    slow = [
        (counters.max_ns, call.name)
        for call, counters in now.recent.items()
        if counters.max_ns >= SLOW_NS and call.name.rpartition(":")[2] not in WAITS
    ]
    return f"{max(slow)[1]} took {max(slow)[0] / 1e9:.3g} s" if slow else ""


def _named(processes: Iterable[ProcessInfo]) -> str:
    names = [f"{visible(each.comm)} ({each.pid})" for each in processes]
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
