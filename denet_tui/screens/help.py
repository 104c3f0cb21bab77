"""Help for the widget that has the focus: what it shows, and what every key does."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen, Screen
from textual.widgets import Static


class HelpScreen(ModalScreen[None], inherit_bindings=False):
    """What `screen` shows where its focus is, and its keys."""

    CSS_PATH = "help.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,f1", "dismiss", "Close", id="help.close", tooltip="Close the help"),
        # A modal screen hides the app's own keys.
        Binding("ctrl+c", "app.quit", "Quit", id="help.interrupt", tooltip="Leave denet-tui"),
    ]

    def __init__(self, screen: Screen[object]) -> None:
        super().__init__()
        # Read now: once this screen is open, the keys are its own.
        self._lines = key_lines(screen)
        focused = screen.focused
        self._about = str(getattr(focused, "HELP", ""))

    def compose(self) -> ComposeResult:
        """Lay the help out."""
        with VerticalScroll():
            if self._about:
                yield Static(Content(" ".join(self._about.split())), id="about")
            yield Static(Content("\n".join(self._lines)), id="keys")
            yield Static(Content("escape closes this"), id="close")


def key_lines(screen: Screen[object]) -> list[str]:
    """One line for everything that keys do on `screen`: the keys, then what they do."""
    keys: dict[tuple[str, str], list[str]] = {}
    for active in screen.active_bindings.values():
        binding = active.binding
        shown = keys.setdefault((binding.action, binding.tooltip), [])
        name = screen.app.get_key_display(binding)
        if name not in shown:
            shown.append(name)
    width = max((len(", ".join(names)) for names in keys.values()), default=0)
    return [f"{', '.join(names):<{width}}  {tooltip}" for (_, tooltip), names in keys.items()]
