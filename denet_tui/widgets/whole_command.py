"""The whole command line of the process under the cursor, which the tree has to cut."""

from __future__ import annotations

from typing import ClassVar

from rich.cells import chop_cells
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from denet_tui.system.visible import how_many
from denet_tui.widgets.ended import EndedRow
from denet_tui.widgets.formatting import clip
from denet_tui.widgets.process_rows import GroupRow, ProcessRow


def whole_command(row: ProcessRow | GroupRow | EndedRow | None) -> tuple[str, str]:
    """Which process it is, and its command line with nothing left out but what the kernel has not."""
    if isinstance(row, ProcessRow):
        return f"{row.process.pid} ", row.whole
    if isinstance(row, EndedRow):
        return "", "".join(row.words) + ": enter shows each, e those of all names"
    return "", "" if row is None else f"{row.name}: {how_many(len(row.members), 'process')}"


class WholeCommand(Widget):
    """Two lines; what does not fit into them is cut."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"whole-command--text", "whole-command--dim"}
    DEFAULT_CSS = """
    WholeCommand {
        height: 2;
        background: $surface;
        & > .whole-command--text { color: $foreground; }
        & > .whole-command--dim { color: $text-muted; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._said = ("", "")

    def show(self, row: ProcessRow | GroupRow | EndedRow | None) -> None:
        """Say what `row` is from now on."""
        said = whole_command(row)
        if said != self._said:
            self._said = said
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """One of the lines."""
        which, text = self._said
        width, height = max(1, self.size.width - 2), self.size.height
        lines = chop_cells(which + text, width)
        if len(lines) > height:
            lines[height - 1] = clip(lines[height - 1] + lines[height], width)
        line = lines[y] if y < len(lines) else ""
        dim = len(which) if not y else 0
        segments = [Segment(" " + line[:dim], self._style("dim")), Segment(line[dim:], self._style("text"))]
        return Strip(segments).adjust_cell_length(self.size.width, self._style("text"))

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"whole-command--{name}") if self.is_attached else Style.null()
