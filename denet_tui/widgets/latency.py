"""The heat map of latencies: time across, latency up, shaded by how many calls a second took that long."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, log10
from typing import ClassVar, NamedTuple

from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message

from denet_tui.counts import bucket_of, percentile
from denet_tui.model import BUCKETS, NOTHING, Counters, bucket_floor_ns, unpack_buckets
from denet_tui.system.visible import how_many
from denet_tui.widgets import formatting
from denet_tui.widgets.timeview import Piece, TimeView, moment
from denet_tui.widgets.window import Columns, Grid, Reader, Watched, Window, marks

SHADES = "░▒▓█"
LINES = ((0.5, "p50", "○"), (0.9, "p90", "◐"), (0.99, "p99", "●"))
UNKEPT = "·"
_EIGHTHS = " ▏▎▍▌▋▊▉"
_LABEL = 6
_BESIDES = 5
"""Lines that are not of the map: the title, the axis, its marks and two of the legend."""
_BELOW = 6
"""Lines left to what is below, where it shares the room: a caption, a header and four of the slowest calls."""
_LEAST_ROWS = 3


class HeatColumn(NamedTuple):
    """One column of the map: buckets in calls/s, where the percentiles lie, and whether times are known."""

    rates: Sequence[float]
    lines: tuple[int, ...]
    kept: bool


def percentile_bucket(buckets: Sequence[int], share: float) -> int:
    """The bucket that holds the call which `share` (0..1) of all calls stay below or at."""
    index, _ = bucket_of(buckets, share * sum(buckets)) or (0, 0)
    return index


def heat_columns(columns: Sequence[Watched]) -> list[HeatColumn]:
    """What is drawn of every column."""
    found = []
    for seconds, counters in columns:
        buckets = unpack_buckets(counters.buckets)
        lines = tuple(percentile_bucket(buckets, share) for share, *_ in LINES) if counters.returns else ()
        rates = [count / seconds for count in buckets] if counters.returns else ()
        found.append(HeatColumn(rates, lines, kept=not counters.unkept or bool(counters.returns)))
    return found


def bands(low: int, high: int, rows: int) -> list[range]:
    """The buckets of each row, from the bottom up, so that at least `low`..`high` are in at most `rows` rows."""
    step = -(-(high - low + 1) // rows)
    # Where there is room for more: first above, where what is rare and slow will show.
    high = min(BUCKETS - 1, low + rows * step - 1)
    low = max(0, high - rows * step + 1)
    return [range(at, min(at + step, BUCKETS)) for at in range(low, high + 1, step)]


def lines_each(low: int, high: int, rows: int) -> int:
    """How many lines a bucket of `low`..`high` takes: more than one only where all buckets find room in one."""
    return max(rows // BUCKETS, min(2, rows // (high - low + 1))) if rows > BUCKETS else 1


class Scale(NamedTuple):
    """Which shade stands for how many calls/s: full from `top` on, each one before for a tenth of that."""

    top: float

    @classmethod
    def over(cls, most: float) -> Scale:
        """The scale for a map with `most` calls/s in its busiest cell."""
        return cls(10.0 ** floor(log10(most)) if most > 0 else 1.0)

    def shade(self, rate: float) -> int:
        """0 for nothing, else 1..4."""
        if rate <= 0:
            return 0
        return next((4 - step for step in range(3) if rate >= self.top / 10**step), 1)

    def legend(self) -> list[Piece]:
        """What the shades mean."""
        steps = [(4 - step, self.top / 10**step) for step in range(3)]
        pieces: list[Piece] = [("calls/s", "label")]
        for shade, least in steps:
            said = formatting.rate(least) if least >= 10_000 else f"{least:,g}"
            pieces += [(f"  {SHADES[shade - 1]}", f"shade-{shade}"), (f" {said}+", "label")]
        return [*pieces, (f"  {SHADES[0]}", "shade-1"), (" fewer", "label")]


def bar(share: float, width: int) -> str:
    """A bar of `share` (0..1) of `width` cells; anything above 0 shows."""
    eighths = max(round(share * width * 8), 1 if share > 0 else 0)
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip().ljust(width)


class LatencyView(TimeView, can_focus=True):
    """The heat map, and beside it the histogram of the cursor's column."""

    HELP = (
        "Time goes from left to right, latency from below upwards: each row is the calls that took from its label\n"
        "to the label above it. The darker a cell the more calls a second; an empty one means none. In each column\n"
        "○ is the median, ◐ the 90th and ● the 99th percentile; where they meet only the highest is drawn. The\n"
        "bars on the right count the calls of the column under the cursor, or of the newest one."
    )
    PREFIX = "latency"
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "latency--text", "latency--title", "latency--label", "latency--mark", "latency--cursor", "latency--bar",
        "latency--shade-1", "latency--shade-2", "latency--shade-3", "latency--shade-4",
    }  # fmt: skip
    DEFAULT_CSS = """
    LatencyView {
        & > .latency--text { color: $foreground; }
        & > .latency--title { color: $foreground; text-style: bold; }
        & > .latency--label { color: $text-muted; }
        & > .latency--mark { color: $foreground; text-style: bold; }
        & > .latency--cursor { color: $foreground; text-style: bold; }
        & > .latency--bar { color: $text-success; }
        & > .latency--shade-1 { color: $text-primary 85%; }
        & > .latency--shade-2 { color: $text-primary 90%; }
        & > .latency--shade-3 { color: $text-primary; }
        & > .latency--shade-4 { color: $text-warning; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "choose(1)", "Next call", id="latency.next", tooltip="Show the next syscall"),
        Binding(
            "up,k", "choose(-1)", "Previous", id="latency.previous", tooltip="Show the previous syscall", show=False
        ),
        Binding("a", "choose(0)", "All calls", id="latency.all", tooltip="Show all syscalls together, or one alone"),
    ]

    class Chosen(Message):
        """The user wants to see another syscall: the next (1), the previous (-1), or all of them (0)."""

        def __init__(self, by: int) -> None:
            self.by = by
            super().__init__()

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name for it)
        super().__init__(id=id)
        self._subject = ""
        self._read: Reader = lambda *asked: [(0.0, NOTHING)] * asked[2]
        self._columns = Columns()
        self._low, self._high = BUCKETS, -1

    def show(self, name: str, read: Reader, window: Window, now_s: float, *, final: bool = False) -> None:
        """Draw the latencies of what is called `name`; `final`: no more will come."""
        if name != self._subject:
            self._low, self._high = BUCKETS, -1
        if read != self._read:
            self._columns = Columns()
        self._subject, self._read = name, read
        self.set_content((name, read, final), window, now_s)

    def action_choose(self, by: int) -> None:
        """Ask for another syscall."""
        self.post_message(self.Chosen(by))

    def first_cell(self) -> int:
        """The map starts beside its labels."""
        return _LABEL + 1

    def columns(self) -> int:
        """A column is a cell wide."""
        return max(1, self.size.width - self.first_cell() - self._side() - 1)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002 (Textual's)
        """The lines that it has a use for: where a row holds two buckets, they seldom fill the room."""
        rows = container.height - _BELOW - _BESIDES
        if self._high < self._low or rows < _LEAST_ROWS:
            return max(1, container.height - _BELOW)
        tall = lines_each(self._low, self._high, rows)
        return _BESIDES + tall * len(bands(self._low, self._high, rows // tall))

    def _side(self) -> int:
        return max(16, min(40, self.size.width // 4))

    def build(self, size: Size) -> list[list[Piece]]:
        """Title, map and histogram, axis, legend."""
        grid = self.grid
        cursor = self.cursor_column(grid)
        seconds, chosen = self._chosen(grid, cursor)
        title: list[Piece] = [(self._title(grid, cursor, seconds, chosen), "title")]
        rows = size.height - _BESIDES
        if rows < _LEAST_ROWS or self.columns() < 8:
            return [title, [], [("  too little room for the map", "label")]]
        columns = heat_columns(self._columns.of(self._read, grid, self.now_s))
        counts = unpack_buckets(chosen.buckets)
        if not self._reach(columns, counts):
            return [title, [], [("  no call that returned in this time", "label")]]
        tall = lines_each(self._low, self._high, rows)
        shown = bands(self._low, self._high, rows // tall)
        scale = Scale.over(max((_rate(column, band) for column in columns for band in shown), default=0.0))
        most = max(sum(counts[band.start : band.stop]) for band in shown)
        lines: list[list[Piece]] = []
        for band in reversed(shown):
            for floor_line in [False] * (tall - 1) + [True]:
                label = formatting.pad(_floor(band), _LABEL, right=True) + "┤" if floor_line else " " * _LABEL + "│"
                row = self._row(columns, band, scale, cursor, marked=floor_line, bottom=floor_line and band is shown[0])
                side = self._histogram(sum(counts[band.start : band.stop]), most, numbered=floor_line)
                lines.append([(label, "label"), *row, *side])
        axis, labels = _axis(marks(self.window, grid), grid, cursor)
        said = [f"{how_many(chosen.calls, 'call')} in {seconds:.1f} s", f"{chosen.calls:,} in {seconds:.1f} s"]
        under = formatting.pad(
            next((text for text in said if len(text) <= self._side()), said[1]), self._side(), right=True
        )
        return [
            title,
            *lines,
            [(" " * _LABEL + axis, "label")],
            [(" " * (_LABEL + 1) + labels, "label"), (" " + under, "label")],
            *self._legend(scale, columns, size.width),
        ]

    def _chosen(self, grid: Grid, cursor: int | None) -> tuple[float, Counters]:
        """The column under the cursor; without one, the last tick that is shown."""
        if cursor is not None:
            return self._read(grid.start_s + cursor * grid.width_s, grid.width_s, 1)[0]
        return self._read(min(grid.end_s, self.now_s) - 0.001, 0.001, 1)[0]

    def _title(self, grid: Grid, cursor: int | None, seconds: float, chosen: Counters) -> str:
        when = moment(self.window, self.now_s, grid, cursor)
        rate = formatting.rate(chosen.calls / seconds) if seconds else formatting.NONE
        said = [f"{self._subject}   {when} {rate}/s"]
        if chosen.returns:
            said += [
                f"{name}≤{formatting.at_most(percentile(chosen, share).most_ns, chosen.max_ns)}"
                for share, name, _ in LINES
            ]
            said.append(f"max {formatting.duration(chosen.max_ns)}")
        line = "   ".join(said)
        if len(line) > self.size.width:  # the percentiles are what one is here for
            line = " ".join([self._subject, when, *said[1:]])
        return formatting.pad(line, self.size.width)

    def _reach(self, columns: Sequence[HeatColumn], counts: Sequence[int]) -> bool:
        """Widen the range of buckets to all that is shown, never narrower again; False if there is nothing."""
        used = {at for column in columns for at, rate in enumerate(column.rates) if rate}
        used |= {at for at, count in enumerate(counts) if count}
        before = self._low, self._high
        self._low, self._high = min({self._low, *used}), max({self._high, *used})
        if (self._low, self._high) != before:
            self.call_later(self.refresh, layout=True)
        return bool(used)

    def _row(
        self,
        columns: Sequence[HeatColumn],
        band: range,
        scale: Scale,
        cursor: int | None,
        *,
        marked: bool,
        bottom: bool,
    ) -> list[Piece]:
        found: list[Piece] = []
        for at, column in enumerate(columns):
            mark = next((char for bucket, (_, _, char) in _highest(column.lines) if bucket in band), "")
            shade = scale.shade(_rate(column, band))
            if mark and marked:
                found.append((mark, "mark"))
            elif shade:
                found.append((SHADES[shade - 1], f"shade-{shade}"))
            elif at == cursor:
                found.append(("│", "cursor"))
            else:
                found.append((UNKEPT if bottom and not column.kept else " ", "label"))
        return _merged(found)

    def _histogram(self, count: int, most: int, *, numbered: bool) -> list[Piece]:
        room = self._side()
        number = f"{count:,}" if count < 10_000_000 else formatting.rate(count)
        return [
            (" " + bar(count / most if most else 0.0, room - 10), "bar"),
            (formatting.pad(number if count and numbered else "", 10, right=True), "text"),
        ]

    def _legend(self, scale: Scale, columns: Sequence[HeatColumn], width: int) -> list[list[Piece]]:
        """What shades and marks mean; in two lines where one is too short."""
        shades, lines = [(" " * (_LABEL + 1), "label"), *scale.legend()], []
        for _, name, char in LINES:
            lines += [(f"  {char}", "mark"), (f" {name}", "label")]
        if not all(column.kept for column in columns):
            lines.append((f"   {UNKEPT} counted, times not kept", "label"))
        if sum(len(text) for text, _ in shades + lines) < width:
            return [[*shades, ("  ", "label"), *lines]]
        return [shades[1:], lines]


def _floor(band: range) -> str:
    return (
        formatting.duration(bucket_floor_ns(band.start))
        if band.start
        else f"<{formatting.duration(bucket_floor_ns(1))}"
    )


def _rate(column: HeatColumn, band: range) -> float:
    return sum(column.rates[band.start : band.stop])


def _highest(lines: tuple[int, ...]) -> list[tuple[int, tuple[float, str, str]]]:
    return list(zip(lines, LINES, strict=False))[::-1]


def _axis(ticks: Sequence[tuple[float, str]], grid: Grid, cursor: int | None) -> tuple[str, str]:
    """The line under the map, with the cursor in it, and the line of marks under that."""
    line, labels = ["─"] * grid.count, [" "] * grid.count
    for time, label in ticks:
        at = min(grid.count - 1, max(0, round((time - grid.start_s) / grid.width_s)))
        line[at] = "┬"
        start = max(0, min(at - len(label) // 2, grid.count - len(label)))
        labels[start : start + len(label)] = label
    if cursor is not None:
        line[cursor] = "▲"
    return "└" + "".join(line), "".join(labels)[: grid.count]


def _merged(pieces: Sequence[Piece]) -> list[Piece]:
    """Neighbours in the same style as one piece."""
    found: list[Piece] = []
    for text, style in pieces:
        if found and found[-1][1] == style:
            found[-1] = (found[-1][0] + text, style)
        else:
            found.append((text, style))
    return found
