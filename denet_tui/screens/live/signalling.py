"""The question which signal a process is to be sent, and what became of it."""

from __future__ import annotations

import signal
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from denet_tui.model import ProcessInfo
from denet_tui.system.visible import visible
from denet_tui.watch.closely import Held
from denet_tui.widgets.keys import KeyLine
from denet_tui.widgets.signals import CHOICES, SignalList


class SignalScreen(ModalScreen[signal.Signals | None], inherit_bindings=False):
    """Which one; None for none."""

    CSS_PATH = "signalling.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "answer(True)", "Send", id="signal.send", tooltip="Send the chosen signal"),
        Binding("escape", "answer(False)", "Cancel", id="signal.cancel", tooltip="Send none; nothing changes"),
        # A modal screen hides the app's own keys.
        Binding("ctrl+c", "app.quit", "Quit", id="signal.quit", tooltip="Leave denet-tui", show=False),
    ]

    def __init__(self, name: str) -> None:
        super().__init__()
        self._of = name

    def compose(self) -> ComposeResult:
        """Lay the question out."""
        with Vertical():
            yield Static(Content(f"Send which signal to {self._of}?"), id="question")
            yield SignalList()
            yield KeyLine()

    def on_mount(self) -> None:
        """Offer them."""
        offered = self.query_one(SignalList)
        offered.show(CHOICES)
        offered.focus()

    def action_answer(self, send: bool) -> None:  # noqa: FBT001 - an action's parameter
        """Go back with the answer."""
        chosen = self.query_one(SignalList).current
        self.dismiss(chosen.number if send and chosen else None)


def ask(app: App[object], process: ProcessInfo) -> None:
    """Ask for a signal and send it to `process`, which is held meanwhile; what cannot be signalled is told at once."""
    name = f"{visible(process.comm)} ({process.pid})"
    try:
        held = Held(process)
    except OSError as error:
        _refused(app, name, error)
        return

    def send(number: signal.Signals | None) -> None:
        try:
            if number is not None:
                held.send(number)
                app.notify(f"{number.name} was sent to {name}.", markup=False)
        except OSError as error:
            _refused(app, name, error)
        finally:
            held.close()

    app.push_screen(SignalScreen(name), send)


def _refused(app: App[object], name: str, error: OSError) -> None:
    why = {
        ProcessLookupError: "it has ended",
        PermissionError: "it is another user's, which only that user and root may signal",
    }.get(type(error), error.strerror or str(error))
    app.notify(f"No signal was sent to {name}: {why}.", severity="warning", markup=False)
