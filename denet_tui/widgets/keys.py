"""The line of keys at the bottom: as many as fit, whole."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget


class Hint(NamedTuple):
    """A key, what it does in a word, and in a sentence; `press` is the key's name to Textual."""

    key: str
    word: str
    tooltip: str
    press: str


class KeyLine(Widget):
    """What the keys do here and now; a click presses the key."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"key-line--key", "key-line--word"}
    DEFAULT_CSS = """
    KeyLine {
        height: 1;
        background: $footer-background;
        & > .key-line--key { color: $footer-key-foreground; text-style: bold; }
        & > .key-line--word { color: $footer-description-foreground; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name for it)
        super().__init__(id=id)
        self._hints: list[Hint] = []

    def on_mount(self) -> None:
        """Follow the bindings of whatever has the focus."""
        self.screen.bindings_updated_signal.subscribe(self, self._bindings_changed)

    def _bindings_changed(self, screen: Screen[object]) -> None:
        if screen is not self.screen:
            return
        offered = [active for active in screen.active_bindings.values() if active.binding.show and active.enabled]
        # From the app's keys to the focused widget's: how to quit has to fit even the narrowest line.
        depth = {node: index for index, node in enumerate(screen.focused.ancestors_with_self if screen.focused else ())}
        offered.sort(key=lambda active: (active.binding.priority, -depth.get(active.node, len(depth))))
        hints: dict[str, Hint] = {}
        for active in offered:
            binding = active.binding
            key = self.app.get_key_display(binding)
            hints.setdefault(binding.action, Hint(key, binding.description, binding.tooltip, binding.key))
        self.show(list(hints.values()))

    def show(self, hints: list[Hint]) -> None:
        """Draw these from now on."""
        self._hints = hints
        self.refresh()

    def places(self, width: int) -> list[tuple[int, int, Hint]]:
        """Where each hint that fits starts and ends (excluded)."""
        found, at = [], 1
        for hint in self._hints:
            end = at + cell_len(f"{hint.key} {hint.word}")
            if end > width:
                break
            found.append((at, end, hint))
            at = end + 2
        return found

    def on_click(self, event: events.Click) -> None:
        """Press the key that was clicked."""
        hint = self._under(event.x)
        if hint is not None:
            self.app.simulate_key(hint.press)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Explain the key under the mouse."""
        hint = self._under(event.x)
        tooltip = hint.tooltip if hint else None
        if tooltip != self.tooltip:
            self.tooltip = tooltip

    def _under(self, x: int) -> Hint | None:
        return next((hint for start, end, hint in self.places(self.size.width) if start <= x < end), None)

    def render_line(self, y: int) -> Strip:  # noqa: ARG002 (there is one line)
        """The one line."""
        width = self.size.width
        segments = [Segment(" ", self._style("word"))]
        for _start, _end, hint in self.places(width):
            segments.append(Segment(hint.key, self._style("key")))
            segments.append(Segment(f" {hint.word}  ", self._style("word")))
        return Strip(segments).adjust_cell_length(width, self._style("word"))

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"key-line--{name}") if self.is_attached else Style.null()
