"""Shows a session on the screen, as the user prefers it, and says in a line what went wrong there."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from denet_tui import configure
from denet_tui.app import DenetApp, OnQuit
from denet_tui.screens.live import Source
from denet_tui.screens.preferences import Preferences
from denet_tui.screens.quit import How
from denet_tui.settings import SettingsError, folder
from denet_tui.watch.launch import StartError

log = logging.getLogger("denet_tui")


def preferences(environment: Mapping[str, str]) -> Preferences:
    """What the user with this environment prefers; raises StartError."""
    try:
        return configure.load(environment)
    except SettingsError as error:
        raise StartError(str(error)) from None


def show(
    session: Source, preferred: Preferences, on_quit: OnQuit, again: Callable[[], Source] | None
) -> tuple[How | None, str]:
    """Show it until it is left; how it was left (None: it failed), and the traceback of a fault of our own."""
    app = DenetApp(session, on_quit, again, preferred)
    how = app.run()
    return (None, app.fault) if how is None and app.return_code else (how, "")


def explain_fault(fault: str, environment: Mapping[str, str]) -> str:
    """One line about a fault of our own, whose traceback goes to a file of the user's, and to --debug."""
    log.debug("the screen failed:\n%s", fault)
    what = next((line.strip() for line in reversed(fault.splitlines()) if line.strip(" ╰─╯")), "no reason is known")
    path = folder(environment, "XDG_STATE_HOME", ".local/state") / "fault.log"
    where = f"please report it with {path}" if _write(path, fault) else "--debug says more"
    return f"the screen failed: {what}; {where}"


def _write(path: Path, text: str) -> bool:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(f"{text}\n")
    except OSError:
        return False
    return True
