"""An app that leaves the terminal as it found it, also where a signal or a fault of its own ends it."""

from __future__ import annotations

import asyncio
import signal
from io import StringIO
from typing import TypeVar

from rich.console import Console
from textual.app import App

_ENDING_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
ResultT = TypeVar("ResultT")


class LeavingApp(App[ResultT]):
    """Leaves cleanly on signals: Python's own way out would leave the terminal in the alternate screen.

    A fault of our own is not shown in full where the user meets it: `fault` has it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._faults = StringIO()
        self.error_console = Console(file=self._faults, width=120)

    @property
    def fault(self) -> str:
        """The traceback of what ended the app before its time; empty where nothing did."""
        return self._faults.getvalue().strip()

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
