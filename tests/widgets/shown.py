"""An app that shows a single widget, and what is to be seen of it."""

from __future__ import annotations

from collections.abc import Callable

from textual.app import App, ComposeResult
from textual.widget import Widget

from denet_tui.widgets.narrowing import Narrow


class Shown(App[None]):
    """Only what `make` makes."""

    def __init__(self, make: Callable[[], Widget]) -> None:
        super().__init__()
        self._make = make
        self.chosen: list[tuple[object, ...]] = []

    def compose(self) -> ComposeResult:
        yield self._make()

    def on_narrow(self, message: Narrow) -> None:
        self.chosen.append(message.steps)

    @property
    def text(self) -> str:
        return "\n".join(
            "".join(segment.text for segment in strip) for strip in self.screen._compositor.render_strips()
        )
