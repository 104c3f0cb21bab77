"""The names of the tabs in one line, the shown one in brackets."""

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


class TabRow(Widget):
    """One tab a name, each with the number of its key; a click shows another."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"tab-row--shown", "tab-row--hidden"}
    DEFAULT_CSS = """
    TabRow {
        height: 1;
        & > .tab-row--shown { color: $foreground; text-style: bold; }
        & > .tab-row--hidden { color: $text-muted; }
    }
    """

    class Clicked(Message):
        """The user wants to see tab `index`."""

        def __init__(self, index: int) -> None:
            self.index = index
            super().__init__()

    def __init__(self, names: Sequence[str], *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name for it)
        super().__init__(id=id)
        self._names = tuple(names)
        self._shown = 0
        self._aside = ""

    def show(self, index: int, aside: str = "") -> None:
        """Mark tab `index` as the one that is shown; `aside` stands at the right end where there is room."""
        self._shown, self._aside = index, aside
        self.refresh()

    def labels(self, width: int) -> list[str]:
        """The names in full, without their numbers, or the numbers alone but for the shown one, as there is room."""
        for short in (False, True):
            found = [name if short else f"{index} {name}" for index, name in enumerate(self._names, 1)]
            if sum(map(len, found)) + len(found) + 1 <= width:
                return found
        return [f"{at + 1} {name}" if at == self._shown else str(at + 1) for at, name in enumerate(self._names)]

    def pieces(self, width: int) -> list[tuple[str, int | None]]:
        """What stands in the line, part by part, and which tab each part belongs to (None: to none)."""
        labels = self.labels(width)
        # Two cells between two names where there is room, else one, which the brackets then share.
        roomy = sum(map(len, labels)) + 2 * len(labels) <= width
        found: list[tuple[str, int | None]] = []
        for index, label in enumerate(labels):
            shown = index == self._shown
            if roomy:
                found.append((f"[{label}]" if shown else f" {label} ", index))
            else:
                before = "[" if shown else "]" if index and index - 1 == self._shown else " "
                found += [(before, self._shown if before != " " else None), (label, index)]
        if not roomy:
            found.append(("]" if self._shown == len(labels) - 1 else " ", self._shown))
        return found

    def on_click(self, event: events.Click) -> None:
        """Pick the tab whose name was clicked."""
        at = 0
        for text, index in self.pieces(self.size.width):
            at += len(text)
            if event.x < at:
                if index is not None:
                    self.post_message(self.Clicked(index))
                return

    def render_line(self, y: int) -> Strip:  # noqa: ARG002 (there is one line)
        """The one line."""
        width = self.size.width
        segments = [
            Segment(text, self._style("shown" if index == self._shown else "hidden"))
            for text, index in self.pieces(width)
        ]
        room = width - sum(segment.cell_length for segment in segments)
        if cell_len(self._aside) + 2 <= room:
            segments.append(Segment(f"{self._aside} ".rjust(room), self._style("hidden")))
        return Strip(segments).adjust_cell_length(width, self._style("hidden"))

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"tab-row--{name}") if self.is_attached else Style.null()


class PaneSwitch(TabRow):
    """The names of panes of which only one fits; no keys are theirs, so no numbers."""

    def labels(self, width: int) -> list[str]:  # noqa: ARG002 (they are few and short)
        """The names."""
        return list(self._names)
