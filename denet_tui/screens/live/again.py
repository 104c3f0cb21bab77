"""The question before a command that still runs is ended and run again."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static


class AgainScreen(ModalScreen[bool], inherit_bindings=False):
    """Whether it is to be ended and run again."""

    CSS_PATH = "again.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("e", "answer(True)", "End it and run it again", id="again.yes", tooltip="End the command, run it anew"),
        Binding("c,escape", "answer(False)", "Cancel", id="again.no", tooltip="Back to the screen; nothing changes"),
    ]

    def compose(self) -> ComposeResult:
        """Lay the question out."""
        with Vertical():
            yield Static("The command is still running.", id="question")
            yield Static(r"\[e]nd it and run it again   \[c]ancel", id="answers")

    def action_answer(self, answer: bool) -> None:  # noqa: FBT001 - an action's parameter
        """Go back with the answer."""
        self.dismiss(answer)
