"""A text in paragraphs with a label at the left of each, wrapped to the width; some of them can be clicked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from denet_tui.system.visible import visible, wrapped
from denet_tui.widgets.formatting import clip

LABEL = 7
"""Cells that labels have."""
STYLES = ("text", "strong", "dim", "good", "warn", "bad", "code", "added", "removed", "spark")


class Paragraph(NamedTuple):
    """Words under a label. `words` is a command, quoted word by word, that is broken as a shell could read it."""

    text: str = ""
    label: str = ""
    style: str = "text"
    words: tuple[str, ...] = ()
    whole: bool = False
    """True for a line of a file or of a program's output: its spaces count."""
    hang: int = 0
    """Cells by which the lines after the first stand further right."""
    flush: bool = False
    """Whether it starts at the left edge, where others have their label."""
    key: str = ""
    """What is posted when it is clicked."""


class Line(NamedTuple):
    """A line as it is drawn; `label` is None if there is no room for one."""

    label: str | None
    text: str
    style: str
    key: str


def laid_out(paragraphs: Sequence[Paragraph], width: int) -> list[Line]:
    """The lines of the paragraphs, none wider than `width` cells."""
    room = max(10, width - LABEL - 2)
    lines: list[Line] = []
    for each in paragraphs:
        texts = _broken(each, room + LABEL + 1 if each.flush else room)
        label = None if each.flush else ""
        lines += [
            Line(label if number or each.flush else each.label, text, each.style, each.key)
            for number, text in enumerate(texts)
        ]
    return lines


def _broken(each: Paragraph, room: int) -> list[str]:
    if each.words:
        return _command(each.words, room)
    if each.whole:
        text = visible(each.text.expandtabs(8))
        return [text[at : at + room] for at in range(0, max(1, len(text)), room)]
    lines = wrapped(
        visible(" ".join(each.text.split())), room, subsequent_indent=" " * each.hang, break_on_hyphens=False
    )
    return [clip(line, room) for line in lines] or [""]


def _command(words: Sequence[str], room: int) -> list[str]:
    lines = [""]
    for word in map(visible, words):
        if lines[-1] and cell_len(lines[-1]) + cell_len(word) + 3 > room:
            lines[-1] += " \\"
            lines.append(f"  {word}")
        else:
            lines[-1] += f" {word}" if lines[-1] else word
        while cell_len(lines[-1]) > room:  # with nothing before the rest of it, it is still one word to a shell
            lines[-1:] = [f"{lines[-1][: room - 1]}\\", lines[-1][room - 1 :]]
    return lines


class Page(ScrollView, can_focus=True, inherit_bindings=False):
    """Draws paragraphs; scrolls where they are too long for it."""

    ALLOW_SELECT = False
    HELP = "The chosen step: what was looked at, what was seen, why it matters, and what can be done about it."
    COMPONENT_CLASSES: ClassVar[set[str]] = {"page--label", *(f"page--{style}" for style in STYLES)}
    DEFAULT_CSS = """
    Page {
        overflow-x: hidden;
        overflow-y: auto;
        scrollbar-size: 0 1;
        scrollbar-gutter: stable;
        & > .page--label { color: $text-muted; text-style: bold; }
        & > .page--text { color: $foreground; }
        & > .page--strong { color: $foreground; text-style: bold; }
        & > .page--dim { color: $text-muted; }
        & > .page--good { color: $text-success; text-style: bold; }
        & > .page--warn { color: $text-warning; text-style: bold; }
        & > .page--bad { color: $text-error; text-style: bold; }
        & > .page--code { color: $text-accent; }
        & > .page--added { color: $text-success; }
        & > .page--removed { color: $text-error; }
        & > .page--spark { color: $text-accent; }
        &:focus > .page--label { color: $text-primary; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "scroll(1)", "Down", id="page.down", tooltip="Scroll down by a line", show=False),
        Binding("up,k", "scroll(-1)", "Up", id="page.up", tooltip="Scroll up by a line", show=False),
        Binding("pagedown,ctrl+f", "leaf(1)", "Page down", id="page.next", tooltip="Scroll down by a page", show=False),
        Binding("pageup,ctrl+b", "leaf(-1)", "Page up", id="page.previous", tooltip="Scroll up by a page", show=False),
        Binding("home,g", "edge(0)", "Top", id="page.first", tooltip="Scroll to the top", show=False),
        Binding("end,G", "edge(1)", "End", id="page.last", tooltip="Scroll to the end", show=False),
    ]

    class Picked(Message):
        """A paragraph with a key was clicked."""

        def __init__(self, key: str) -> None:
            self.key = key
            super().__init__()

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name for it)
        super().__init__(id=id)
        self._paragraphs: Sequence[Paragraph] = ()
        self._lines: list[Line] = []
        self._width = 0

    def show(self, paragraphs: Sequence[Paragraph], *, top: bool = False, follow: bool = False) -> None:
        """Draw these from now on, at the same place; at the top, or, where the end is in sight, still at the end."""
        if paragraphs == self._paragraphs and not top:
            return
        at_end = self.scroll_offset.y >= self.max_scroll_y
        self._paragraphs = paragraphs
        self._width = 0
        self._lay_out()
        if top:
            self.scroll_to(y=0, animate=False, immediate=True, force=True)
        elif follow and at_end:
            self.scroll_to(y=self.max_scroll_y, animate=False, immediate=True, force=True)
        self.refresh()

    @property
    def texts(self) -> list[str]:
        """The lines as they stand there."""
        self._lay_out()
        return [
            f"{line.label:<{LABEL}} {line.text}".strip() if line.label else line.text.rstrip() for line in self._lines
        ]

    def notify_style_update(self) -> None:
        """Draw in the new colours."""
        super().notify_style_update()
        self.refresh()

    def on_resize(self) -> None:
        """Wrap anew."""
        self._lay_out()
        self.refresh()

    def _lay_out(self) -> None:
        width = self.scrollable_content_region.width
        if width != self._width:
            self._width = width
            self._lines = laid_out(self._paragraphs, width)
            self.virtual_size = Size(width, len(self._lines))

    def action_scroll(self, by: int) -> None:
        """Scroll by so many lines."""
        self.scroll_relative(y=by, animate=False)

    def action_leaf(self, by: int) -> None:
        """Scroll by so many pages."""
        self.scroll_relative(y=by * max(1, self.size.height - 1), animate=False)

    def action_edge(self, end: int) -> None:
        """Scroll to the top (0) or the end (1)."""
        self.scroll_to(y=end * len(self._lines), animate=False, immediate=True, force=True)

    def on_click(self, event: events.Click) -> None:
        """Pick what was clicked."""
        index = self.scroll_offset.y + event.y
        if index < len(self._lines) and (key := self._lines[index].key):
            self.post_message(self.Picked(key))

    def render_line(self, y: int) -> Strip:
        """The line `y` of what is visible."""
        width = self.scrollable_content_region.width
        index = self.scroll_offset.y + y
        if index >= len(self._lines):
            return Strip.blank(width, self._style("text"))
        line = self._lines[index]
        head = " " if line.label is None else f" {line.label:<{LABEL}} "
        segments = [Segment(head, self._style("label")), Segment(line.text, self._style(line.style))]
        return Strip(segments).adjust_cell_length(width, self._style("text"))

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"page--{name}") if self.is_attached else Style.null()
