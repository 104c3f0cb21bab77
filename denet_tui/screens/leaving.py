"""An app that leaves the terminal as it found it, also where a signal ends it."""

from __future__ import annotations

import asyncio
import signal
from typing import TypeVar

from textual.app import App

_ENDING_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
ResultT = TypeVar("ResultT")


class LeavingApp(App[ResultT]):
    """Leaves cleanly on signals: Python's own way out would leave the terminal in the alternate screen."""

    def on_mount(self) -> None:
        """Take the signals."""
        loop = asyncio.get_running_loop()
        for number in _ENDING_SIGNALS:
            loop.add_signal_handler(number, self.leave_unasked)

    def on_unmount(self) -> None:
        """Give the signals back."""
        loop = asyncio.get_running_loop()
        for number in _ENDING_SIGNALS:
            loop.remove_signal_handler(number)

    def leave_unasked(self) -> None:
        """Leave without a question; a signal has come."""
        self.exit()
