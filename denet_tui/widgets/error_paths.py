"""The paths that calls failed on with one errno."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from operator import attrgetter
from typing import Any, ClassVar

from rich.cells import cell_len

from denet_tui.findings.searches import Search, searches
from denet_tui.model import ErrorKey, Snapshot
from denet_tui.syscalls import errno_name
from denet_tui.system.visible import visible
from denet_tui.widgets.columns import Column
from denet_tui.widgets.formatting import end_of
from denet_tui.widgets.line_view import Piece
from denet_tui.widgets.table import TableView


class ErrorPaths(TableView[Search]):
    """Paths and names, the most frequent first."""

    HELP = (
        "The paths, or addresses, that the chosen error came from, as the calls gave them. Where nothing was there, "
        "a name that was looked for in several folders is one line: the folders that were missed, the one with most "
        "misses first, and where a file of that name was opened or executed, if it was. y copies all of a line."
    )
    EMPTY = "no path is known of these calls"
    FILTER_HINT = "part of a path"
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("count", "times", 8),
        Column("name", "path", 20, 400, right=False, rising=True),
    )
    ORDERS: ClassVar[Mapping[str, Callable[[Any], Any]]] = {
        "count": attrgetter("times"),
        "name": lambda search: search.name or "",
    }

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name for it)
        super().__init__(id=id)
        self.sort_key = "count"

    def identify(self, row: Search) -> Hashable:
        """The name, or the path."""
        return row.name

    def matches(self, row: Search) -> bool:
        """Whether the name, or one of the folders, is what the filter asks for."""
        text = " ".join((row.name or "", *row.missed, *row.found)).lower()
        return all(term.text.lower() in text for term in self.terms)

    def draw(self, row: Search, column: Column, width: int) -> Sequence[Piece]:
        """One cell of `row`."""
        if column.key == "count":
            return ((f"{row.times:,}", "text"),)
        if row.name is None:
            return (("a path that could not be read", "dim"),)
        name = end_of(visible(row.name), width)
        room = width - cell_len(name) - 2
        return (
            ((name, "text"), (f"  {visible(row.in_words(room))}", "dim"))
            if row.missed and room > 0
            else ((name, "text"),)
        )

    def in_full(self, row: Search, column: Column, pieces: Sequence[Piece]) -> str:
        """As of any table, but all of a path and all folders."""
        if column.key == "count" or row.name is None:
            return super().in_full(row, column, pieces)
        return visible(f"{row.name}  {row.in_words()}" if row.missed else row.name)


def path_rows(snapshot: Snapshot, chosen: ErrorKey | None) -> list[Search]:
    """Those of one error."""
    if chosen is None or snapshot.detail.touched is None:
        return []
    executed = {
        each.path
        for process in snapshot.processes
        if process.programs is not None
        for each in process.programs.kept
        if each.path and not each.errno
    }
    return searches(snapshot.detail.touched, chosen[0].name, chosen[1], executed)


def said_of(rows: Sequence[Search], chosen: ErrorKey | None, times: int, of: str) -> str:
    """The line above them; of `times` errors some may have no path that is known."""
    if chosen is None:
        return ""
    known = sum(row.times for row in rows)
    more = f", {times - known:,} without one" if 0 < known < times else ""
    return f"Paths of {visible(chosen[0].name)} {errno_name(chosen[1])}{of}: {len(rows):,}{more}"
