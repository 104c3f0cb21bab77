"""What changed from one run to the next, one system call a line."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, ClassVar

from denet_tui.counts import Difference
from denet_tui.syscalls import class_of
from denet_tui.system.visible import visible
from denet_tui.widgets import formatting
from denet_tui.widgets.columns import Column
from denet_tui.widgets.line_view import Piece
from denet_tui.widgets.table import TableView

SAME = "="
"""Stands where both runs have the same number."""


class ChangeTable(TableView[Difference]):
    """Calls, errors and time of both runs and their differences; the largest difference first."""

    HELP = (
        "Each line is one system call: how often it was made in the run before and in this one, and the difference; "
        "then the same for its errors and for the time spent in it (was: in the run before). = stands for no "
        "difference. Numbers of calls and errors are exact; times differ a little between any two runs."
    )
    EMPTY = "no system call in either run"
    FILTER_HINT = "name or %class"
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("syscall", "syscall", 12, 22, right=False, rising=True),
        Column("calls_before", "was", 8, 11, rank=2),
        Column("calls_after", "calls", 8, 11),
        Column("calls", "±calls", 8, 11),
        Column("errors_after", "errors", 7, 9, rank=4),
        Column("errors", "±errors", 8, 9),
        Column("time_before", "was", 7, 9, rank=3),
        Column("time_after", "time", 7, 9, rank=1),
        Column("time_ns", "±time", 8, 9),
    )
    ORDERS: ClassVar[Mapping[str, Callable[[Any], Any]]] = {
        "syscall": lambda row: row.syscall.name,
        "calls": lambda row: abs(row.calls),
        "errors": lambda row: abs(row.errors),
        "time_ns": lambda row: abs(row.time_ns),
    }

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name for it)
        super().__init__(id=id)
        self.sort_key = "calls"

    def identify(self, row: Difference) -> Hashable:
        """The system call."""
        return row.syscall

    def matches(self, row: Difference) -> bool:
        """Whether the system call is what the filter asks for."""
        return all(term.allows(row.syscall.name, (class_of(row.syscall),), ()) for term in self.terms)

    def draw(self, row: Difference, column: Column, width: int) -> Sequence[Piece]:  # noqa: ARG002 - LineView's signature
        """One cell of `row`."""
        match column.key:
            case "syscall":
                return ((visible(row.syscall.name), "text"),)
            case "calls_before":
                return ((f"{row.before.calls:,}", "dim"),)
            case "calls_after":
                return ((f"{row.after.calls:,}", "dim"),)
            case "errors_after":
                return ((f"{row.after.errors:,}", "dim"),)
            case "time_before":
                return ((formatting.duration(row.before.time_ns), "dim"),)
            case "time_after":
                return ((formatting.duration(row.after.time_ns), "dim"),)
            case "time_ns":
                return ((signed(row.time_ns, formatting.duration), "text"),)
            case "errors":
                return ((signed(row.errors, _number), "warn" if row.errors > 0 else "text"),)
        return ((signed(row.calls, _number), "text"),)


def _number(value: float) -> str:
    return f"{value:,}"


def signed(difference: int, words_for: Callable[[float], str]) -> str:
    """A difference with its sign: `+12`, `-3.1ms`, `=`."""
    if not difference:
        return SAME
    return f"{'+' if difference > 0 else '-'}{words_for(abs(difference))}"
