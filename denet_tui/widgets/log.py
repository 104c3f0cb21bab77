"""What denet-tui has to say about itself, the newest first."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Hashable, Sequence
from typing import ClassVar, NamedTuple

from denet_tui.model import LogEntry
from denet_tui.system.visible import visible
from denet_tui.widgets.columns import Column
from denet_tui.widgets.line_view import LineView, Piece


class LogRow(NamedTuple):
    """One line of a message; only its first has a time and a level."""

    since: float
    time: str
    level: str
    text: str


class LogView(LineView[LogRow]):
    """Messages with their time and level; long ones go on in the next line."""

    HELP = """What denet-tui did and met on the way: how the program was loaded, what could not be counted and why,
    what became of recordings, and how the runs ended."""
    EMPTY = "Nothing was written to the log yet."
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("time", "TIME", 8, right=False),
        Column("level", "LEVEL", 7, right=False),
        Column("text", "MESSAGE", 20, 1000, right=False),
    )

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name for it)
        super().__init__(id=id)
        self._entries: Sequence[LogEntry] = ()
        self._shown_width = 0

    def show_entries(self, entries: Sequence[LogEntry]) -> None:
        """Draw these from now on: given with the oldest first, shown with the newest first."""
        if entries and self._entries and entries[-1] is self._entries[-1] and self._shown_width == self.line_width:
            return
        self._entries, self._shown_width = entries, self.line_width
        room = max(20, self.line_width - 8 - 7 - 4)
        self.show([row for entry in reversed(entries) for row in _rows(entry, room)])

    def on_resize(self) -> None:
        """Wrap anew."""
        super().on_resize()
        self.show_entries(self._entries)

    def identify(self, row: LogRow) -> Hashable:
        """All of it: two messages of one moment and text are one for whoever reads."""
        return row

    def draw(self, row: LogRow, column: Column, width: int) -> Sequence[Piece]:  # noqa: ARG002 - LineView's signature
        """One cell; what is not all right is told by its level as well as by colour."""
        style = "warn" if row.level in ("warning", "error") else "dim" if column.key != "text" else "text"
        return [(str(getattr(row, column.key)), style)]


def _rows(entry: LogEntry, width: int) -> list[LogRow]:
    shown = [visible(text.expandtabs(8)) for text in entry.text.splitlines()]
    lines = [line for text in shown for line in textwrap.wrap(text, width) or [""]]
    clock = time.strftime("%H:%M:%S", time.localtime(entry.time_s))
    heads = [(clock, entry.level), *[("", "")] * len(lines)]
    return [LogRow(entry.time_s, *head, line) for head, line in zip(heads, lines, strict=False)]
