"""A list of running processes, of which one is picked."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import ClassVar, NamedTuple

from denet_tui.system.visible import visible
from denet_tui.widgets import formatting
from denet_tui.widgets.columns import Column
from denet_tui.widgets.line_view import LineView, Piece


class Pickable(NamedTuple):
    """A process as it stands in the list; `allowed` is False if it belongs to somebody else."""

    pid: int
    user: str
    argv: tuple[str, ...]
    rss: int
    allowed: bool


class ProcessPicker(LineView[Pickable]):
    """Processes, yours first, the newest first."""

    HELP = "Running processes: yours first, the newest first. Enter watches the chosen one and everything below it."
    EMPTY = "no process has this in its command, its user or its id"
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("pid", "PID", 7),
        Column("user", "user", 8, 10, rank=2, right=False),
        Column("rss", "memory", 7, rank=1),
        Column("command", "command", 16, 400, right=False),
    )

    def identify(self, row: Pickable) -> Hashable:
        """A process id is enough while the list is shown."""
        return row.pid

    def draw(self, row: Pickable, column: Column, width: int) -> Sequence[Piece]:
        """One cell; dim where it may not be picked."""
        style = "text" if row.allowed else "dim"
        text = {
            "pid": str(row.pid),
            "user": visible(row.user),
            "rss": formatting.size(row.rss),
            "command": formatting.command(row.argv, str(row.pid)),
        }[column.key]
        return [(formatting.clip(text, width), style)]


def matching(processes: Sequence[Pickable], text: str) -> list[Pickable]:
    """The processes that have every word of `text` somewhere in their id, user or command."""
    wanted = text.lower().split()
    return [each for each in processes if all(word in _searched(each) for word in wanted)]


def _searched(each: Pickable) -> str:
    return f"{each.pid} {each.user} {' '.join(each.argv)}".lower()
