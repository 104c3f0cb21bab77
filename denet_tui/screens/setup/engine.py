"""Who looks and repairs, as the setup screen sees it, and what it tells."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from queue import SimpleQueue
from typing import Protocol

from textual.message import Message

from denet_tui.checks.model import Fix
from denet_tui.helper import jobs

Asking = Callable[[jobs.Kind, str], jobs.Ended]
"""Has root apply or undo what the engine does not: on the terminal, which the screen has left."""


class Engine(Protocol):
    """Who looks and repairs (helper/jobs.Jobs); its methods return at once."""

    root: bool
    may_load: bool
    events: SimpleQueue[jobs.Event]

    def listen(self, wake: Callable[[], object] = ...) -> None:
        """Who is woken by each event."""

    def tell(self, event: jobs.Event) -> None:
        """Add an event."""

    def look(self, ids: Iterable[str]) -> None:
        """Run checks."""

    def apply(self, fix: Fix) -> None:
        """Apply a fix as it is shown."""

    def undo(self, fix: str) -> None:
        """Take back one that it has applied."""

    def cancel(self) -> None:
        """End what is at work."""

    def prove(self, method: str = "auto") -> None:
        """Count 1,000 known calls."""


class EngineEvent(Message):
    """Something has happened in the engine: it is in its `events`."""
