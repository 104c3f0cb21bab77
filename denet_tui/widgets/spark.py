"""Sparklines that start at zero, as text."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

LEVELS = " ▁▂▃▄▅▆▇"
"""Nothing for 0. Without the full block, so that the bars of two lines never grow into each other."""


def sparkline(values: Sequence[float], width: int) -> str:
    """The last `width` values as bars, the newest at the right; the highest of them is as high as bars get.

    Nothing is drawn for 0 and the lowest bar for anything above it, so that a steady rate is
    a solid band and a rare call still shows. (Scaling from the minimum would hide both.)
    """
    shown = values[-width:] if width > 0 else values[:0]
    top = max(shown, default=0.0)
    if top <= 0:
        return " " * max(width, 0)
    steps = len(LEVELS) - 1
    return "".join(LEVELS[min(steps, ceil(value / top * steps))] for value in shown).rjust(width)
