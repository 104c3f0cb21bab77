"""An app that leaves the terminal as it found it, also where a signal or a fault of its own ends it."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rich.console import Console, RenderableType
from textual import events
from textual.app import App
from textual.dom import DOMNode
from textual.drivers.linux_driver import LinuxDriver
from textual.filter import LineFilter
from textual.message_pump import MessagePump

from denet_tui.screens.colourless import Colourless
from denet_tui.screens.palette import Palette
from denet_tui.screens.pastes import PasteDriver
from denet_tui.system import files
from denet_tui.system.ready import hung_up
from denet_tui.system.visible import visible

if TYPE_CHECKING:
    from typing_extensions import Buffer

_ENDING_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
ResultT = TypeVar("ResultT")


class _Lasting(io.FileIO):
    """Takes what cannot be written, too: Textual's thread would end there, and be waited for for ever."""

    def write(self, data: Buffer, /) -> int:
        """All of it, as far as that can be told."""
        with suppress(OSError):
            return super().write(data) or 0
        return memoryview(data).nbytes


class LeavingApp(App[ResultT]):
    """Leaves cleanly on signals: Python's own way out would leave the terminal in the alternate screen.

    A fault of our own is not shown in full where the user meets it: `fault` has it.
    A key is looked at when the one before it has had its effect: what it opens gets the keys that follow.
    """

    COMMANDS = {Palette}  # noqa: RUF012 (Textual's)
    CSS = """
    /* Messages have lines of their own, below everything: they cover nothing. */
    ToastRack { layer: default; overflow: hidden; max-height: 5; margin: 0; }
    Toast { width: 1fr; max-width: 100%; margin: 0; padding: 0 1; }
    """

    def __init__(self) -> None:
        super().__init__()
        if self.driver_class is LinuxDriver:  # not where TEXTUAL_DRIVER names another
            self.driver_class = PasteDriver
        self.no_color = bool(os.environ.get("NO_COLOR"))
        self._colourless = [Colourless()]
        self._over, self._gone = -1, False
        """An eventfd that ends the looking after the terminal, and whether that is gone."""
        self._typed_ahead: deque[events.Key | events.Paste] = deque()
        """What came since, while a key is on its way: that one is the first."""
        self._faults = io.StringIO()
        self.error_console = Console(file=self._faults, width=120)

    def get_line_filters(self) -> Sequence[LineFilter]:
        """As Textual's, which has greys left where there is to be no colour."""
        return self._colourless if self.no_color else super().get_line_filters()

    @property
    def fault(self) -> str:
        """The traceback of what ended the app before its time; empty where nothing did."""
        return self._faults.getvalue().strip()

    def on_mount(self) -> None:
        """Take the signals, and look after the terminal."""
        loop = asyncio.get_running_loop()
        terminals = [number for number in range(3) if os.isatty(number)]
        if 0 in terminals:
            self._over = os.eventfd(0)
            leave = partial(loop.call_soon_threadsafe, self.leave_unasked, context=copy_context())
            threading.Thread(target=self._watch_terminal, args=(leave, terminals), daemon=True).start()
        for number in _ENDING_SIGNALS:
            loop.add_signal_handler(number, self.leave_unasked)

    def on_unmount(self) -> None:
        """Give the signals back."""
        loop = asyncio.get_running_loop()
        for number in _ENDING_SIGNALS:
            loop.remove_signal_handler(number)

    def _watch_terminal(self, leave: Callable[[], object], terminals: Sequence[int]) -> None:
        """In a thread: leave when the terminal is gone, though no signal says so; what is yet written goes nowhere."""
        if hung_up(0, self._over):
            self._gone = True
            nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
            for number in terminals:
                os.dup2(nowhere, number)
            with suppress(RuntimeError):  # it has just been left
                leave()
        else:
            os.close(self._over)

    def run(self, *args: Any, **options: Any) -> ResultT | None:
        """As Textual's; the terminal is another process's to look after then."""
        before, lasting = sys.__stderr__, io.BufferedWriter(_Lasting(2, "w", closefd=False))
        sys.__stderr__ = io.TextIOWrapper(lasting, "utf-8", errors="replace")  # type: ignore[misc]
        try:
            return super().run(*args, **options)
        finally:
            sys.__stderr__ = before  # type: ignore[misc]
            if self._gone:
                os.close(self._over)
            elif self._over >= 0:
                os.eventfd_write(self._over, 1)

    def panic(self, *renderables: RenderableType) -> None:
        """As Textual's; that the terminal cannot be read any more is no fault."""
        if self._gone or (self._over >= 0 and hung_up(0, seconds=0)):
            self.leave_unasked()
        else:
            super().panic(*renderables)

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
            self.notify(
                f"The screenshot cannot be written here: {files.explain(error, files.ELSEWHERE)}",
                severity="error",
                markup=False,
            )
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
