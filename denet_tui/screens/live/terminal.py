"""The command's terminal, between the source and the Output tab."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Protocol

from textual.geometry import Size

from denet_tui.model import InFlight, Snapshot
from denet_tui.visible import visible
from denet_tui.watch.output import Output
from denet_tui.widgets.emulator import Emulator
from denet_tui.widgets.output import OutputView

POLLS_PER_SECOND = 20


class HasTerminal(Protocol):
    """The part of a source that this needs."""

    @property
    def latest(self) -> Snapshot | None:
        """The newest snapshot."""

    @property
    def output(self) -> Output | None:
        """What the command writes to its terminal; None where that is not ours."""

    @property
    def asking(self) -> InFlight | None:
        """The thread that waits for somebody to type, where that can be told."""

    def type(self, data: bytes) -> bool:
        """Type on the command's terminal; False where there is no room."""

    def resize(self, columns: int, rows: int) -> None:
        """Give the command's terminal another size."""


class Terminal:
    """Brings what the command writes into an emulator, shown or not, and what the user types to the command."""

    def __init__(self, source: HasTerminal) -> None:
        self._source = source
        self._emulator = None if source.output is None else Emulator()
        self._shown = ("", True)

    @property
    def hint(self) -> str:
        """Who waits for somebody to type: `cat (1234)`; empty where nobody does."""
        asking, latest = self._source.asking, self._source.latest
        if asking is None or latest is None:
            return ""
        names = {process.tgid: f"{visible(process.comm)} ({process.pid})" for process in latest.processes}
        return names.get(asking.tgid, f"process {asking.tgid}")

    @property
    def _running(self) -> bool:
        latest = self._source.latest
        return latest is None or latest.running

    def fit(self, size: Size) -> None:
        """The room for the view is `size`: so is the terminal."""
        columns, rows = OutputView.room(size)
        if self._emulator is not None and columns and (columns, rows) != self._emulator.size:
            self._emulator.resize(columns, rows)
            self._source.resize(columns, rows)

    def poll(self) -> bool:
        """Take what the command wrote; True where a view has something new to show."""
        output, state = self._source.output, (self.hint, self._running)
        changed, self._shown = state != self._shown, state
        if output is None or self._emulator is None:
            return changed
        data, skipped = output.take(time.monotonic())
        if data:
            self._emulator.feed(data, skipped)
            answers = self._emulator.answers()
            if answers:
                self._source.type(answers)
        return changed or bool(data)

    def show(self, views: Iterable[OutputView]) -> None:
        """Draw it."""
        hint, running = self._shown
        for view in views:
            view.show(self._emulator, asking=hint, running=running)

    def type(self, data: bytes) -> bool:
        """What the user typed; False where the command does not read it."""
        return self._source.type(data)
