"""What a terminal would show of a command's output: pyte's emulation, with a scrollback and an alternate screen.

Whatever the command writes ends here, in cells: no control sequence of it reaches the user's own terminal.
"""

from __future__ import annotations

import codecs
import copy
import re
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Any

import pyte
from pyte import charsets, modes
from pyte.screens import Char, Cursor, StaticDefaultDict
from rich.color import Color
from rich.segment import Segment
from rich.style import Style

HISTORY = 2_000
"""Lines that have scrolled away and are kept."""
_LONGEST = 4096
"""Characters that a control sequence may have; a longer one is none."""
_ALTERNATE = {47, 1047, 1049}
_IGNORED = {3}
"""132 columns (DECCOLM): the size is that of the pane."""
APPLICATION_CURSOR, BRACKETED_PASTE = 1 << 5, 2004 << 5
MOUSE_CLICKS, MOUSE_DRAGS, MOUSE_MOVES, MOUSE_SGR = 1000 << 5, 1002 << 5, 1003 << 5, 1006 << 5
"""Private modes, as pyte keeps them."""

_TOKEN = re.compile(
    r"(?P<text>[^\x00-\x06\x10-\x1f\x7f-\x9f]+)"
    r"|\x1b\[(?P<prefix>[<=>?]?)(?P<numbers>[0-9:;]*)(?P<between>[ -/]*)(?P<final>[@-~])"
    r"|(?P<string>\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\))"
    r"|(?P<short>\x1b(?:[ -/]+[0-~]|[0-OQ-WYZ\\`-~]))"
    rf"|(?P<rest>\x1b.{{0,{_LONGEST}}}\Z)",
    re.DOTALL,
)
_PRIVATE_FINALS = "hlJK"
"""Of the sequences with `?` pyte knows these; it raises for others, or takes them for the ones without."""

_NAMES = ("black", "red", "green", "brown", "blue", "magenta", "cyan", "white")
_ANSI = {name: number for number, name in enumerate(_NAMES)}
_ANSI |= {f"bright{name}": number + 8 for name, number in _ANSI.items()} | {"bfightmagenta": 13}
"""pyte's names of the 16 colours, one of them misspelt (pyte 0.8.2, graphics.py)."""

Line = StaticDefaultDict[int, Char]


class _Cells(dict[str, Char]):
    """Cells of one appearance by their character, each made once."""

    def __init__(self, attrs: Char) -> None:
        super().__init__()
        self._attrs = attrs

    def __missing__(self, char: str) -> Char:
        self[char] = cell = self._attrs._replace(data=char)
        return cell


_cells = lru_cache(maxsize=256)(_Cells)


class _Stream(pyte.Stream):
    csi = pyte.Stream.csi | {"S": "scroll_up", "T": "scroll_down", "b": "repeat", "Z": "back_tab"}


class _Screen(pyte.Screen):
    """pyte's screen with what full-screen programs need beyond it."""

    def __init__(self, columns: int, lines: int, scrolled: Callable[[Line], None]) -> None:
        self._scrolled = scrolled
        self._main: tuple[dict[int, Line], Cursor] | None = None
        self._last = ""
        self.answers = ""
        super().__init__(columns, lines)

    @property
    def alternate(self) -> bool:
        return self._main is not None

    def draw(self, data: str) -> None:
        """As pyte's, which looks at every character; a run of plain ones is entered at once."""
        self._last = data[-1]
        plain = data.isascii() and not self.charset and self.g0_charset is charsets.LAT1_MAP
        if not plain or modes.IRM in self.mode or modes.DECAWM not in self.mode:
            for char in data:  # one by one, as pyte drops what follows one that has no width
                super().draw(char)
            return
        cells, cursor = _cells(self.cursor.attrs), self.cursor
        while data:
            if cursor.x == self.columns:
                self.carriage_return()
                self.linefeed()
            piece, data = data[: self.columns - cursor.x], data[self.columns - cursor.x :]
            end = cursor.x + len(piece)
            self.buffer[cursor.y].update(zip(range(cursor.x, end), map(cells.__getitem__, piece), strict=True))
            self.dirty.add(cursor.y)
            cursor.x = end

    def index(self) -> None:
        """As pyte's, but keep the line that scrolls away; quick where the whole screen scrolls."""
        if self.cursor.y != self.lines - 1 or self.margins is not None:
            super().index()
            return
        if not self.alternate:
            self._scrolled(self.buffer[0])
        self.buffer.update(enumerate([*map(self.buffer.__getitem__, range(1, self.lines))]))
        self.buffer.pop(self.lines - 1, None)
        self.dirty.update(range(self.lines))

    def scroll_up(self, count: int = 1) -> None:
        """SU: the lines move up, the cursor stays."""
        self._at_edge(self.index, count, at=-1)

    def scroll_down(self, count: int = 1) -> None:
        """SD: the lines move down, the cursor stays."""
        self._at_edge(self.reverse_index, count, at=0)

    def _at_edge(self, move: Callable[[], None], count: int, at: int) -> None:
        before = self.cursor.y
        self.cursor.y = (self.margins or (0, self.lines - 1))[at]
        for _ in range(min(count or 1, self.lines)):
            move()
        self.cursor.y = before

    def repeat(self, count: int = 1) -> None:
        """REP: the last character again."""
        if self._last:
            self.draw(self._last * min(count or 1, self.columns * self.lines))

    def back_tab(self, count: int = 1) -> None:
        """CBT: to the tab stop before."""
        stops = [0, *sorted(stop for stop in self.tabstops if stop < self.cursor.x)]
        self.cursor.x = stops[-min(count or 1, len(stops))]

    def set_mode(self, *wanted: int, **options: Any) -> None:
        """Know the alternate screen."""
        if options.get("private"):
            if _ALTERNATE & set(wanted) and self._main is None:
                self._main = dict(self.buffer), copy.copy(self.cursor)
                self.buffer.clear()
                self.dirty.update(range(self.lines))
            wanted = tuple(mode for mode in wanted if mode not in _IGNORED)
        super().set_mode(*wanted, **options)

    def reset_mode(self, *wanted: int, **options: Any) -> None:
        """Give back what was there before the alternate screen."""
        if options.get("private"):
            if _ALTERNATE & set(wanted) and self._main is not None:
                lines, self.cursor = self._main
                self._main = None
                self.buffer.clear()
                self.buffer.update((y, line) for y, line in lines.items() if y < self.lines)
                self.ensure_hbounds()
                self.ensure_vbounds()
                self.dirty.update(range(self.lines))
            wanted = tuple(mode for mode in wanted if mode not in _IGNORED)
        super().reset_mode(*wanted, **options)

    def reset(self) -> None:
        """RIS leaves the alternate screen as well."""
        self._main = None
        super().reset()

    def resize(self, lines: int | None = None, columns: int | None = None) -> None:
        """Cut lines off above only where the cursor would be lost below: pyte always cuts above."""
        over = self.cursor.y + 1 - (lines or self.lines)
        if over > 0:
            for y in range(over if not self.alternate else 0):
                self._scrolled(self.buffer[y])
            kept = {y - over: line for y, line in self.buffer.items() if y >= over}
            self.buffer.clear()
            self.buffer.update(kept)
            self.cursor.y -= over
        for y in [y for y in self.buffer if y >= (lines or self.lines)]:
            del self.buffer[y]
        self.lines = min(self.lines, lines or self.lines)
        super().resize(lines, columns)
        self.tabstops = set(range(8, self.columns, 8))
        self.ensure_hbounds()
        self.dirty.update(range(self.lines))

    def write_process_input(self, data: str) -> None:
        """Keep what the command asked the terminal for."""
        self.answers += data


class Emulator:
    """A terminal without a screen: takes bytes, has lines."""

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        self.history: deque[list[Segment]] = deque(maxlen=HISTORY)
        """What has scrolled away, the newest last."""
        self.scrolled = 0
        """Lines that were ever added to `history`."""
        self.skipped = 0
        """Bytes that were left out."""
        self._screen = _Screen(columns, rows, self._keep)
        self._stream = _Stream(self._screen)
        self._stream.use_utf8 = False  # else it would ignore the line-drawing set; the bytes are decoded here
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        """The beginning of a control sequence whose end has not come yet."""

    @property
    def size(self) -> tuple[int, int]:
        """(columns, rows)."""
        return self._screen.columns, self._screen.lines

    @property
    def used(self) -> int:
        """Rows from the top to the last that was written to, and to the cursor."""
        return max([self._screen.cursor.y, *(y for y, line in self._screen.buffer.items() if line)]) + 1

    @property
    def cursor(self) -> tuple[int, int] | None:
        """(column, row) on the screen, None while it is hidden."""
        cursor = self._screen.cursor
        return None if cursor.hidden else (min(cursor.x, self._screen.columns - 1), cursor.y)

    def in_mode(self, mode: int) -> bool:
        """Whether the command has set a private mode (APPLICATION_CURSOR, BRACKETED_PASTE)."""
        return mode in self._screen.mode

    def feed(self, data: bytes, skipped: int = 0) -> None:
        """Take what the command wrote; before it, `skipped` bytes were left out."""
        if skipped:
            self._mark(skipped)
        text = self._rest + self._decoder.decode(data)
        self._rest = ""
        for token in _TOKEN.finditer(text):
            if token["rest"]:
                self._rest = token["rest"]
                return
            try:
                self._stream.feed(_understood(token))
            except Exception:  # noqa: BLE001, S112 - pyte raises whatever it meets in a sequence that is none
                continue

    def resize(self, columns: int, rows: int) -> None:
        """Have another size from now on."""
        if (columns, rows) != self.size:
            self._screen.resize(rows, columns)

    def answers(self) -> bytes:
        """What the terminal has to say to the command (where the cursor is, what it can do), once."""
        said, self._screen.answers = self._screen.answers, ""
        return said.encode()

    def row(self, y: int) -> list[Segment]:
        """Row `y` of the screen."""
        return packed(self._screen.buffer[y], self._screen.columns)

    def changed(self) -> set[int]:
        """The rows of the screen that are not as they were at the last call."""
        rows, self._screen.dirty = self._screen.dirty, set()
        return rows

    def _keep(self, line: Line) -> None:
        self.history.append(packed(line, self._screen.columns))
        self.scrolled += 1

    def _mark(self, skipped: int) -> None:
        """Say in the output itself that something is missing, on a line of its own."""
        self.skipped += skipped
        self._rest = ""
        self._decoder.reset()
        if not self._screen.alternate:
            self._screen.select_graphic_rendition(0)
            start = "\r\n" if self._screen.cursor.x else ""
            self._stream.feed(f"{start}\x1b[7m skipped {skipped / 1024:,.0f} KB \x1b[0m\r\n")


def _understood(token: re.Match[str]) -> str:
    """A token as pyte can take it; empty where it cannot."""
    if not token["final"]:
        return "" if token["string"] else token[0]
    if token["between"] or token["prefix"] not in ("", "?"):
        return ""
    if token["prefix"] and token["final"] not in _PRIVATE_FINALS:
        return ""
    if ":" in token["numbers"]:
        return f"\x1b[{_without_colons(token['numbers'])}{token['final']}"
    return token[0]


def _without_colons(numbers: str) -> str:
    """`38:2::R:G:B` as `38;2;R;G;B`, `4:3` as `4` (ITU-T T.416; xterm's ctlseqs)."""
    parts = []
    for each in numbers.split(";"):
        kind, *rest = each.split(":")
        if kind in ("38", "48") and rest:
            wanted = 1 if rest[0] == "5" else 3
            parts.append(";".join([kind, rest[0], *rest[-wanted:]]))
        else:
            parts.append("0" if kind == "4" and rest == ["0"] else kind)
    return ";".join(parts)


def packed(line: Line, columns: int) -> list[Segment]:
    """A line of cells as segments, without the empty ones at its end."""
    end = min(max(line, default=-1) + 1, columns)
    cells = map(line.__getitem__, range(end))
    return [
        Segment("".join(cell.data for cell in run), _style(*look))
        for look, run in groupby(cells, key=itemgetter(slice(1, None)))
    ]


@lru_cache(maxsize=1024)
def _style(fg: str, bg: str, bold: bool, italic: bool, under: bool, struck: bool, reverse: bool, blink: bool) -> Style:  # noqa: ARG001, FBT001 - the order of pyte's Char
    return Style(
        color=_colour(fg),
        bgcolor=_colour(bg),
        bold=bold or None,
        italic=italic or None,
        underline=under or None,
        strike=struck or None,
        reverse=reverse or None,
    )


def _colour(name: str) -> Color | None:
    if name == "default":
        return None
    return Color.from_ansi(_ANSI[name]) if name in _ANSI else Color.parse(f"#{name}")
