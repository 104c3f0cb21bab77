"""What stands between two panes, and can be dragged."""

from __future__ import annotations

from textual import events
from textual.content import Content
from textual.message import Message
from textual.widget import Widget


class Divider(Widget):
    """A column of one cell; whoever draws it elsewhere wants the panes to meet there."""

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    Divider {
        width: 1;
        height: 1fr;
        color: $foreground 20%;
        &:hover, &.-dragged { color: $accent; }
    }
    """

    class Dragged(Message):
        """The panes are to meet at a column of the screen."""

        def __init__(self, x: int) -> None:
            self.x = x
            super().__init__()

    def render(self) -> Content:
        """A line from top to bottom."""
        return Content("\n".join("▕" * self.size.height))

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Take hold of it."""
        event.stop()
        self.capture_mouse()
        self.add_class("-dragged")

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Draw it along."""
        if self.has_class("-dragged"):
            self.post_message(self.Dragged(event.screen_x))

    def on_mouse_up(self) -> None:
        """Let go of it."""
        self.release_mouse()
        self.remove_class("-dragged")
