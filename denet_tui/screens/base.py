"""An app that leaves the terminal as it found it, also where a signal or a fault of its own ends it."""

from __future__ import annotations

import asyncio
import signal
from collections import deque
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from textual import events
from textual.app import App
from textual.dom import DOMNode
from textual.message_pump import MessagePump

from denet_tui import files
from denet_tui.visible import visible

_ENDING_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
ResultT = TypeVar("ResultT")


class LeavingApp(App[ResultT]):
    """Leaves cleanly on signals: Python's own way out would leave the terminal in the alternate screen.

    A fault of our own is not shown in full where the user meets it: `fault` has it.
    A key is looked at when the one before it has had its effect: what it opens gets the keys that follow.
    """

    def __init__(self) -> None:
        super().__init__()
        self._typed_ahead: deque[events.Key | events.Paste] = deque()
        """What came since, while a key is on its way: that one is the first."""
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

    def deliver_screenshot(
        self,
        filename: str | None = None,
        path: str | None = None,
        time_format: str | None = None,  # noqa: ARG002 (Textual's)
    ) -> str | None:
        """Write what the screen shows into the caller's current folder, and say where: a terminal has no downloads."""
        try:
            written = files.write_beside(
                Path(path or Path.cwd()), filename or "denet-tui.svg", self.export_screenshot()
            )
        except OSError as error:
            self.notify(f"The screenshot cannot be written here: {error.strerror}", severity="error", markup=False)
        else:
            self.notify(visible(f"The screenshot is in {written}"), markup=False)
        return None

    async def on_event(self, event: events.Event) -> None:
        """Let one key go at a time; Textual gives each to what has the focus when it comes in."""
        if not isinstance(event, events.Key | events.Paste) or event.is_forwarded:
            await super().on_event(event)
            return
        self._typed_ahead.append(event)
        if len(self._typed_ahead) == 1:
            await self._let_go(event)

    async def _let_go(self, event: events.Key | events.Paste) -> None:
        receiver = self._receiver
        await super().on_event(event)
        self._follow(receiver, [*receiver.ancestors_with_self, self])

    def _follow(self, receiver: DOMNode, way: Sequence[MessagePump]) -> None:
        """Go the way that the key went, behind it: queue by queue from its receiver to the app, and there once more.

        What is gone by now has no queue; what it had in it was done before.
        """
        for place, node in enumerate(way, 1):
            if node.call_later(self._follow, receiver, way[place:]):
                return
        self.call_later(self._arrived, receiver)

    async def _arrived(self, before: DOMNode) -> None:
        """Let the next key go, unless what gets it is another by now: that may have to be built first."""
        receiver = self._receiver
        if receiver is not before:
            self._follow(receiver, [*receiver.ancestors_with_self, self])
            return
        self._typed_ahead.popleft()
        if self._typed_ahead:
            await self._let_go(self._typed_ahead[0])

    @property
    def _receiver(self) -> DOMNode:
        return self.focused or self.screen
