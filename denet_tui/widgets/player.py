"""Where a recording is being played: how, at which moment, and what was met there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from denet_tui.system.visible import visible
from denet_tui.widgets.formatting import clip

_LEAST, _MOST = 12, 60
"""Cells of the line that stands for the whole time."""


class PlayerLine(Widget):
    """One line; a click on its track asks for that moment."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"player-line--text", "player-line--track", "player-line--here"}
    DEFAULT_CSS = """
    PlayerLine {
        height: 1;
        background: $panel;
        & > .player-line--text { color: $foreground; }
        & > .player-line--track { color: $text-muted; }
        & > .player-line--here { color: $text-accent; text-style: bold; }
    }
    """

    class Sought(Message):
        """The user wants to see the moment at this share of the whole time."""

        def __init__(self, share: float) -> None:
            self.share = share
            super().__init__()

    def __init__(self) -> None:
        super().__init__()
        self._shown: tuple[str, float, tuple[float, ...], str] = ("", 0.0, (), "")

    def show(self, how: str, share: float, marks: Sequence[float], told: str) -> None:
        """Say `how` it plays, stand at `share` (0..1) of the track, with `marks` on it (the same), and what was met."""
        shown = how, share, tuple(marks), visible(told)
        if shown != self._shown:
            self._shown = shown
            self.refresh()

    def track(self, width: int) -> tuple[int, str]:
        """Where the track starts, and what it looks like: `|` where there are marks, `#` at the moment shown."""
        how, share, marks, told = self._shown
        start = cell_len(how) + 3
        room = width - start - 2 - (min(cell_len(told) + 2, width // 2) if told else 0)
        if room < _LEAST:
            return start, ""
        cells = ["\u2500"] * min(room, _MOST)  # a horizontal line, and below one that marks cross
        for mark in marks:
            cells[_cell(mark, len(cells))] = "\u253c"
        cells[_cell(share, len(cells))] = "\u2588"
        return start, "".join(cells)

    def on_click(self, event: events.Click) -> None:
        """Ask for the moment that was clicked."""
        start, track = self.track(self.size.width)
        if 0 <= event.x - start < len(track):
            self.post_message(self.Sought((event.x - start) / (len(track) - 1)))

    def render_line(self, y: int) -> Strip:  # noqa: ARG002 (there is one line)
        """The one line."""
        width = self.size.width
        how, share, _, told = self._shown
        start, track = self.track(width)
        here = _cell(share, len(track)) if track else 0
        pieces = [
            (f" {how}  ", "text"),
            (track[:here], "track"),
            (track[here : here + 1], "here"),
            (track[here + 1 :], "track"),
            (clip(f"  {told}", max(0, width - start - len(track))), "text"),
        ]
        segments = [Segment(text, self._style(name)) for text, name in pieces if text]
        return Strip(segments).adjust_cell_length(width, self._style("text"))

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"player-line--{name}") if self.is_attached else Style.null()


def _cell(share: float, count: int) -> int:
    return min(max(round(share * (count - 1)), 0), count - 1)
