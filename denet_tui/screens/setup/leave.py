"""The question that leaving an unfinished setup asks: what was done, what was not, and whether to undo it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from denet_tui.system.visible import visible

Answer = Literal["undo", "leave"]


class LeaveScreen(ModalScreen[Answer | None], inherit_bindings=False):
    """Undo it, leave it, or stay; None for stay."""

    CSS_PATH = "leave.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("l", "answer('leave')", "Leave", id="leave.leave", tooltip="Quit; what was done stays"),
        Binding("u", "answer('undo')", "Undo and leave", id="leave.undo", tooltip="Take back what was done, and quit"),
        Binding("c,escape", "answer('')", "Stay", id="leave.stay", tooltip="Back to the setup; nothing changes"),
    ]

    def __init__(self, done: Sequence[str], open_: Sequence[str], working: str) -> None:
        """What was done and what was not, a line each; `working` is the step whose fix is being applied."""
        super().__init__()
        self._done, self._open, self._working = done, open_, working

    def compose(self) -> ComposeResult:
        """Say it."""
        with VerticalScroll():
            yield Static(Content("Leave the setup?"), id="question")
            if self._working:
                yield Static(Content(f"{self._working} is being worked on: leaving cancels it, and takes it back."))
            yield Static(Content("\n".join(["Done:", *(f"  ✓ {visible(each)}" for each in self._done or ["nothing"])])))
            if self._open:
                yield Static(Content("\n".join(["Not done:", *(f"  · {visible(each)}" for each in self._open)])))
            yield Static(Content("Later: denet-tui setup goes on; denet-tui setup --undo takes it back."), id="later")
            keys = "l leave   u undo and leave   c stay" if self._done else "l leave   c stay"
            yield Static(Content(keys), id="keys")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 (Textual's)
        """Undoing needs something to undo."""
        return bool(self._done) or parameters != ("undo",)

    def action_answer(self, answer: str) -> None:
        """Hand the answer over."""
        self.dismiss(answer or None)  # type: ignore[arg-type]
