"""The chart of calls/s over time; the only place that knows plotext."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from textual.geometry import Size

from denet_tui.widgets import formatting
from denet_tui.widgets.timeview import Piece, TimeView, moment
from denet_tui.widgets.window import Columns, Grid, Reader, Watched, Window, marks

MOST_CURVES = 5
_MARKS = "●▲■◆★"
"""Drawn along the curves where there are several, so that they are not told by colour alone."""
_MARK_EVERY = 24
"""Points from one mark of a curve to its next."""
_TOPS = (1, 1.5, 2, 3, 4, 5, 6, 8, 10)
_LEAST = Size(20, 4)
_CODE = re.compile(r"\x1b\[([\d;]*)m")


class Curve(NamedTuple):
    """One curve: what it is of, and where its numbers come from."""

    name: str
    read: Reader


def round_top(value: float) -> float:
    """The next round number at or above `value`, at least 1."""
    unit = 1.0
    while value > unit * 10:
        unit *= 10
    return next(unit * factor for factor in _TOPS if value <= unit * factor)


def rates(columns: Sequence[Watched]) -> list[float | None]:
    """Calls/s in every column; None if nothing was watched."""
    return [counters.calls / seconds if seconds else None for seconds, counters in columns]


def draw_chart(
    curves: Sequence[Sequence[float | None]], grid: Grid, ticks: Sequence[tuple[float, str]], size: Size
) -> list[list[tuple[str, int]]]:
    """The curves (calls/s in every column of `grid`) as `size.height` lines of text.

    Every piece of a line comes with the number of the curve that it belongs to, from 1; 0 is the
    frame. Only one thread may call this: plotext has a single figure for the whole process.
    """
    from plotext import figure, terminal

    terminal.limit(False, False)  # it would cut the figure to what it takes for the terminal's size
    top = round_top(max((value for curve in curves for value in curve if value is not None), default=0.0))
    figure.clear()
    figure.plot_size(size.width, size.height)
    # The upper and the right axis say nothing that the others do not.
    figure.axes(False, axis="x", side="upper")
    figure.axes(False, axis="y", side="right")
    figure.draw(figure.signal([grid.start_s, grid.end_s], [0, 0], marker=" "))  # there may be no points at all
    _draw_curves([[(grid.middle_s(at), rate) for at, rate in enumerate(curve) if rate is not None] for curve in curves])
    parts = (0, 0.5, 1) if size.height < 12 else (0, 0.25, 0.5, 0.75, 1)
    labels = [formatting.pad(formatting.rate(top * part), _LABEL, right=True) for part in parts]
    figure.ruler("y").lim(0, top).ticks([top * part for part in parts], labels)
    figure.ruler("x").lim(grid.start_s, grid.end_s).ticks([at for at, _ in ticks], [label for _, label in ticks])
    return [_pieces(line, len(curves)) for line in figure.build().string(False).split("\n")[: size.height]]


def _draw_curves(curves: Sequence[Sequence[tuple[float, float]]]) -> None:
    import plotext
    from plotext import figure

    for number, curve in enumerate(curves, 1):
        if len(curve) > 1:
            marker = plotext.marker("braille", number)
            figure.draw(figure.signal(*zip(*curve, strict=True), marker=marker).lines().density("full"))
    for number, curve in enumerate(curves, 1) if len(curves) > 1 else ():
        # Not one above the other, where curves run alongside.
        if marked := curve[_MARK_EVERY * number // (MOST_CURVES + 1) :: _MARK_EVERY]:
            marker = plotext.marker(_MARKS[number - 1], number)
            figure.draw(figure.signal(*zip(*marked, strict=True), marker=marker))


_LABEL = 6
"""Cells of a rate beside the axis, always: a chart that moves sideways is hard to read."""


def _pieces(line: str, most: int) -> list[tuple[str, int]]:
    """The parts of a line by the palette number that plotext draws them in."""
    found, number = [], 0
    for place, part in enumerate(_CODE.split(line)):
        if place % 2 == 0:
            found.append((part, number))
        elif part == "0":
            number = 0
        elif part.startswith("38;5;"):
            number = int(part[5:])
    return [(text, number if number <= most else 0) for text, number in found if text]


class Chart(TimeView):
    """Calls/s over time, under a line that says of what and how many."""

    PREFIX = "chart"
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "chart--text", "chart--title", "chart--frame", "chart--cursor",
        "chart--curve-1", "chart--curve-2", "chart--curve-3", "chart--curve-4", "chart--curve-5",
    }  # fmt: skip
    DEFAULT_CSS = """
    Chart {
        & > .chart--text { color: $foreground; }
        & > .chart--title { color: $foreground; text-style: bold; }
        & > .chart--frame { color: $text-muted; }
        & > .chart--cursor { color: $foreground; text-style: bold; }
        & > .chart--curve-1 { color: $text-accent; }
        & > .chart--curve-2 { color: $text-success; }
        & > .chart--curve-3 { color: $text-error; }
        & > .chart--curve-4 { color: $text-primary; }
        & > .chart--curve-5 { color: $text-warning; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name for it)
        super().__init__(id=id)
        self._curves: Sequence[Curve] = ()
        self._columns: dict[Reader, Columns] = {}
        self._final = False

    def show(self, curves: Sequence[Curve], window: Window, now_s: float, *, final: bool = False) -> None:
        """Chart the first few of `curves` in `window`, `now_s` being the newest moment; `final`: no more will come."""
        self._curves, self._final = tuple(curves[:MOST_CURVES]), final
        readers = [curve.read for curve in self._curves]
        self._columns = {read: self._columns.get(read) or Columns() for read in readers}
        self.set_content((self._curves, final), window, now_s)

    def first_cell(self) -> int:
        """The plot starts beside the axis."""
        return _LABEL + 1

    def columns(self) -> int:
        """A column is a cell wide; each holds two points of the curve."""
        return max(1, self.size.width - self.first_cell())

    def build(self, size: Size) -> list[list[Piece]]:
        """The title and the chart."""
        if not self._curves:
            return []
        cells = self.grid
        fine = Grid(cells.start_s, cells.width_s / 2, cells.count * 2)
        curves = [rates(self._columns[curve.read].of(curve.read, fine, self.now_s)) for curve in self._curves]
        cursor = self.cursor_column(cells)
        title = self._titles(cells, cursor, curves, size.width)
        room = Size(size.width, size.height - len(title))
        if room.width < _LEAST.width or room.height < _LEAST.height:
            return title
        ticks = marks(self.window, cells)
        lines: list[list[Piece]] = [
            [(text, f"curve-{number}" if number else "frame") for text, number in line]
            for line in draw_chart(curves, fine, ticks, room)
        ]
        if cursor is not None:
            lines[:-2] = [_with_cursor(line, self.first_cell() + cursor) for line in lines[:-2]]
        return title + lines

    def _titles(
        self, grid: Grid, cursor: int | None, curves: Sequence[Sequence[float | None]], width: int
    ) -> list[list[Piece]]:
        """What the curves are, and their values at the cursor; two lines where one is too short."""
        when = moment(self.window, self.now_s, grid, cursor) if not self._final or cursor is not None else "last"
        values = [self._value(curve, grid, cursor) for curve in self._curves]
        if len(curves) == 1:
            peak = max((rate for rate in curves[0] if rate is not None), default=0.0)
            text = f"{self._curves[0].name}   {when} {values[0]}/s   peak {formatting.rate(peak)}/s"
            return [[(formatting.pad(text, width), "title")]]
        lines: list[list[Piece]] = [[(f"calls/s {when}", "title")]]
        left = width - len(lines[0][0][0])
        for number, (curve, value) in enumerate(zip(self._curves, values, strict=True), 1):
            text = f"{curve.name} {value}"
            if len(text) + 5 > left and len(lines) < 2:
                lines.append([])
                left = width
            left -= len(text) + 5
            lines[-1] += [("   ", "title"), (f"{_MARKS[number - 1]} ", f"curve-{number}"), (text, "title")]
        return lines

    def _value(self, curve: Curve, grid: Grid, cursor: int | None) -> str:
        """Calls/s at the cursor; where there is none, of the last tick that is shown."""
        if cursor is not None:
            grid = Grid(grid.start_s + cursor * grid.width_s, grid.width_s, 1)
        else:
            grid = Grid(min(grid.end_s, self.now_s) - 0.001, 0.001, 1)
        rate = rates(curve.read(grid.start_s, grid.width_s, 1))[0]
        return formatting.NONE if rate is None else formatting.rate(rate)


def _with_cursor(line: list[Piece], at: int) -> list[Piece]:
    """The line with a vertical stroke in cell `at`, where nothing else is drawn there."""
    found: list[Piece] = []
    for text, style in line:
        if 0 <= at < len(text) and text[at] in " \u2800":
            found += [(text[:at], style), ("│", "cursor"), (text[at + 1 :], style)]
        else:
            found.append((text, style))
        at -= len(text)
    return found
