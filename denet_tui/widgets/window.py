"""Which stretch of time is shown, and how it is cut into columns. Pure: no widget, no clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil

from denet_tui.model import Counters
from denet_tui.widgets import formatting

SPANS = (15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14_400.0, 43_200.0, 86_400.0)
"""Seconds that a view over time may show; few enough that zooming is quick, and all with round marks."""

Watched = tuple[float, Counters]
"""For how many seconds a stretch of time was watched, and what was counted in it."""
Reader = Callable[[float, float, int], Sequence[Watched]]
"""`read(start_s, width_s, count)` gives so many stretches; two of the same numbers are equal."""


@dataclass(frozen=True, slots=True)
class Grid:
    """`count` columns of `width_s`, the first from `start_s` on.

    They lie on multiples of their width, so that a column keeps what it shows while time goes by.
    """

    start_s: float
    width_s: float
    count: int

    @property
    def end_s(self) -> float:
        """Where the last column ends."""
        return self.start_s + self.width_s * self.count

    def middle_s(self, index: int) -> float:
        """The middle of column `index`."""
        return self.start_s + (index + 0.5) * self.width_s

    def place(self, time_s: float) -> int:
        """The column that `time_s` lies in; outside of 0..count-1 where it is not shown."""
        return int((time_s - self.start_s) // self.width_s)


class Columns:
    """Columns that were read once, so that a day is not read again at every tick."""

    def __init__(self) -> None:
        self._width_s = 0.0
        self._known: dict[int, Watched] = {}

    def of(self, read: Reader, grid: Grid, now_s: float) -> list[Watched]:
        """The columns of `grid`, by one and the same reader; those after `now_s` are read anew the next time."""
        if grid.width_s != self._width_s:
            self._width_s, self._known = grid.width_s, {}
        first = round(grid.start_s / grid.width_s)
        places = range(first, first + grid.count)
        missing = [place for place in places if place not in self._known]
        if missing:
            count = missing[-1] - missing[0] + 1
            found = read(missing[0] * grid.width_s, grid.width_s, count)
            self._known.update(zip(range(missing[0], missing[0] + count), found, strict=True))
        columns = {place: self._known[place] for place in places}
        self._known = {place: each for place, each in columns.items() if (place + 1) * grid.width_s <= now_s}
        return list(columns.values())


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of `span_s` that ends at `end_s`, and a cursor in it; times in s since the start of the run."""

    span_s: float = 120.0
    end_s: float | None = None
    """None: at the newest moment, and moving on with it."""
    cursor_s: float | None = None
    """None: the newest column that is shown."""

    @property
    def follows(self) -> bool:
        """Whether the newest moment is shown."""
        return self.end_s is None

    def span(self, now_s: float) -> float:
        """The seconds shown: `span_s`, but early in a run no more than its age asks for."""
        return min(self.span_s, next((span for span in SPANS if span >= now_s), SPANS[-1]))

    def grid(self, now_s: float, count: int) -> Grid:
        """The stretch, cut into `count` columns."""
        span = self.span(now_s)
        width = span / max(count, 1)
        last = now_s if self.end_s is None else self.end_s
        # Rounded: a moment that is a multiple of the width has to be one after the division, too.
        end = ceil(round(last / width, 6)) * width
        return Grid(end - span, width, max(count, 1))

    def scrolled(self, by: float, now_s: float) -> Window:
        """Moved by so many spans; past the newest moment it follows again."""
        span = self.span(now_s)
        end = (now_s if self.end_s is None else self.end_s) + by * span
        if end >= now_s:
            return replace(self, end_s=None)
        return replace(self, span_s=span, end_s=max(end, min(span, now_s)))

    def zoomed(self, by: int, now_s: float) -> Window:
        """Longer (`by` above 0) or shorter by so many steps; the cursor stays where it is on the screen."""
        before = self.span(now_s)
        place = min(range(len(SPANS)), key=lambda index: abs(SPANS[index] - before))
        span = SPANS[max(0, min(place + by, len(SPANS) - 1))]
        if self.end_s is None:
            return replace(self, span_s=span)
        hold = self.cursor_s if self.cursor_s is not None else self.end_s - before / 2
        end = hold + (self.end_s - hold) * span / before
        if end >= now_s:
            return replace(self, span_s=span, end_s=None if self.cursor_s is None else now_s)
        return replace(self, span_s=span, end_s=max(end, min(span, now_s)))

    def pointed(self, time_s: float, now_s: float) -> Window:
        """With the cursor at `time_s`; the stretch stands still from then on."""
        end = now_s if self.end_s is None else self.end_s
        return replace(self, span_s=self.span(now_s), end_s=end, cursor_s=time_s)

    def latest(self) -> Window:
        """At the newest moment again, without a cursor."""
        return replace(self, end_s=None, cursor_s=None)


def marks(window: Window, grid: Grid) -> list[tuple[float, str]]:
    """Where marks stand on the time axis (s), and what they say.

    That is how long ago, or, in a window that stands still, how long after the start of the run.
    """
    span = grid.width_s * grid.count
    unit, letter = next(((unit, letter) for most, unit, letter in _UNITS if span <= most))
    parts = next((parts for parts in (3, 4, 5) if (span / unit) % parts == 0), 2) if grid.count >= 40 else 1
    times = [grid.end_s - span * part / parts for part in range(parts, -1, -1)]
    if not window.follows:
        return [(time, formatting.elapsed(round(time * 1e9))) for time in times if time >= 0]
    # "now" is the end of the last column, which may still be filling.
    return [*((time, f"-{(grid.end_s - time) / unit:.0f}{letter}") for time in times[:-1]), (times[-1], "now")]


_UNITS = ((120.0, 1, "s"), (3600.0, 60, "m"), (float("inf"), 3600, "h"))
