"""The chart of one rate over time; the only place that knows plotext."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from denet_tui.widgets import words

_SPANS = (15, 30, 60, 120, 300, 600, 1800, 3600)
"""Seconds that a chart may cover, so that its scale does not move with every snapshot."""
_TOPS = (1, 1.5, 2, 3, 4, 5, 6, 8, 10)
_LEAST = Size(20, 4)


def thin(times: Sequence[float], values: Sequence[float], most: int) -> tuple[list[float], list[float]]:
    """At most `most` points: of each run of neighbours the highest, so that a short peak still shows."""
    step = -(-len(values) // most) if most > 0 else 1
    if step <= 1:
        return list(times), list(values)
    starts = range(0, len(values), step)
    return [times[start] for start in starts], [max(values[start : start + step]) for start in starts]


def round_top(value: float) -> float:
    """The next round number at or above `value`, at least 1."""
    unit = 1.0
    while value > unit * 10:
        unit *= 10
    return next(unit * factor for factor in _TOPS if value <= unit * factor)


def draw_chart(times: Sequence[float], values: Sequence[float], width: int, height: int) -> list[str]:
    """The chart of `values` at `times` (s, 0 is now, the past is negative) as `height` lines of `width` cells.

    Only one thread may call this: plotext has a single figure for the whole process.
    """
    from plotext import figure, terminal

    terminal.limit(False, False)  # it would cut the figure to what it takes for the terminal's size
    span = next((span for span in _SPANS if -min(times, default=0.0) <= span), _SPANS[-1])
    top = round_top(max(values, default=0.0))
    figure.clear()
    figure.plot_size(width, height)
    # The upper and the right axis say nothing that the others do not.
    figure.axes(False, axis="x", side="upper")
    figure.axes(False, axis="y", side="right")
    shown_times, shown = thin(times, values, 2 * width)
    if len(shown) > 1:
        figure.draw(figure.signal(shown_times, shown, marker="braille").lines().density("full"))
    else:
        figure.draw(figure.signal([-span, 0], [0, 0], marker=" "))
    marks = [top * part for part in ((0, 0.5, 1) if height < 12 else (0, 0.25, 0.5, 0.75, 1))]
    figure.ruler("y").lim(0, top).ticks(marks, [words.rate(mark) for mark in marks])
    back = [-span, -span * 2 / 3, -span / 3, 0]
    figure.ruler("x").lim(-span, 0).ticks(back, [*(f"{at:.0f}s" for at in back[:-1]), "now"])
    text: str = figure.build().string(True)
    return text.split("\n")[:height]


class Chart(Widget):
    """A rate over time, under a line that says what it is."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"chart--title", "chart--frame", "chart--curve"}
    DEFAULT_CSS = """
    Chart {
        & > .chart--title { color: $foreground; text-style: bold; }
        & > .chart--frame { color: $text-muted; }
        & > .chart--curve { color: $text-accent; }
    }
    """
    LEAST_S = 0.5
    """Between two redraws for new values; a new title or size is drawn at once."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name for it)
        super().__init__(id=id)
        self._title = ""
        self._subject = ""
        self._times: Sequence[float] = ()
        self._values: Sequence[float] = ()
        self._lines: list[str] = []
        self._drawn_for: tuple[str, Size] | None = None
        self._drawn_at = 0.0
        self._stale = True
        self._waiting = False

    def show(self, subject: str, times: Sequence[float], values: Sequence[float], *, final: bool = False) -> None:
        """Chart `values` (calls/s) at `times` (s, 0 is now); `final`: no more will come."""
        self._subject, self._times, self._values = subject, times, values
        self._stale = True
        if final:
            self._drawn_for = None
        now, peak = (values[-1], max(values)) if values else (0.0, 0.0)
        self._title = (
            f"{subject}   {'last' if final else 'now'} {words.rate(now)}/s   peak {words.rate(peak)}/s"
            if subject
            else ""
        )
        self.refresh()

    def _build(self) -> None:
        size = Size(self.size.width, self.size.height - 1)
        now = time.monotonic()
        wanted = (self._subject, size)
        if wanted == self._drawn_for:
            wait = self._drawn_at + self.LEAST_S - now
            if self._stale and wait > 0 and self.is_attached and not self._waiting:
                self._waiting = True
                self.set_timer(wait, self._refresh_late)  # no newer values may come that would draw these
            if not self._stale or wait > 0:
                return
        fits = size.width >= _LEAST.width and size.height >= _LEAST.height and self._subject
        self._lines = draw_chart(self._times, self._values, size.width, size.height) if fits else []
        self._drawn_for, self._drawn_at, self._stale = wanted, now, False

    def _refresh_late(self) -> None:
        self._waiting = False
        self.refresh()

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"chart--{name}") if self.is_attached else Style.null()

    def render_line(self, y: int) -> Strip:
        """The title, or one line of the chart."""
        width = self.size.width
        if y == 0:
            self._build()
            return Strip([Segment(words.pad(self._title, width), self._style("title"))], width)
        if y > len(self._lines):
            return Strip([Segment(" " * width, self._style("frame"))], width)
        line = words.pad(self._lines[y - 1], width)
        frame = max(line.find(edge) for edge in "┤│└┼") + 1 if y < len(self._lines) - 1 else width
        return Strip([Segment(line[:frame], self._style("frame")), Segment(line[frame:], self._style("curve"))], width)
