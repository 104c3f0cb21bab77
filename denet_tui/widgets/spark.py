"""Sparklines that start at zero, as text: as they are, or as a trend in which bursts stand out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from math import ceil
from statistics import median_low

LEVELS = " ▁▂▃▄▅▆▇"
"""Nothing for 0. Without the full block, so that the bars of two lines never grow into each other."""


TREND_TICKS = 240
"""How far back a trend looks for the row's peak and for what is usual in it."""
_BURST = 2
"""Times what is usual, from which on a value is a burst."""


def trend(values: Sequence[float], width: int) -> list[tuple[str, str]]:
    """The last `width` of `values`, scaled to the peak of all, as text and style: `dim` but for bursts (`spark`).

    A burst is above twice the median of what is not 0. A bar of full height is never below that either:
    a steady rate stands at half height, and a burst is told by its height where there are no colours.
    """
    usual = median_low([value for value in values if value > 0] or [0.0])
    shown = values[-width:] if width > 0 else values[:0]
    bars = sparkline(shown, width, max(_BURST * usual, *values, 0.0))
    burst = [False] * (len(bars) - len(shown)) + [value > _BURST * usual for value in shown]
    parts = groupby(zip(bars, burst, strict=True), lambda each: each[1])
    return [("".join(bar for bar, _ in part), "spark" if high else "dim") for high, part in parts]


def sparkline(values: Sequence[float], width: int, top: float | None = None) -> str:
    """The last `width` values as bars, the newest at the right; the full height is `top` (default: their peak).

    Nothing is drawn for 0 and the lowest bar for anything above it, so that a steady rate is
    a solid band and a rare call still shows. (Scaling from the minimum would hide both.)
    """
    shown = values[-width:] if width > 0 else values[:0]
    top = max(shown, default=0.0) if top is None else top
    if top <= 0:
        return " " * max(width, 0)
    steps = len(LEVELS) - 1
    return "".join(LEVELS[min(steps, ceil(value / top * steps))] for value in shown).rjust(width)
