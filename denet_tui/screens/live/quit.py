"""The question that quitting asks while the command still runs."""

from __future__ import annotations

from typing import ClassVar, Literal

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from denet_tui.watch.ends import what_kill_ends

How = Literal["ended", "kill", "leave"]
"""How the user left: after the command's end, or what is to become of it."""


class QuitScreen(ModalScreen[How | None], inherit_bindings=False):
    """Kill it, leave it, or stay; None for stay."""

    CSS_PATH = "quit.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("k", "answer('kill')", "Kill it", id="quit.kill", tooltip="End the command and quit"),
        Binding("l", "answer('leave')", "Leave it running", id="quit.leave", tooltip="Quit; the command goes on alone"),
        Binding("c,escape", "answer('')", "Cancel", id="quit.cancel", tooltip="Back to the screen; nothing changes"),
    ]

    def compose(self) -> ComposeResult:
        """Lay the question out."""
        with Vertical():
            yield Static("The command is still running.", id="question")
            yield Static(r"\[k]ill it   \[l]eave it running   \[c]ancel", id="answers")
            yield Static(Content(what_kill_ends()), id="reach")

    def action_answer(self, how: str) -> None:
        """Go back with the answer."""
        answers: dict[str, How] = {"kill": "kill", "leave": "leave"}
        self.dismiss(answers.get(how))
