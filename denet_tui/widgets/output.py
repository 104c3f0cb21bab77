"""The command's terminal: what it has written, and where keys for it are typed."""

from __future__ import annotations

import re
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from denet_tui.system.visible import how_many
from denet_tui.widgets.emulator import (
    APPLICATION_CURSOR,
    BRACKETED_PASTE,
    MOUSE_CLICKS,
    MOUSE_DRAGS,
    MOUSE_MOVES,
    MOUSE_SGR,
    Emulator,
)
from denet_tui.widgets.formatting import pad
from denet_tui.widgets.keystrokes import bytes_of, mouse_bytes

_STYLES = ("head", "typing", "asking", "note")
_NOTHING = "There is no output here: the process was not started by denet-tui, or runs on a terminal of its own."

_PASTE_END = re.compile(r"[\x1b\x9b]+(?=\[?201~)")
"""What makes an end of what is pasted of the characters that follow."""
_CONTROL = re.compile(r"[^\t\n\r -~\xa0-\U0010ffff]")
"""What a command that knows no pastes would take for keys."""


class OutputView(ScrollView, can_focus=True, inherit_bindings=False):
    """An emulator's lines under one line that says what gets the keys."""

    HELP = """What the command has written to its terminal, as a terminal shows it. Press i to type into the command:
    from then on it gets every key, ctrl+c included, until ctrl+] gives the keys back. Where it writes faster than can
    be drawn, the view leaves something out and says how much; --output FILE keeps all of it."""
    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"output-view--{style}" for style in _STYLES}
    DEFAULT_CSS = """
    OutputView {
        overflow-x: hidden;
        overflow-y: auto;
        scrollbar-size: 0 1;
        scrollbar-gutter: stable;
        & > .output-view--head { color: $text-muted; }
        & > .output-view--typing { color: $text-warning; text-style: bold reverse; }
        & > .output-view--asking { color: $text-warning; text-style: bold; }
        & > .output-view--note { color: $text-muted; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("i,enter", "type", "Type into it", id="output.type", tooltip="Send keys to the command until ctrl+]"),
        Binding(
            "ctrl+right_square_bracket",
            "give_back",
            "Keys for denet-tui again",
            id="output.give-back",
            tooltip="Stop typing into the command",
            key_display="^]",
        ),
        Binding("down,j", "move(1)", "Down", id="output.down", tooltip="Scroll down by a line", show=False),
        Binding("up,k", "move(-1)", "Up", id="output.up", tooltip="Scroll up by a line", show=False),
        Binding("pagedown,ctrl+f", "page(1)", "Page down", id="output.page-down", tooltip="One page down", show=False),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", id="output.page-up", tooltip="One page up", show=False),
        Binding("home,g", "edge(0)", "First", id="output.first", tooltip="To the oldest line kept", show=False),
        Binding(
            "end,G,f", "edge(1)", "Follow", id="output.follow", tooltip="To the newest line, and follow", show=False
        ),
    ]

    class Typed(Message):
        """Something for the command to read."""

        def __init__(self, data: bytes) -> None:
            self.data = data
            super().__init__()

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name for it)
        super().__init__(id=id)
        self.typing = False
        """True while every key goes to the command."""
        self._emulator: Emulator | None = None
        self._asking = ""
        self._command_runs = True
        self._follows = True
        self._scrolled = 0
        self._strips: dict[int, Strip] = {}

    @staticmethod
    def room(size: Size) -> tuple[int, int]:
        """(columns, rows) that a terminal has in a view of this size; zeros where there is no view."""
        return (size.width - 1, size.height - 1) if size.width > 1 and size.height > 1 else (0, 0)

    def show(self, emulator: Emulator | None, *, asking: str = "", running: bool = True) -> None:
        """Draw what is new in `emulator`; None for a process without a terminal of ours.

        `asking` names the process that waits for the user to type; not `running`: there is none to type for.
        """
        if emulator is not self._emulator:
            self._emulator, self._scrolled, self._strips = emulator, emulator.scrolled if emulator else 0, {}
        self._asking, self._command_runs = asking, running
        if self.typing and not running:
            self.action_give_back()
        if emulator is not None:
            self._lay_out(emulator)
        self.refresh()

    def _lay_out(self, emulator: Emulator) -> None:
        kept, (_, rows) = len(emulator.history), emulator.size
        rows = rows if kept else emulator.used  # or where the pane is smaller for a moment, the end would be blank rows
        if emulator.scrolled != self._scrolled or kept + rows + 1 != self.virtual_size.height:
            lost = max(0, emulator.scrolled - self._scrolled - (kept + rows + 1 - self.virtual_size.height))
            self._scrolled = emulator.scrolled
            self._strips.clear()
            self.virtual_size = Size(self.scrollable_content_region.width, kept + rows + 1)
            if self._follows:
                self.scroll_end(animate=False, immediate=True)
            elif lost:  # the oldest lines are gone: stay with the text, not with the number of the line
                self.scroll_to(y=max(0, self.scroll_offset.y - lost), animate=False, immediate=True)
        for row in emulator.changed():
            self._strips.pop(kept + row, None)

    # Scrolling

    def action_move(self, by: int) -> None:
        """Scroll by lines."""
        self._scroll_by(by)

    def action_page(self, by: int) -> None:
        """Scroll by pages."""
        self._scroll_by(by * max(1, self.size.height - 1))

    def action_edge(self, end: int) -> None:
        """To the first line (0), or the last, which is then followed."""
        self.scroll_to(y=self.max_scroll_y if end else 0, animate=False, immediate=True)

    def _scroll_by(self, by: int) -> None:
        self.scroll_to(y=self.scroll_offset.y + by, animate=False, immediate=True)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Follow from where the end is in sight."""
        super().watch_scroll_y(old_value, new_value)
        self._follows = new_value >= self.max_scroll_y
        self.refresh()

    def on_resize(self) -> None:
        """Draw every line anew."""
        self._strips.clear()
        if self._follows:
            self.scroll_end(animate=False, immediate=True)

    # Keys for the command

    def action_type(self) -> None:
        """Send keys to the command from now on."""
        if self._emulator is None or not self._command_runs:
            self.notify("Nobody is there to type for.", severity="warning")
            return
        self.action_edge(1)
        self._type(typing=True)

    def action_give_back(self) -> None:
        """Keys are for denet-tui again."""
        self._type(typing=False)

    def _type(self, *, typing: bool) -> None:
        if typing != self.typing:
            self.typing = typing
            self.refresh()
            self.screen.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 (Textual's)
        """While typing there is one key that is not the command's."""
        return (action == "give_back") == self.typing

    def on_key(self, event: events.Key) -> None:
        """While typing, every key but one is for the command."""
        if not self.typing:
            return
        bound = self.screen.active_bindings.get(event.key)
        if bound is not None and bound.node is self:
            return
        event.stop()
        event.prevent_default()
        if self._emulator is not None:
            application = self._emulator.in_mode(APPLICATION_CURSOR)
            self._send(bytes_of(event.key, event.character, application=application))

    def on_paste(self, event: events.Paste) -> None:
        """What is pasted goes there as well."""
        if self.typing and self._emulator is not None:
            event.stop()
            bracketed = self._emulator.in_mode(BRACKETED_PASTE)
            text = _PASTE_END.sub("", event.text) if bracketed else _CONTROL.sub("", event.text)
            text = text.replace("\r\n", "\r").replace("\n", "\r")
            self._send((f"\x1b[200~{text}\x1b[201~" if bracketed else text).encode())

    # The mouse, where the command has asked for it

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """A button goes down; until it goes up all of the mouse is the command's, wherever it is."""
        if self._point(event, event.button - 1, MOUSE_CLICKS, MOUSE_DRAGS, MOUSE_MOVES):
            self.capture_mouse()

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """A button goes up."""
        if self.app.mouse_captured is self:
            self._point(event, event.button - 1, MOUSE_CLICKS, MOUSE_DRAGS, MOUSE_MOVES, released=True)
            self.release_mouse()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """It moves, with a button held down or without one; what was pressed elsewhere is not the command's."""
        if event.button and self.app.mouse_captured is self:
            self._point(event, 32 + event.button - 1, MOUSE_DRAGS, MOUSE_MOVES)
        elif not event.button:
            self._point(event, 32 + 3, MOUSE_MOVES)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel."""
        self._point(event, 64, MOUSE_CLICKS, MOUSE_DRAGS, MOUSE_MOVES)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel."""
        self._point(event, 65, MOUSE_CLICKS, MOUSE_DRAGS, MOUSE_MOVES)

    def _point(self, event: events.MouseEvent, code: int, *modes: int, released: bool = False) -> bool:
        """Tell the command, where it gets the keys and has set one of `modes`; whether it was told."""
        emulator = self._emulator
        if not self.typing or emulator is None or not any(map(emulator.in_mode, modes)):
            return False
        event.stop()
        event.prevent_default()
        column, row = event.x, self.scroll_offset.y + event.y - 1 - len(emulator.history)
        if self.app.mouse_captured is self:  # what began inside ends at the edge
            column, row = (min(max(at, 0), size - 1) for at, size in zip((column, row), emulator.size, strict=True))
        if not (0 <= row < emulator.size[1] and 0 <= column < emulator.size[0]):
            return False
        code += 4 * event.shift + 8 * event.meta + 16 * event.ctrl
        self._send(mouse_bytes(code, column, row, released=released, sgr=emulator.in_mode(MOUSE_SGR)))
        return True

    def on_blur(self) -> None:
        """Whoever looks elsewhere does not type here."""
        self.action_give_back()

    def _send(self, data: bytes) -> None:
        if data:
            self.post_message(self.Typed(data))

    # Drawing

    def head(self) -> str:
        """The line above the output."""
        emulator = self._emulator
        if emulator is None:
            return ""
        if self.typing:
            return "keys go to the command; ctrl+] gives them back"
        parts = [f"{self._asking} waits for input: press i to type" if self._asking else ""]
        if not self._command_runs:
            parts.append("the command has ended: R runs it again")
        elif not self._asking:
            parts.append("i: type into the command")
        if emulator.skipped:
            parts.append(f"skipped {emulator.skipped / 1024:,.0f} KB")
        below = self.max_scroll_y - self.scroll_offset.y
        if not self._follows and below > 0:
            parts.append(f"{how_many(round(below), 'line')} further down (f follows)")
        return " · ".join(part for part in parts if part)

    def render_line(self, y: int) -> Strip:
        """The line `y` of what is visible: the head, then the output."""
        width = self.scrollable_content_region.width
        emulator = self._emulator
        if y == 0:
            style = "typing" if self.typing else "asking" if self._asking else "head"
            return Strip([Segment(pad(f" {self.head()}", width), self._style(style))], width)
        if emulator is None:
            text = f" {_NOTHING}" if y == 2 else ""
            return Strip([Segment(pad(text, width), self._style("note"))], width)
        index = self.scroll_offset.y + y - 1
        strip = self._strips.get(index)
        if strip is None or strip.cell_length != width:
            strip = self._strips[index] = self._line(emulator, index, width)
        cursor = emulator.cursor
        if self.typing and cursor and index == len(emulator.history) + cursor[1]:
            return _with_cursor(strip, cursor[0])
        return strip

    def _line(self, emulator: Emulator, index: int, width: int) -> Strip:
        kept, ground = len(emulator.history), self.rich_style
        if index < kept:
            segments = emulator.history[index]
        elif index < kept + emulator.size[1]:
            segments = emulator.row(index - kept)
        else:
            segments = []
        return Strip(segments).adjust_cell_length(width).apply_style(ground)

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"output-view--{name}") if self.is_attached else Style.null()

    def notify_style_update(self) -> None:
        """Draw in the new colours."""
        super().notify_style_update()
        self._strips = {}


def typing_into(widget: Widget | None) -> bool:
    """Whether this widget takes every key for the command: no key is for anything else then."""
    return isinstance(widget, OutputView) and widget.typing


def _with_cursor(strip: Strip, column: int) -> Strip:
    """The strip with the cell of the cursor in reverse."""
    pieces = strip.divide([column, column + 1, strip.cell_length])
    marked = [Segment(text, (style or Style.null()) + Style(reverse=True)) for text, style, _ in pieces[1]]
    return Strip([*pieces[0], *marked, *(pieces[2] if len(pieces) > 2 else ())], strip.cell_length)
