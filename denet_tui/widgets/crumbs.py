"""The line that says what the view is narrowed to; not there while it shows everything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from denet_tui.widgets.formatting import clip

_NEXT = " \u203a "  # a single angle quotation mark, as file managers have it


def crumb_line(steps: Sequence[str], aside: str, width: int) -> str:
    """`all > make (1234) > %file`, and `aside` after it; where it is short of room, the first steps go."""
    aside = f"  ({aside})" if aside else ""
    kept = list(steps)
    while len(kept) > 1 and cell_len(_NEXT.join(kept) + aside) > width:
        kept = ["…", *kept[2:]] if kept[0] == "…" else ["…", *kept[1:]]
        if len(kept) == 2:
            break
    return clip(_NEXT.join(kept) + aside, width)


class Crumbs(Widget):
    """The steps of the narrowing, from everything to what is shown."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"crumbs--text"}
    DEFAULT_CSS = """
    Crumbs {
        height: 1;
        display: none;
        &.-needed { display: block; }
        & > .crumbs--text { color: $text-primary; text-style: bold; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name for it)
        super().__init__(id=id)
        self._steps: tuple[str, ...] = ()
        self._aside = ""

    def show(self, steps: Sequence[str], aside: str = "") -> None:
        """Say these; nothing where there is but one step and nothing aside."""
        self._steps, self._aside = tuple(steps), aside
        self.set_class(len(steps) > 1 or bool(aside), "-needed")
        self.refresh()

    def render_line(self, y: int) -> Strip:  # noqa: ARG002 (there is one line)
        """The one line."""
        width = self.size.width
        style = self.get_component_rich_style("crumbs--text") if self.is_attached else Style.null()
        text = crumb_line(self._steps, self._aside, max(0, width - 2))
        return Strip([Segment(f" {text}", style)]).adjust_cell_length(width, style)
