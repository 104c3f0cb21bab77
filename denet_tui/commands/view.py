"""What view does: a recording on the live screen, as the user prefers it."""

from __future__ import annotations

import os
from typing import NoReturn

from denet_tui.commands.last_good import Before
from denet_tui.commands.recordings import tracks
from denet_tui.commands.run import exit_with, log_to
from denet_tui.commands.targets import WatchRequest
from denet_tui.record.playback import Playback
from denet_tui.system.visible import is_dumb
from denet_tui.watch.launch import StartError


def view(path: str, request: WatchRequest) -> NoReturn:
    """Show it until it is left; exits with 0, or 125 where that is not possible."""
    exit_with(lambda before: _view(path, request, before))


def _view(path: str, request: WatchRequest, before: Before) -> int:
    if is_dumb() or not all(os.isatty(number) for number in (1, 2)):
        raise StartError("view shows a recording on a screen, and there is no terminal here")
    (track,) = tracks([path])
    if not os.isatty(0):
        _take_the_keyboard()
    from denet_tui.commands import screen

    log_to(request, on_screen=True)
    preferred = screen.preferred(before.environment)
    _, fault = screen.show(Playback(track), preferred, "leave", None)
    if fault:
        raise StartError(screen.explain_fault(fault, preferred.folder))
    return 0


def _take_the_keyboard() -> None:
    """Keys come from the terminal where standard input is the recording; raises StartError."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        raise StartError("view needs a terminal for its keys, and there is none here") from None
    os.dup2(terminal, 0)
    os.close(terminal)
