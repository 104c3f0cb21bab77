"""The syscall table: what is called how often, how long it takes, and how it fails."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import ClassVar, NamedTuple

from textual.binding import Binding, BindingType
from textual.message import Message

from denet_tui.model import NOTHING, Counters, Syscall
from denet_tui.widgets import words
from denet_tui.widgets.columns import Column
from denet_tui.widgets.lines import LineView, Piece
from denet_tui.widgets.spark import sparkline

SPARK_POINTS = 24


class SyscallRow(NamedTuple):
    """One syscall as it stands in the table; times in ns, `rates` in calls/s, oldest first."""

    syscall: Syscall
    rate: float
    counters: Counters
    share: float
    """Of the time that all the syscalls in the table took, 0..1."""
    p99_ns: float
    rates: Sequence[float]


def syscall_rows(
    counted: Mapping[Syscall, Counters],
    recent: Mapping[Syscall, Counters],
    interval_ns: int,
    rates: Callable[[Syscall], Sequence[float]],
) -> list[SyscallRow]:
    """The rows for cumulative and recent counters; `rates` gives the last calls/s of a syscall."""
    all_time = sum(counters.time_ns for counters in counted.values()) or 1
    seconds = interval_ns / 1e9
    return [
        SyscallRow(
            syscall,
            recent.get(syscall, NOTHING).calls / seconds if seconds else 0.0,
            counters,
            counters.time_ns / all_time,
            counters.percentile_ns(0.99),
            rates(syscall),
        )
        for syscall, counters in counted.items()
        if counters.calls
    ]


_SORT: dict[str, Callable[[SyscallRow], float]] = {
    "rate": lambda row: row.rate,
    "total": lambda row: row.counters.calls,
    "share": lambda row: row.share,
    "errors": lambda row: row.counters.errors,
    "avg": lambda row: row.counters.mean_ns,
    "p99": lambda row: row.p99_ns,
    "max": lambda row: row.counters.max_ns,
}


class SyscallTable(LineView[SyscallRow]):
    """The syscalls of what is selected, one a line."""

    HELP = (
        "Each line is one system call, over everything watched or over the process that the view is narrowed to.\n"
        "calls/s and the bars on the right are of the last moments (bars start at zero, the highest is the peak\n"
        "of what is shown); all other columns are since the start. time% is the share of the time spent in all\n"
        "calls together, waiting included. p99: 99 of 100 calls took no longer. errors: calls that failed."
    )
    EMPTY = "no system call yet"
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("name", "syscall", 12, 22, right=False),
        Column("rate", "calls/s", 8),
        Column("total", "total", 8, rank=1),
        Column("share", "time%", 6, rank=3),
        Column("errors", "errors", 7, rank=2),
        Column("avg", "avg", 5, rank=6),
        Column("p99", "p99", 5, rank=5),
        Column("max", "max", 5, rank=7),
        Column("spark", "trend", 6, SPARK_POINTS, rank=4, right=False, sortable=False),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "sort", "Sort", id="syscalls.sort", tooltip="Sort by the next column"),
        Binding("r", "reverse", "Reverse", id="syscalls.reverse", tooltip="Turn the order of the rows round"),
    ]

    class Sorted(Message):
        """The table is in another order now."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name for it)
        super().__init__(id=id)
        self.sort_key = "total"
        self.reverse = False
        self._total_width = 0

    def show(self, rows: Sequence[SyscallRow]) -> None:
        """Draw `rows`, in the table's own order."""
        # Never narrower again: columns that jump are hard to read.
        self._total_width = max(self._total_width, max((len(f"{row.counters.calls:,}") for row in rows), default=0))
        super().show(self._sorted(rows))

    def needs(self) -> dict[str, int]:
        """Room for the largest total."""
        return {"total": self._total_width}

    def identify(self, row: SyscallRow) -> Hashable:
        """The syscall itself."""
        return row.syscall

    def title(self, column: Column) -> str:
        """The column's title, with an arrow where the table is sorted by it."""
        if column.key != self.sort_key:
            return column.title
        descending = (column.key == "name") == self.reverse
        return f"{column.title}{'↓' if descending else '↑'}"

    def draw(self, row: SyscallRow, column: Column, width: int) -> Sequence[Piece]:
        """One cell of `row`."""
        counters = row.counters
        match column.key:
            case "name":
                return ((words.clean(row.syscall.name), "text"),)
            case "rate":
                return ((words.rate(row.rate), "text" if row.rate else "dim"),)
            case "total":
                return ((f"{counters.calls:,}", "text"),)
            case "share":
                return ((words.percent(row.share), "text" if row.share >= 0.0005 else "dim"),)
            case "errors":
                return ((f"{counters.errors:,}", "warn") if counters.errors else ("0", "dim"),)
            case "spark":
                return ((sparkline(row.rates, width), "spark"),)
        if not counters.returns:
            return ((words.NONE, "dim"),)
        times = {"avg": counters.mean_ns, "p99": row.p99_ns, "max": counters.max_ns}
        return ((words.duration(times[column.key]), "text"),)

    def pick(self, column: Column) -> None:
        """Sort by `column`; the other way round where the table already is."""
        if column.key == self.sort_key:
            self.action_reverse()
        elif column.sortable:
            self._sort_by(column.key, reverse=False)

    def action_sort(self) -> None:
        """Sort by the next column that is visible."""
        keys = [column.key for column in self.visible_columns if column.sortable]
        at = keys.index(self.sort_key) if self.sort_key in keys else -1
        self._sort_by(keys[(at + 1) % len(keys)], reverse=False)

    def action_reverse(self) -> None:
        """Turn the order round."""
        self._sort_by(self.sort_key, reverse=not self.reverse)

    def _sort_by(self, key: str, *, reverse: bool) -> None:
        self.sort_key, self.reverse = key, reverse
        super().show(self._sorted(self.rows))
        self.post_message(self.Sorted())

    def _sorted(self, rows: Iterable[SyscallRow]) -> list[SyscallRow]:
        # By name first: equal rows then never swap places between two snapshots.
        ordered = sorted(rows, key=lambda row: row.syscall.name, reverse=self.sort_key == "name" and self.reverse)
        if self.sort_key != "name":
            ordered.sort(key=_SORT[self.sort_key], reverse=not self.reverse)
        return ordered
