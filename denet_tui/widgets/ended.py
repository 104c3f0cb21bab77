"""Ended processes folded by name under their parent, so that the living are not buried."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar

from denet_tui.model import ProcessInfo, ProcessKey, Snapshot
from denet_tui.system.visible import how_many, visible
from denet_tui.widgets.forest import Forest

LINGER_NS = 3_000_000_000
"""For so long an ended process keeps a line of its own."""
LIVING, ENDED, OLD = 0, 1, 2
"""A process with something alive in it or below it; one without; one without for longer than `LINGER_NS`."""

BundleKey = tuple[ProcessKey, str]
"""The parent, and the command name."""


@dataclass(frozen=True)
class EndedRow:
    """The ended processes of one command name and one parent, and all that was below them."""

    # No number of theirs is one of now.
    alive: ClassVar[bool] = False
    blocked: ClassVar[None] = None
    rate: ClassVar[float] = 0.0
    errors: ClassVar[float] = 0.0
    cpu: ClassVar[float] = 0.0
    rss: ClassVar[int] = 0
    threads: ClassVar[int] = 0
    failed: ClassVar[int] = 0

    parent: ProcessKey
    members: list[ProcessInfo]
    below: list[ProcessInfo]
    guide: str = ""

    @property
    def key(self) -> BundleKey:
        """What tells it from every other row."""
        return self.parent, self.members[0].comm

    @property
    def name(self) -> str:
        """`118 x true`, with the sign for times."""
        count = len(self.members)
        return (f"{count:,} \u00d7 " if count > 1 else "") + visible(self.members[0].comm)

    @property
    def words(self) -> tuple[str, str, str]:
        """What there is to say, how many of them failed, and how often they called."""
        every = [*self.members, *self.below]
        failed = sum(bool(process.status) for process in every)
        calls = sum(process.total.calls for process in every)
        below = f" with {len(self.below):,} below" if self.below else ""
        return f"{self.name}{below}, ended", f", {failed:,} failed" if failed else "", f", {how_many(calls, 'call')}"


def no_longer_listed(snapshot: Snapshot, *, errors: bool) -> str:
    """How many have ended and are no longer in the list, with what they called, or how often in vain; or nothing."""
    if not snapshot.forgotten:
        return ""
    total, listed = snapshot.total, [process.total for process in snapshot.processes]
    calls = how_many(total.calls - total.unkept - sum(each.calls for each in listed), "call")
    failed = how_many(total.errors - sum(each.errors for each in listed), "error")
    return f"+ {snapshot.forgotten:,} ended, {failed if errors else calls}, no longer in the list"


def states(snapshot: Snapshot, forest: Forest) -> list[int]:
    """`LIVING`, `ENDED` or `OLD` of every process; those without a parent never become old.

    Once the run has ended, whatever has ended is old: no later moment comes.
    """
    processes, latest = snapshot.processes, snapshot.time_ns - LINGER_NS * snapshot.running
    found = [LIVING if process.alive else OLD if (process.end_ns or 0) <= latest else ENDED for process in processes]
    for index in range(len(found) - 1, -1, -1):  # children come after their parents
        above = forest.above[index]
        if above < 0:
            found[index] = min(found[index], ENDED)
        elif found[index] < found[above]:
            found[above] = found[index]
    return found


def bundles(
    processes: Sequence[ProcessInfo], forest: Forest, state: Sequence[int], opened: Collection[BundleKey]
) -> dict[int, list[int]]:
    """Which old processes stand in one line: by the first of them all of them."""
    found: dict[BundleKey, list[int]] = {}
    for index, process in enumerate(processes):
        if state[index] == OLD:
            found.setdefault((processes[forest.above[index]].key, process.comm), []).append(index)
    return {some[0]: some for key, some in found.items() if len(some) > 1 and key not in opened}
