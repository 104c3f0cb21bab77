"""A line that says which of several panes is shown, where only one fits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget


class PaneSwitch(Widget):
    """The names of the panes, the shown one in brackets; a click shows another."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"pane-switch--shown", "pane-switch--hidden"}
    DEFAULT_CSS = """
    PaneSwitch {
        height: 1;
        & > .pane-switch--shown { color: $foreground; text-style: bold; }
        & > .pane-switch--hidden { color: $text-muted; }
    }
    """

    class Picked(Message):
        """The user wants to see pane `index`."""

        def __init__(self, index: int) -> None:
            self.index = index
            super().__init__()

    def __init__(self, names: Sequence[str], *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name for it)
        super().__init__(id=id)
        self._names = tuple(names)
        self._shown = 0

    def show(self, index: int) -> None:
        """Mark pane `index` as the one that is shown."""
        self._shown = index
        self.refresh()

    def labels(self) -> list[str]:
        """What stands in the line, part by part."""
        return [f"[{name}]" if index == self._shown else f" {name} " for index, name in enumerate(self._names)]

    def on_click(self, event: events.Click) -> None:
        """Pick the pane whose name was clicked."""
        at = 1
        for index, label in enumerate(self.labels()):
            if at <= event.x < at + len(label):
                self.post_message(self.Picked(index))
            at += len(label) + 1

    def render_line(self, y: int) -> Strip:  # noqa: ARG002 (there is one line)
        """The one line."""
        width = self.size.width
        segments = [Segment(" ", self._style("hidden"))]
        for index, label in enumerate(self.labels()):
            segments.append(Segment(label + " ", self._style("shown" if index == self._shown else "hidden")))
        return Strip(segments).adjust_cell_length(width, self._style("hidden"))

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"pane-switch--{name}") if self.is_attached else Style.null()
