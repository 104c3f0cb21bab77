"""The command's terminal, between the source and the Output tab."""

from __future__ import annotations

import time
from collections.abc import Iterable

from textual.geometry import Size

from denet_tui.system.visible import visible
from denet_tui.watch.source import Source
from denet_tui.widgets.emulator import Emulator
from denet_tui.widgets.output import OutputView

POLLS_PER_SECOND = 20
_STUCK_S = 1.0
"""For so long the command has taken nothing of what waits: it does not read."""
_PIECE = 4096
"""Bytes that are typed at once: what a terminal holds (N_TTY_BUF_SIZE)."""


class Terminal:
    """Brings what the command writes into an emulator, shown or not, and what the user types to the command."""

    def __init__(self, source: Source) -> None:
        self._source, self._terminal = source, source.terminal
        self._emulator = None if source.terminal is None else Emulator()
        self._shown = ("", True)
        self._untyped, self._taken_at = b"", 0.0
        """What waits for the command to read what came before, and when the last of that was taken."""

    @property
    def hint(self) -> str:
        """Which process waits for the user to type: `cat (1234)`; empty where none does."""
        asking, latest = self._terminal.asking if self._terminal else None, self._source.latest
        if asking is None or latest is None:
            return ""
        names = {process.tgid: f"{visible(process.comm)} ({process.pid})" for process in latest.processes}
        return names.get(asking.tgid, f"process {asking.tgid}")

    @property
    def last_line(self) -> str:
        """The last line with anything in it that the command wrote."""
        return self._terminal.output.last_line if self._terminal else ""

    @property
    def _running(self) -> bool:
        latest = self._source.latest
        return latest is None or latest.running

    def fit(self, size: Size) -> None:
        """The room for the view is `size`: so is the terminal."""
        columns, rows = OutputView.room(size)
        if self._terminal and self._emulator and columns and (columns, rows) != self._emulator.size:
            self._emulator.resize(columns, rows)
            self._terminal.resize(columns, rows)

    def poll(self) -> bool:
        """Take what the command wrote; whether a view has something new to show."""
        state = (self.hint, self._running)
        changed, self._shown = state != self._shown, state
        if self._terminal is None or self._emulator is None:
            return changed
        self._pass_on()
        data, skipped = self._terminal.output.take(time.monotonic())
        if data:
            self._emulator.feed(data, skipped)
            answers = self._emulator.answers()
            if answers:
                self.type(answers)
        return changed or bool(data)

    def show(self, views: Iterable[OutputView]) -> None:
        """Draw it."""
        hint, running = self._shown
        for view in views:
            view.show(self._emulator, asking=hint, running=running)

    def type(self, data: bytes) -> bool:
        """What the user typed, or pasted, of any size; False if the command does not read what came before."""
        if self._terminal is None or (self._untyped and time.monotonic() > self._taken_at + _STUCK_S):
            return False
        if not self._untyped:
            self._taken_at = time.monotonic()
        self._untyped += data
        self._pass_on()
        return True

    def _pass_on(self) -> None:
        """As much of what waits as there is room for."""
        at = 0
        while self._terminal and at < len(self._untyped) and self._terminal.type(self._untyped[at : at + _PIECE]):
            at += _PIECE
        if at:
            self._untyped, self._taken_at = self._untyped[at:], time.monotonic()
