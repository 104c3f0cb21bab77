"""One proof as it goes on."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from denet_tui.helper.jobs import Counted, Proved


@dataclass(slots=True)
class Proof:
    """One proof as it goes on: every reading so far, and the end."""

    readings: list[Counted] = field(default_factory=list)
    end: Proved | None = None
    running: bool = False

    def start(self) -> None:
        """Forget the proof before."""
        self.readings, self.end, self.running = [], None, True

    @property
    def steps(self) -> list[int]:
        """Calls that each reading counted more than the one before."""
        counts = [0, *(each.counted for each in self.readings)]
        return [after - before for before, after in pairwise(counts)]
