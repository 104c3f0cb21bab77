"""Waits for descriptors, whatever their numbers: select(2) takes none above 1,023, and many may be inherited."""

from __future__ import annotations

import math
import select
from collections.abc import Iterable


def readable(descriptors: Iterable[int], seconds: float | None = None) -> set[int]:
    """Those that can be read, or are at their end; empty after that many seconds (None: waits until there is one)."""
    waiting = select.poll()
    for descriptor in descriptors:
        waiting.register(descriptor, select.POLLIN)
    return {number for number, _ in waiting.poll(None if seconds is None else math.ceil(max(0.0, seconds) * 1000))}


def wait_for_room(descriptor: int) -> None:
    """Return when it can be written to, or fails to be."""
    waiting = select.poll()
    waiting.register(descriptor, select.POLLOUT)
    waiting.poll()


def hung_up(terminal: int, over: int = -1, seconds: float | None = None) -> bool:
    """Wait until no process has a terminal's other side any more; False if `over` can be read first, or in time."""
    waiting = select.poll()
    waiting.register(terminal, 0)
    if over >= 0:
        waiting.register(over, select.POLLIN)
    found = dict(waiting.poll(None if seconds is None else seconds * 1000))
    return terminal in found and over not in found
