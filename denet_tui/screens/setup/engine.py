"""Who looks and repairs, as the setup screen sees it, and what it tells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from textual.message import Message

from denet_tui.checks.model import Fix
from denet_tui.helper import jobs

Asking = Callable[[jobs.Kind, str], jobs.Ended]
"""Has root apply or undo what the engine does not: on the terminal, which the screen has left."""


class Engine(Protocol):
    """Who looks and repairs (checks.jobs.Jobs); its methods return at once."""

    root: bool
    may_load: bool
    interrupted: bool
    applied: tuple[str, ...]
    mine: tuple[str, ...]
    done: list[jobs.Ended]

    def listen(self, listener: jobs.Listener) -> None:
        """Who is told of everything."""

    def details(self, identity: str) -> tuple[str, ...]:
        """All that a check asked the machine."""

    def look(self, ids: Sequence[str] | None = None) -> None:
        """Run checks."""

    def recheck(self, identity: str) -> None:
        """Run one again, with what depends on it."""

    def skip(self, identity: str) -> None:
        """Wait no longer for one."""

    def apply(self, fix: Fix) -> None:
        """Apply a fix as it is shown."""

    def undo(self, fix: str) -> None:
        """Take one of `mine` back."""

    def cancel(self) -> None:
        """End what is at work."""

    def prove(self, way: str = "auto") -> None:
        """Count 1,000 known calls."""


class Told(Message):
    """Something happened in the engine."""

    def __init__(self, event: jobs.Event) -> None:
        self.event = event
        super().__init__()
