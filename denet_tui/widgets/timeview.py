"""What the chart and the heat map have in common: a window that is moved, and drawing only as often as needed."""

from __future__ import annotations

import time
from collections.abc import Hashable
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from denet_tui.widgets import formatting
from denet_tui.widgets.window import Grid, Window

Piece = tuple[str, str]
"""Text, and the name of the style it is drawn in."""


class TimeView(Widget):
    """Something drawn over time. It shows the window that it is given, and asks for another by `WindowChanged`."""

    ALLOW_SELECT = False
    PREFIX: ClassVar[str] = ""
    """What the names of the component classes start with."""
    LEAST_S = 0.45
    """Between two redraws for new values, a little less than the half second between two ticks.

    Whatever else changes is drawn at once.
    """

    class WindowChanged(Message):
        """The user wants to see another stretch of time."""

        def __init__(self, window: Window) -> None:
            self.window = window
            super().__init__()

        def can_replace(self, message: Message) -> bool:
            """Only the last of several wishes counts."""
            return isinstance(message, TimeView.WindowChanged)

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name for it)
        super().__init__(id=id)
        self.window = Window()
        self.now_s = 0.0
        self._content: Hashable = None
        self._lines: list[Strip] = []
        self._drawn: Hashable = None
        self._drawn_now_s = -1.0
        self._drawn_at = 0.0
        self._waiting = False

    # What a subclass draws

    def build(self, size: Size) -> list[list[Piece]]:
        """All lines, from the top; what is missing at the end of a line, or of all, is left empty."""
        raise NotImplementedError

    def columns(self) -> int:
        """How many columns the window is cut into at the moment."""
        raise NotImplementedError

    def first_cell(self) -> int:
        """Where the first column is drawn."""
        raise NotImplementedError

    # The window

    @property
    def grid(self) -> Grid:
        """The columns that are shown."""
        return self.window.grid(self.now_s, self.columns())

    def scroll_window(self, by: float) -> None:
        """Ask for a window that is so many spans later."""
        self._look(self.window.scrolled(by, self.now_s))

    def zoom(self, by: int) -> None:
        """Ask for a window that is so many steps longer."""
        self._look(self.window.zoomed(by, self.now_s))

    def move_cursor(self, by: int) -> None:
        """Ask for the cursor to be so many columns later; past the last one there is none."""
        grid = self.grid
        held = self.window.cursor_s
        at = grid.count if held is None else grid.place(held)
        self.point_at(max(0, at + by))

    def point_at(self, column: int) -> None:
        """Ask for the cursor to be in a column."""
        grid = self.grid
        if column >= grid.count:
            self.latest()
        else:
            self._look(self.window.pointed(grid.middle_s(column), self.now_s))

    def latest(self) -> None:
        """Ask for the newest moment, without a cursor."""
        self._look(self.window.latest())

    def _look(self, window: Window) -> None:
        self.window = window  # the next key may come before the screen has answered
        self.post_message(self.WindowChanged(window))

    def cursor_column(self, grid: Grid) -> int | None:
        """The column that the cursor is in, None if there is none in sight."""
        if self.window.cursor_s is None:
            return None
        at = grid.place(self.window.cursor_s)
        return at if 0 <= at < grid.count else None

    def on_click(self, event: events.Click) -> None:
        """Set the cursor."""
        column = event.x - self.first_cell()
        if 0 <= column < self.columns():
            self.point_at(column)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Show earlier times."""
        event.stop()
        self.scroll_window(-0.1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Show later times."""
        event.stop()
        self.scroll_window(0.1)

    # Drawing

    def set_content(self, content: Hashable, window: Window, now_s: float) -> None:
        """What is to be drawn: `content` tells one thing from another, `now_s` its newest moment."""
        self._content, self.window, self.now_s = content, window, now_s
        self.refresh()

    def notify_style_update(self) -> None:
        """Draw in the new colours (a theme has changed)."""
        super().notify_style_update()
        self._drawn = None

    def _bring_up_to_date(self) -> None:
        wanted, now = (self._content, self.window, self.size), time.monotonic()
        if wanted == self._drawn:
            if self.now_s == self._drawn_now_s:
                return
            wait = self._drawn_at + self.LEAST_S - now
            if wait > 0:
                if self.is_attached and not self._waiting:
                    self._waiting = True
                    self.set_timer(wait, self._refresh_late)  # no newer values may come that would draw these
                return
        styles = {name: self._style(name) for name in ("text", *self._names())}
        self._lines = [
            Strip([Segment(text, styles[name]) for text, name in line if text]) for line in self.build(self.size)
        ]
        self._drawn, self._drawn_at, self._drawn_now_s = wanted, now, self.now_s

    def _refresh_late(self) -> None:
        self._waiting = False
        self.refresh()

    @classmethod
    def _names(cls) -> list[str]:
        return [name.removeprefix(f"{cls.PREFIX}--") for name in cls.COMPONENT_CLASSES]

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"{self.PREFIX}--{name}") if self.is_attached else Style.null()

    def render_line(self, y: int) -> Strip:
        """Line `y`; all of them are drawn at once, for the first."""
        if y == 0:
            self._bring_up_to_date()
        line = self._lines[y] if y < len(self._lines) else Strip([])
        return line.adjust_cell_length(self.size.width, self._style("text"))


def moment(window: Window, now_s: float, grid: Grid, column: int | None) -> str:
    """Which moment the numbers are of: `now`, `last`, or `at 3:25.5`, with how long it is where that matters."""
    if column is None:
        return "now" if window.follows else f"at {formatting.elapsed(int(min(grid.end_s, now_s) * 1e9))}"
    return f"at {formatting.elapsed(int(grid.middle_s(column) * 1e9))}"
