"""Whether the command waits for the user to type: only where that can be told exactly."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from denet_tui.model import InFlight

PATIENCE_NS = 300_000_000
"""A read of the terminal that lasts longer than this waits for a person."""
_LOOKED_AT = 50
"""Threads inside a read that are looked at in one tick."""


def reader_of(terminal: str, in_flight: Iterable[InFlight], now_ns: int) -> InFlight | None:
    """The thread that waits inside read(2) of `terminal` or /dev/tty; None if there is none, or it may not be seen.

    Linux tells the descriptor in /proc/TID/syscall (man 5 proc). Programs that poll before they read are never named:
    they may wait for something else. `now_ns` is by the clock of `since_ns`.
    """
    waiting = [each for each in in_flight if each.syscall.name == "read" and now_ns - each.since_ns > PATIENCE_NS]
    return next((each for each in waiting[:_LOOKED_AT] if _reads(each, terminal)), None)


def _reads(thread: InFlight, terminal: str) -> bool:
    try:
        words = Path(f"/proc/{thread.tgid}/task/{thread.tid}/syscall").read_text(encoding="ascii").split()
        if words[0] != str(thread.syscall.nr):
            return False
        return str(Path(f"/proc/{thread.tgid}/fd/{int(words[1], 16)}").readlink()) in (terminal, "/dev/tty")
    except (OSError, IndexError):
        return False
