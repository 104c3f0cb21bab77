"""Where a screen takes snapshots from: a session that watches, or a recording."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from denet_tui.model import InFlight, LogEntry, RunInfo, Snapshot
from denet_tui.watch.output import CommandOutput


class CommandTerminal(Protocol):
    """The terminal that a command has of its own."""

    @property
    def output(self) -> CommandOutput:
        """What the command writes to it."""

    @property
    def asking(self) -> InFlight | None:
        """The thread that waits for the user to type, where that can be told."""

    def type(self, data: bytes) -> bool:
        """Type on it; False if there is no room."""

    def resize(self, columns: int, rows: int) -> None:
        """Give it another size."""


class Source(Protocol):
    """Snapshots, and what belongs to them."""

    interval_s: float
    """Between two snapshots; may be changed at any time."""

    @property
    def info(self) -> RunInfo:
        """What does not change during the run."""

    @property
    def latest(self) -> Snapshot | None:
        """The newest snapshot."""

    @property
    def log(self) -> Sequence[LogEntry]:
        """What denet-tui has to say about itself, the oldest first."""

    @property
    def terminal(self) -> CommandTerminal | None:
        """The command's terminal; None if it has none of its own."""

    def run(self, publish: Callable[[Snapshot], None], stop: threading.Event) -> None:
        """Publish snapshots until the command has ended or `stop` is set."""
