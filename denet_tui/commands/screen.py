"""Shows a session on the screen, as the user prefers it, and says in a line what went wrong there."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from denet_tui.commands import preferences
from denet_tui.preferences.screen import Preferences
from denet_tui.preferences.settings import SettingsError
from denet_tui.screens.live.app import DenetApp, OnQuit
from denet_tui.screens.live.quit import How
from denet_tui.system import files
from denet_tui.system.visible import visible
from denet_tui.watch.launch import StartError
from denet_tui.watch.source import Source

log = logging.getLogger("denet_tui")


def preferred(environment: Mapping[str, str]) -> Preferences:
    """What the user with this environment prefers; raises StartError."""
    try:
        return preferences.load(environment)
    except SettingsError as error:
        raise StartError(str(error)) from None


def show(
    session: Source, preferred: Preferences, on_quit: OnQuit, again: Callable[[], Source] | None
) -> tuple[How | None, str]:
    """Show it until it is left; how it was left (None: it failed), and the traceback of a fault of our own."""
    app = DenetApp(session, on_quit, again, preferred)
    how = app.run()
    return (None, app.fault) if how is None and app.return_code else (how, "")


def explain_fault(fault: str, folder: Path | None) -> str:
    """One line about a fault of our own, whose traceback goes to a file in the user's `folder`, and to --debug."""
    log.debug("the screen failed:\n%s", fault)
    what = next((line.strip() for line in reversed(fault.splitlines()) if line.strip(" ╰─╯")), "no reason is known")
    path = (folder or Path(os.devnull)) / "fault.log"
    try:
        files.replace(path, visible(f"{fault}\n", keep="\n\t").encode())
    except OSError:
        return f"the screen failed: {what}; --debug says more"
    return f"the screen failed: {what}; please report it with {path}"
