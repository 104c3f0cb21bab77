"""The Textual App: which screen comes first, global keys, and how it is left."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar, Literal, cast

from textual.binding import Binding, BindingType

from denet_tui.preferences.screen import Preferences, take_on
from denet_tui.record.playback import Playback
from denet_tui.record.sink import RecordError
from denet_tui.screens.base import LeavingApp
from denet_tui.screens.help import HelpScreen
from denet_tui.screens.live.again import AgainScreen
from denet_tui.screens.live.messages import RunAgain, WatchFailed
from denet_tui.screens.live.quit import How, QuitScreen
from denet_tui.screens.live.replay import ReplayScreen
from denet_tui.screens.live.screen import LiveScreen
from denet_tui.system.visible import visible
from denet_tui.watch.caller import has_shell
from denet_tui.watch.find import CommandError
from denet_tui.watch.launch import StartError
from denet_tui.watch.source import Source
from denet_tui.widgets.output import typing_into

OnQuit = Literal["ask", "kill", "leave"]


class DenetApp(LeavingApp[How], inherit_bindings=False):
    """Shows a session; `run()` returns how it was left: `ended`, `kill` or `leave` (None after a crash)."""

    TITLE = "denet-tui"
    DEFAULT_MODE = "live"
    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,ctrl+q", "quit", "Quit", id="app.quit", tooltip="Leave; asks what to do with a running command"),
        Binding("question_mark,f1", "help", "Help", id="app.help", tooltip="Explain this pane and its keys"),
        Binding(
            "R",
            "again",
            "Run again",
            id="app.again",
            tooltip="Run the same command again, and show what differs from the run before",
            show=False,
        ),
        Binding("ctrl+c", "quit", "Quit", id="app.interrupt", tooltip="The same as q", show=False),
        Binding(
            "ctrl+z",
            "suspend_process",
            "Suspend",
            id="app.suspend",
            tooltip="Back to the shell until it says fg; the command goes on, and is counted",
            show=False,
        ),
        Binding(
            "ctrl+p",
            "command_palette",
            "Palette",
            id="app.palette",
            tooltip="Themes, a screenshot and all other commands by name",
            priority=True,
        ),
    ]

    def __init__(
        self,
        session: Source,
        on_quit: OnQuit = "ask",
        again: Callable[[], Source] | None = None,
        preferences: Preferences | None = None,
    ) -> None:
        """`again` ends the run, holds the same command once more and returns it; None if there is no command."""
        super().__init__()
        self._session = session
        self._on_quit = on_quit
        self._again = again
        self._preferences = preferences or Preferences()
        self._starting = False
        """True while `again` works."""
        self.failure: Exception | None = None
        """What ended the watching before its time."""
        self.add_mode(self.DEFAULT_MODE, self._first)

    def _first(self) -> LiveScreen:
        if isinstance(self._session, Playback):
            return ReplayScreen(self._session, self._preferences)
        return LiveScreen(self._session, self._preferences)

    def on_mount(self) -> None:
        """Look as the user prefers."""
        take_on(self, self._preferences)

    def run(self, *args: Any, **options: Any) -> How | None:
        """Show the session until it is left; raises what the session raised, once the terminal is restored."""
        how = super().run(*args, **options)
        if self.failure is not None:
            raise self.failure
        return how

    def on_watch_failed(self, message: WatchFailed) -> None:
        """Leave; `run` hands the error on."""
        self.failure = message.error
        self.exit(return_code=1)

    @property
    def _ended(self) -> bool:
        latest = self._session.latest
        return latest is not None and not latest.running

    def leave_unasked(self) -> None:
        """Leave without a question, as `on_quit` says."""
        self._leave("leave" if self._on_quit == "leave" else "kill")

    def _leave(self, how: How | None) -> None:
        if how is not None:
            self._keep()
            self.exit("ended" if self._ended else how)

    def _keep(self) -> None:
        for screen in self.screen_stack:
            if isinstance(screen, LiveScreen):
                theme = self._preferences.kept.theme if self.no_color else self.theme
                self._preferences.keep(replace(screen.left_as(), theme=theme))

    async def action_quit(self) -> None:
        """Leave, after asking what is to become of a command that still runs."""
        if self._ended or self._on_quit != "ask":
            self.leave_unasked()
        else:
            self.push_screen(QuitScreen(), self._leave)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer nothing while keys are for the command."""
        return super().check_action(action, parameters) and not typing_into(self.focused)

    def action_suspend_process(self) -> None:
        """Stop like any job; Textual's answer to SIGTSTP gives the terminal back, and takes it again at SIGCONT."""
        if has_shell() and not self.is_headless:
            self._suspend_signal()
            os.killpg(0, signal.SIGTSTP)  # those with it as well: the shell above sudo or make sees that it stops
        else:
            self.notify("No shell is there that could let it go on: it was not started from one.", severity="warning")

    def action_again(self) -> None:
        """Run the command again; asks first where it still runs."""
        if self._again is None:
            self.notify("There is nothing to run again: denet-tui has not started it.", severity="warning")
        elif self._ended:
            self._run_again(wanted=True)
        else:
            self.push_screen(AgainScreen(), lambda wanted: self._run_again(wanted=bool(wanted)))

    def _run_again(self, *, wanted: bool) -> None:
        if wanted and not self._starting:
            self._starting = True
            self.run_worker(self._hold_again, name="again", thread=True)

    def _hold_again(self) -> None:
        """In a thread: a command may take seconds to end."""
        again = cast(Callable[[], Source], self._again)
        try:
            self.post_message(RunAgain(again()))
        except (CommandError, StartError, RecordError, OSError) as error:
            self.post_message(RunAgain(None, error))

    async def on_run_again(self, message: RunAgain) -> None:
        """Show the new run in the place of the old one."""
        self._starting = False
        if message.error is not None:
            words = visible(f"It cannot be run again: {message.error}")
            self.notify(words, severity="error", timeout=15, markup=False)
            return
        while not isinstance(self.screen, LiveScreen):
            await self.pop_screen()
        before, self._session = self._session.latest, cast(Source, message.session)
        preferences = replace(self._preferences, kept=self.screen.left_as())
        ended, following = self.current_mode, f"run of {self._session.info.pid}"
        screen = LiveScreen(self._session, preferences, before)
        self.add_mode(following, lambda: screen)
        await self.switch_mode(following)
        await self.remove_mode(ended)

    def action_help(self) -> None:
        """Explain the widget that has the focus."""
        self.push_screen(HelpScreen(self.screen))
