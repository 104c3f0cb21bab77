"""The start screen: what is to be watched, a command, a running process, or the whole machine."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Input, Static

from denet_tui.screens.setup import history
from denet_tui.system import called
from denet_tui.system.visible import visible
from denet_tui.watch.candidates import Candidate
from denet_tui.watch.find import CommandError, resolve, through_shell
from denet_tui.widgets.keys import KeyLine
from denet_tui.widgets.pick import Pickable, ProcessPicker, matching
from denet_tui.widgets.tabs import PaneSwitch, TabRow

NAMES = ("Run a command", "Attach to a process", "Whole machine")
_ABOUT = (
    "Type it as in a shell; it runs as you. It and everything it starts is watched.",
    "Watches it from now on, with everything below it. It goes on as before when you leave.",
    "Watches every process that runs, and every one that starts. Nothing is started, nothing is stopped.",
)


@dataclass(frozen=True, slots=True)
class Pick:
    """What is to be watched; `argv` for a command, `pid` for a process."""

    kind: Literal["command", "process", "machine"]
    argv: tuple[str, ...] = ()
    pid: int = 0


@dataclass(frozen=True, slots=True)
class Restart:
    """Start denet-tui again through this argv (sudo …), in the place of this process: it cannot become root itself."""

    argv: tuple[str, ...]


class CommandInput(Input):
    """The command's line; up and down go through what was typed before."""

    HELP = "The command to watch, with its arguments. Up and down bring back what was typed before."
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "older", "Older", id="start.older", tooltip="The command that was typed before this one"),
        Binding("down", "newer", "Newer", id="start.newer", tooltip="The command that was typed after this one"),
    ]

    def __init__(self, known: Sequence[str]) -> None:
        """`known` has the newest command first."""
        super().__init__(placeholder="make -j4", id="command")
        self._known = ["", *known]
        self._at = 0

    def action_older(self) -> None:
        """Bring back the command before this one."""
        self._bring(self._at + 1)

    def action_newer(self) -> None:
        """Go on to the command after this one."""
        self._bring(self._at - 1)

    def _bring(self, at: int) -> None:
        if not self._at:
            self._known[0] = self.value
        self._at = max(0, min(at, len(self._known) - 1))
        self.value = self._known[self._at]
        self.cursor_position = len(self.value)


class StartScreen(Screen[Pick | None], inherit_bindings=False):
    """Dismissed with what was picked."""

    CSS_PATH = "start.tcss"
    AUTO_FOCUS = "CommandInput"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "go", "Watch", id="start.go", tooltip="Watch what is chosen", priority=True),
        Binding("tab", "turn(1)", "Next", id="start.next", tooltip="The next of the three", priority=True),
        Binding("shift+tab", "turn(-1)", "Back", id="start.back", tooltip="The one before", priority=True, show=False),
        Binding("escape", "leave", "Setup", id="start.setup", tooltip="Back to the setup"),
    ]

    def __init__(self, processes: Callable[[], Sequence[Candidate]], *, search: str = "") -> None:
        """`search` is the PATH of who will run the command; empty for that of this process."""
        super().__init__()
        self._processes = processes
        self._search_path = search or os.environ.get("PATH", os.defpath)
        self._path = history.where()
        self._all: list[Pickable] = []
        self._pane = 0

    def compose(self) -> ComposeResult:
        """Lay the three out; one is shown at a time."""
        yield Static(Content("What do you want to watch?"), id="title")
        yield PaneSwitch(NAMES)
        yield Static("", id="about")
        known = history.read(self._path)
        yield CommandInput(known)
        yield Static(Content("\n".join(f"  {each}" for each in known[:20]) or "  nothing yet"), id="known")
        yield Input(placeholder="part of its command, its user or its id", id="search")
        yield ProcessPicker()
        yield Static("", id="wrong")
        yield KeyLine()

    def on_mount(self) -> None:
        """Start with the command, and look for processes meanwhile."""
        self._show_pane(0)
        self.run_worker(self._find, thread=True, name="processes")

    def _find(self) -> None:
        found = [Pickable(each.pid, each.user, each.argv, each.rss, each.mine) for each in self._processes()]
        self.call_later(self._found, found)  # which is dropped where this is being left

    def _found(self, found: list[Pickable]) -> None:
        self._all = found
        self._search()

    def _search(self) -> None:
        self.query_one(ProcessPicker).show(matching(self._all, self.query_one("#search", Input).value))

    def on_input_changed(self, event: Input.Changed) -> None:
        """Narrow the list; what was wrong is not any more."""
        self._complain("")
        if event.input.id == "search":
            self._search()

    def on_key(self, event: events.Key) -> None:
        """The arrows move in the list while the search has the focus."""
        if self._pane == 1 and event.key in ("up", "down", "pageup", "pagedown"):
            picker = self.query_one(ProcessPicker)
            step = 1 if event.key in ("down", "pagedown") else -1
            picker.action_page(step) if event.key.startswith("page") else picker.action_move(step)
            event.stop()

    def on_tab_row_clicked(self, message: TabRow.Clicked) -> None:
        """Show the one whose name was clicked."""
        self._show_pane(message.index)

    def action_turn(self, by: int) -> None:
        """Show the next of the three."""
        self._show_pane((self._pane + by) % len(NAMES))

    def _show_pane(self, index: int) -> None:
        self._pane = index
        self.query_one(PaneSwitch).show(index)
        self.query_one("#about", Static).update(Content(_ABOUT[index]))
        for selector, pane in (("#command", 0), ("#known", 0), ("#search", 1), ("ProcessPicker", 1)):
            self.query_one(selector).display = index == pane
        self._complain("")
        self.set_focus(self.query_one(("#command", "#search")[index]) if index < 2 else None)
        self.refresh_bindings()

    def _complain(self, text: str) -> None:
        self.query_one("#wrong", Static).update(Content(visible(text)))

    def action_leave(self) -> None:
        """Back to the setup."""
        self.dismiss(None)

    def action_go(self) -> None:
        """Watch what is chosen, or say what is wrong with it."""
        try:
            self.dismiss((self._command, self._process, lambda: Pick("machine"))[self._pane]())
        except ValueError as error:
            self._complain(f"✗ {error}")

    def _command(self) -> Pick:
        typed = self.query_one("#command", Input)
        line = typed.value.strip()
        try:
            argv = tuple(shlex.split(line))
        except ValueError as error:
            raise ValueError(f"{error}: quote it as in a shell".replace("No ", "no ")) from None
        if shell := through_shell(line):
            with self.prevent(Input.Changed):  # or it would take away what is said about it
                typed.value = shlex.join(shell)
            raise ValueError("that takes a shell, and is written for one now: enter runs it")
        if not argv:
            raise ValueError("type a command first, for example: make -j4")
        try:
            resolve(argv[0], self._search_path)
        except CommandError as error:
            raise ValueError(str(error)) from None
        history.remember(self._path, line)
        return Pick("command", argv)

    def _process(self) -> Pick:
        row = self.query_one(ProcessPicker).current
        if row is None:
            raise ValueError("no process is chosen")
        if not row.allowed:
            how = called.how_as_root("attach", "--as-root", str(row.pid))
            raise ValueError(f"process {row.pid} belongs to {row.user}; only root may watch it: {how}")
        return Pick("process", row.argv, row.pid)
