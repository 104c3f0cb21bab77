"""The Textual App of the setup and the start screen; it ends with what is to be watched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Literal

from textual.binding import Binding, BindingType

from denet_tui.checks.host import Host
from denet_tui.preferences.screen import Preferences, take_on
from denet_tui.screens.base import LeavingApp
from denet_tui.screens.help import HelpScreen
from denet_tui.screens.setup.engine import Asking
from denet_tui.screens.setup.screen import SetupScreen
from denet_tui.screens.setup.start import Pick, Restart, StartScreen
from denet_tui.screens.setup.state import SetupState
from denet_tui.watch.candidates import Candidate


class HomeApp(LeavingApp[Pick | Restart], inherit_bindings=False):
    """`run()` returns what is to be watched, or how to start again; None if the user left."""

    TITLE = "denet-tui"
    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q,q", "quit", "Quit", id="home.quit", tooltip="Leave; says what was done and what was not"),
        Binding("f1,question_mark", "help", "Help", id="home.help", tooltip="Explain this pane and its keys"),
        Binding("ctrl+c", "quit", "Quit", id="home.interrupt", tooltip="The same as q", show=False),
        Binding(
            "ctrl+p",
            "command_palette",
            "Palette",
            id="home.palette",
            tooltip="Themes, a screenshot and all other commands by name",
            priority=True,
            show=False,
        ),
    ]

    def __init__(
        self,
        setup: SetupState,
        host: Host,
        processes: Callable[[], Sequence[Candidate]],
        *,
        who: str = "",
        first: Literal["setup", "start"] = "setup",
        ask: Asking | None = None,
        search: str = "",
        note: str = "",
        preferences: Preferences | None = None,
    ) -> None:
        """`who` is said in the header, `note` (what went wrong before) below; `search` is the PATH of commands."""
        super().__init__()
        self._note, self._preferences = note, preferences or Preferences()
        self._state, self._host, self._processes = setup, host, processes
        self._who, self._first, self._ask, self._search = who, first, ask, search

    def on_mount(self) -> None:
        """Look as the user prefers, and show the first screen."""
        take_on(self, self._preferences)
        if self._first == "start":
            self._start(True)
        else:
            self._setup()

    def _setup(self) -> None:
        self.push_screen(
            SetupScreen(self._state, self._host, who=self._who, ask=self._ask, note=self._note), self._start
        )

    def _start(self, go_on: bool | None) -> None:  # noqa: FBT001 (Textual's callback)
        if go_on:
            self.push_screen(StartScreen(self._processes, search=self._search), self._picked)

    def _picked(self, pick: Pick | None) -> None:
        if pick is None:
            self._setup()
        else:
            self.exit(pick)

    async def action_quit(self) -> None:
        """Leave; a setup that has changed something asks first."""
        if isinstance(self.screen, SetupScreen):
            self.screen.leave()
        else:
            self.exit()

    def action_help(self) -> None:
        """Explain the widget that has the focus."""
        self.push_screen(HelpScreen(self.screen))
