"""The steps of the setup, grouped, each with its state as a sign and a word."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import ClassVar, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from denet_tui.system.visible import visible
from denet_tui.widgets.columns import Column
from denet_tui.widgets.formatting import clip, pad
from denet_tui.widgets.line_view import CURSOR, LineView, Piece

_TONES = ("good", "bad", "group")


class Step(NamedTuple):
    """A row: a group (`id` empty), or a step of the one above it."""

    key: str
    sign: str
    word: str
    tone: str
    """The style of sign and word: `good`, `warn`, `bad`, `dim`, or `spark` for one that is at work."""
    id: str
    title: str


class StepList(LineView[Step]):
    """Groups and their steps; the cursor is on the step that the page explains."""

    HELP = (
        "The steps of the setup, in the order in which to take them, each with what came of its check. Those that "
        "need nothing from you are folded up into one line of their group, which `v` unfolds."
    )
    EMPTY = "nothing has been looked at yet"
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("state", "", 12, right=False),
        Column("id", "", 9, 10, right=False),
        Column("title", "", 12, 200, rank=1, right=False),
    )
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"step-list--{tone}" for tone in _TONES}
    DEFAULT_CSS = """
    StepList {
        & > .step-list--good { color: $text-success; }
        & > .step-list--bad { color: $text-error; text-style: bold; }
        & > .step-list--group { color: $text-primary; text-style: bold; }
    }
    """

    def identify(self, row: Step) -> Hashable:
        """A step stays the same whatever comes of it."""
        return row.key

    def draw(self, row: Step, column: Column, width: int) -> Sequence[Piece]:
        """The cells of a step's line."""
        if column.key == "state":
            return [(f" {row.sign} {row.word}", row.tone)]
        if column.key == "id":
            return [(row.id, "text")]
        return [(clip(visible(row.title), width), "dim" if row.tone in ("dim", "good") else "text")]

    def row_line(self, index: int, width: int) -> Strip:
        """A step's line in columns; a group's with the sum of its steps."""
        row = self.rows[index]
        if row.id:
            return super().row_line(index, width)
        chosen = index == self.cursor
        ground = self._style("cursor") if chosen else Style.null()
        pieces = [
            (CURSOR if chosen else " ", "text"),
            (f"{row.key:<13}", "group"),
            (f"{row.sign} {row.word}", row.tone),
        ]
        segments = [Segment(text, self._style(name) + ground) for text, name in pieces]
        return Strip(segments).adjust_cell_length(width, self._style("text") + ground)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 (Textual's)
        """What is copied here are the commands of a fix, by the screen; and there is no first row to follow."""
        return action not in ("copy", "follow")

    def go_to(self, key: str) -> None:
        """Put the cursor on a step, where it is there."""
        for index, row in enumerate(self.rows):
            if row.key == key:
                self._move_to(index)

    def header_line(self, width: int) -> Strip:
        """The heading."""
        return Strip([Segment(pad(" Steps", width), self._style("head"))], width)

    def _style(self, name: str) -> Style:
        if name in _TONES:
            return self.get_component_rich_style(f"step-list--{name}") if self.is_attached else Style.null()
        return super()._style(name)
