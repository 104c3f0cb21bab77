"""A table drawn line by line: only what is visible is built, and only once."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import ClassVar, Generic, TypeVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from denet_tui.widgets.columns import GAP, Column, fit
from denet_tui.widgets.formatting import NONE, clip, pad

RowT = TypeVar("RowT")

Piece = tuple[str, str]
"""Text, and the name of the style it is drawn in (see `STYLES`)."""

CURSOR = "▸"
"""Marks the chosen row, so that it is not told by its colour alone."""

_STYLE_OF = itemgetter(1)
_ROOM_FOR_ALL = 1000
"""Cells in which all columns of any table fit."""

STYLES = ("text", "head", "cursor", "dim", "warn", "spark", "match")


class LineView(ScrollView, Generic[RowT], can_focus=True, inherit_bindings=False):
    """Rows under a header line that stays, a cursor that follows its row, and columns that fit the width."""

    ALLOW_SELECT = False
    COLUMNS: ClassVar[tuple[Column, ...]] = ()
    EMPTY: ClassVar[str] = ""
    """Shown where there is no row."""
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"line-view--{style}" for style in STYLES}
    DEFAULT_CSS = """
    LineView {
        overflow-x: hidden;
        overflow-y: auto;
        scrollbar-size: 0 1;
        & > .line-view--text { color: $foreground; }
        & > .line-view--head { color: $text-muted; text-style: bold; }
        & > .line-view--cursor { background: $block-cursor-blurred-background; }
        & > .line-view--dim { color: $text-muted; }
        & > .line-view--warn { color: $text-warning; }
        & > .line-view--spark { color: $text-accent; }
        & > .line-view--match { color: $foreground; text-style: bold underline; }
        &:focus > .line-view--cursor { background: $block-cursor-background 60%; text-style: bold; }
        &:light:focus > .line-view--cursor { background: $block-cursor-background 30%; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "Down", id="lines.down", tooltip="Move to the next row", show=False),
        Binding("up,k", "move(-1)", "Up", id="lines.up", tooltip="Move to the previous row", show=False),
        Binding(
            "pagedown,ctrl+f", "page(1)", "Page down", id="lines.page-down", tooltip="Move down by a page", show=False
        ),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", id="lines.page-up", tooltip="Move up by a page", show=False),
        Binding(
            "ctrl+d", "page(0.5)", "Half down", id="lines.half-down", tooltip="Move down by half a page", show=False
        ),
        Binding("ctrl+u", "page(-0.5)", "Half up", id="lines.half-up", tooltip="Move up by half a page", show=False),
        Binding("home,g", "edge(0)", "First", id="lines.first", tooltip="Move to the first row", show=False),
        Binding("end,G", "edge(-1)", "Last", id="lines.last", tooltip="Move to the last row", show=False),
        Binding(
            "f", "follow", "Follow", id="lines.follow", tooltip="Keep to the first row, whichever it is", show=False
        ),
        Binding("y", "copy", "Copy", id="lines.copy", tooltip="Copy this row as text to the clipboard", show=False),
    ]

    class Moved(Message):
        """The cursor is on another row now."""

        def __init__(self, view: Widget) -> None:
            self.view = view
            super().__init__()

        @property
        def control(self) -> Widget:
            """The view whose cursor moved."""
            return self.view

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name for it)
        super().__init__(id=id)
        self.columns: Sequence[Column] = self.COLUMNS
        self.rows: Sequence[RowT] = ()
        self.foot = ""
        """Stands below the last row, and is none."""
        self.cursor = 0
        self._held = False
        """True once the user has moved the cursor: it then stays on its row, else on the first one."""
        self._strips: dict[int, Strip] = {}
        """What was drawn of each row, and of the header (-1)."""
        self._layout: list[tuple[Column, int]] = []
        self._layout_width = -1
        self._palette: dict[str, Style] = {}
        self._empty = self.EMPTY

    # What a subclass says about its rows

    def identify(self, row: RowT) -> Hashable:
        """What stays the same about a row from one snapshot to the next."""
        raise NotImplementedError

    def draw(self, row: RowT, column: Column, width: int) -> Sequence[Piece] | None:
        """The pieces of one cell, `width` cells in all or fewer; None if the cell left of it goes on."""
        raise NotImplementedError

    def in_full(self, row: RowT, column: Column, pieces: Sequence[Piece]) -> str:  # noqa: ARG002 (for those that cut)
        """The text of a cell to copy, of which `pieces` were drawn where there is room for all columns."""
        return "".join(text for text, _ in pieces)

    def needs(self) -> dict[str, int]:
        """Columns that have to be wider than their least width, by key."""
        return {}

    def offered(self) -> Sequence[Column]:
        """The columns that there may be room for."""
        return self.columns

    def title(self, column: Column) -> str:
        """What stands above a column."""
        return column.title

    def pick(self, column: Column) -> None:
        """The header of `column` was clicked."""

    def press(self, row: RowT, column: Column, at: int) -> None:
        """Cell `at` of a row's column was clicked."""

    # Rows and cursor

    @property
    def current(self) -> RowT | None:
        """The row that the cursor is on."""
        return self.rows[self.cursor] if self.cursor < len(self.rows) else None

    @property
    def visible_columns(self) -> list[Column]:
        """The columns that fit at the moment."""
        return [column for column, _ in self._fitted(self.line_width)]

    def shows(self, key: str) -> bool:
        """Whether the column `key` fits at the moment."""
        return any(column.key == key for column, _ in self._layout)

    @property
    def line_width(self) -> int:
        """Cells in a line, the scrollbar left out."""
        return self.scrollable_content_region.width

    def show(self, rows: Sequence[RowT]) -> None:
        """Draw `rows` from now on; the cursor stays with its row."""
        before = self.current
        held_key = self.identify(before) if before is not None and self._held else None
        in_sight = self._in_sight()
        self.rows = rows
        self.cursor = self._find(held_key)
        self._layout_width = -1
        self.virtual_size = Size(self.line_width, len(rows) + 1 + bool(self.foot))
        self._renew_strips()
        if in_sight:
            self._keep_in_sight()
        now = self.current
        if (before is None) != (now is None) or (before and now and self.identify(before) != self.identify(now)):
            self.post_message(self.Moved(self))

    def _find(self, key: Hashable) -> int:
        if key is None:
            return 0
        if self.cursor < len(self.rows) and self.identify(self.rows[self.cursor]) == key:
            return self.cursor
        for index, row in enumerate(self.rows):
            if self.identify(row) == key:
                return index
        return max(0, min(self.cursor, len(self.rows) - 1))

    def _move_to(self, index: int) -> None:
        index = max(0, min(index, len(self.rows) - 1))
        self._held = True
        if index == self.cursor or not self.rows:
            return
        for changed in (self.cursor, index):
            self._strips.pop(changed, None)
            self.refresh_lines(changed + 1)
        self.cursor = index
        self._keep_in_sight()
        self.post_message(self.Moved(self))

    def _room(self) -> int:
        return max(1, self.scrollable_content_region.height - 1)

    def _in_sight(self) -> bool:
        return self.scroll_offset.y <= self.cursor < self.scroll_offset.y + self._room()

    def _keep_in_sight(self) -> None:
        top, room = self.scroll_offset.y, self._room()
        last = self.cursor + (bool(self.foot) and room > 1 and self.cursor == len(self.rows) - 1)
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False)
        elif last >= top + room:
            self.scroll_to(y=last - room + 1, animate=False)

    def go_to_row(self, key: Hashable) -> None:
        """Move the cursor to the row that is identified by `key`; stay where there is none."""
        found = next((index for index, row in enumerate(self.rows) if self.identify(row) == key), self.cursor)
        self._move_to(found)

    def action_move(self, by: int) -> None:
        """Move the cursor by so many rows."""
        self._move_to(self.cursor + by)

    def action_page(self, by: float) -> None:
        """Move the cursor by so many pages."""
        self._move_to(self.cursor + int(by * self._room()))

    def action_edge(self, index: int) -> None:
        """Move the cursor to the first row (0) or the last (-1)."""
        self._move_to(index % max(1, len(self.rows)))

    def action_follow(self) -> None:
        """Keep the cursor on the first row from now on, whichever that is."""
        self._move_to(0)
        self._held = False

    def action_copy(self) -> None:
        """Copy the current row, by way of the terminal (OSC 52)."""
        text = self.copied()
        if text:
            self.app.copy_to_clipboard(text)
            self.notify(f"copied: {text}", markup=False)

    def copied(self) -> str:
        """The current row as text: all its columns, also those that do not fit, numbers with their titles."""
        row = self.current
        if row is None:
            return ""
        drawn = [(column, self.draw(row, column, room)) for column, room in self._fitted(_ROOM_FOR_ALL)]
        self._layout_width = -1
        cells = []
        for (column, pieces), (_, after) in zip(drawn, [*drawn[1:], (None, ())], strict=True):
            text = " ".join(self.in_full(row, column, pieces or ()).split())
            if text not in ("", NONE) and column.key != "spark":
                cells.append(f"{column.title} {text}" if column.right and after is not None else text)
        return "  ".join(cells)

    def on_click(self, event: events.Click) -> None:
        """Select the row, or the column of the header, that was clicked."""
        index, at = self.scroll_offset.y + event.y - 1, 1
        if event.y and index >= len(self.rows):
            return
        if event.y:
            self._move_to(index)
        for column, width in self._fitted(self.line_width):
            if at <= event.x < at + width + GAP:
                if event.y:
                    self.press(self.rows[index], column, event.x - at)
                else:
                    self.pick(column)
                return
            at += width + GAP

    def on_resize(self) -> None:
        """Lay the columns out anew."""
        self.forget_strips()

    def notify_style_update(self) -> None:
        """Draw in the new colours (a theme, or the focus, has changed)."""
        super().notify_style_update()
        self._palette = {}
        self._strips = {}

    # Drawing

    def forget_strips(self) -> None:
        """Draw every line anew."""
        self._strips = {}
        self.refresh()

    def _renew_strips(self) -> None:
        """Draw what is visible anew, and have only those lines painted that are different now."""
        before, self._strips = self._strips, {}
        if len(before) < 2 or not self.rows or not self.is_attached:
            self.refresh()
            return
        width, top = self.line_width, self.scroll_offset.y
        for y in range(self._room() + 1):
            index = top + y - 1 if y else -1
            old, new = before.get(index), self.render_line(y)
            if old is not None and old == new and index in self._strips:
                self._strips[index] = old  # it knows already what it looks like on the terminal
            elif old is not None or index < len(self.rows):
                self.refresh(Region(0, y, width, 1))

    def _fitted(self, width: int) -> list[tuple[Column, int]]:
        if width != self._layout_width:
            offered, needs = self.offered(), self.needs()
            self._layout = fit(offered, width - 1, needs)
            for column in offered:
                if (title := self.title(column)) != column.title:
                    least = max(column.least, needs.get(column.key, 0))
                    needs = {**needs, column.key: max(least, len(title))}
            roomier = fit(offered, width - 1, needs)
            if len(roomier) == len(self._layout):  # no column is given up for the last letter of a title
                self._layout = roomier
            self._layout_width = width
        return self._layout

    def _style(self, name: str) -> Style:
        if not self._palette and self.is_attached:
            self._palette = {style: self.get_component_rich_style(f"line-view--{style}") for style in STYLES}
            # Only its ground: what is dim or a warning stays so under the cursor.
            ground = self._palette["cursor"]
            self._palette["cursor"] = Style(bgcolor=ground.bgcolor, bold=ground.bold)
        return self._palette.get(name, Style.null())

    def render_line(self, y: int) -> Strip:
        """The line `y` of what is visible: the header, a row, or nothing."""
        width = self.line_width
        if y == 0:
            head = self._strips[-1] = self.header_line(width)
            return head
        index = self.scroll_offset.y + y - 1
        if index >= len(self.rows):
            text = f"  {self._empty}" if not self.rows and y == 2 else ""
            text = f" {self.foot}" if index == len(self.rows) else text
            below = self._strips[index] = Strip([Segment(pad(text, width), self._style("dim"))], width)
            return below
        strip = self._strips.get(index)
        if strip is None or strip.cell_length != width:
            strip = self._strips[index] = self.row_line(index, width)
        return strip

    def header_line(self, width: int) -> Strip:
        """The titles of the columns."""
        parts = [
            pad(_headline(self.title(column), room), room, right=column.right) for column, room in self._fitted(width)
        ]
        return Strip([Segment(pad(" " + (" " * GAP).join(parts), width), self._style("head"))], width)

    def row_line(self, index: int, width: int) -> Strip:
        """Row `index`, with a mark before the one that the cursor is on."""
        chosen = index == self.cursor
        pieces: list[Piece] = [(CURSOR if chosen else " ", "text")]
        for cell, room, right in self._cells(self.rows[index], width):
            if len(pieces) > 1:
                pieces.append((" " * GAP, "text"))
            pieces.extend(_justify(cell, room, right=right))
        ground = self._style("cursor") if chosen else None
        segments: list[Segment] = []
        for name, group in groupby(pieces, _STYLE_OF):
            # What is dim could not be read on the ground of the cursor.
            style = self._style("text" if chosen and name == "dim" else name)
            segments.append(Segment("".join(text for text, _ in group), style + ground if ground else style))
        return Strip(segments).adjust_cell_length(width, self._style("text") + ground)

    def _cells(self, row: RowT, width: int) -> list[tuple[Sequence[Piece], int, bool]]:
        """Pieces, width and side of every cell; one that goes on takes the room of the next."""
        cells: list[tuple[Sequence[Piece], int, bool]] = []
        for column, room in self._fitted(width):
            pieces = self.draw(row, column, room)
            if pieces is not None:
                cells.append((pieces, room, column.right))
            elif cells:
                before, wide, right = cells.pop()
                cells.append((before, wide + GAP + room, right))
        return cells


def _headline(title: str, width: int) -> str:
    """A title in its column; where it is too long, its last sign (how the column is sorted) stays."""
    return title if len(title) <= width else title[: width - 1] + title[-1:]


def _justify(pieces: Sequence[Piece], width: int, *, right: bool) -> list[Piece]:
    """The pieces filled up, or cut, to `width` cells."""
    if len(pieces) == 1:
        return [(pad(pieces[0][0], width, right=right), pieces[0][1])]
    left = width
    fitted: list[Piece] = []
    for text, style in pieces:
        shown = clip(text, left)
        left -= Segment(shown).cell_length
        fitted.append((shown, style))
    return fitted if not left else [(" " * left, "text"), *fitted] if right else [*fitted, (" " * left, "text")]
