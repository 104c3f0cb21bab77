"""The syscall table: what is called how often, how long it takes, and how it fails."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from operator import attrgetter
from typing import Any, ClassVar, NamedTuple

from textual.binding import Binding, BindingType

from denet_tui.counts import percentile
from denet_tui.model import NOTHING, Counters, Snapshot, Syscall
from denet_tui.syscalls import class_of, errno_name, for_children
from denet_tui.system.visible import visible
from denet_tui.widgets import formatting
from denet_tui.widgets.columns import Column
from denet_tui.widgets.filter import marked
from denet_tui.widgets.line_view import Piece
from denet_tui.widgets.narrowing import Family, Narrow, OneSyscall
from denet_tui.widgets.spark import trend
from denet_tui.widgets.table import TableView

SPARK_POINTS = 24


class SyscallRow(NamedTuple):
    """One syscall as it stands in the table; times in ns, `rates` in calls/s, oldest first."""

    syscall: Syscall
    rate: float
    counters: Counters
    share: float
    """Of the time that all the syscalls in the table took but those that wait for own children, 0..1."""
    rates: Sequence[float]

    @property
    def name(self) -> str:
        """Its name, with the ABI where that is a foreign one."""
        return self.syscall.name

    @property
    def family(self) -> str:
        """Its class."""
        return class_of(self.syscall)

    @property
    def p50(self) -> int:
        """The time that half of the calls surely did not exceed."""
        return percentile(self.counters, 0.5).most_ns

    @property
    def p99(self) -> int:
        """The time that 99 of 100 calls surely did not exceed."""
        return percentile(self.counters, 0.99).most_ns


def syscall_rows(
    counted: Mapping[Syscall, Counters],
    recent: Mapping[Syscall, Counters],
    interval_ns: int,
    rates: Callable[[Syscall], Sequence[float]],
) -> list[SyscallRow]:
    """The rows, in the order of their names; `rates` gives the last calls/s of a syscall."""
    all_time = sum(counters.time_ns for call, counters in counted.items() if not for_children(call)) or 1
    seconds = interval_ns / 1e9
    return [
        SyscallRow(
            syscall,
            recent.get(syscall, NOTHING).calls / seconds if seconds else 0.0,
            counters,
            0.0 if for_children(syscall) else counters.time_ns / all_time,
            rates(syscall),
        )
        for syscall, counters in sorted(counted.items(), key=lambda item: item[0].name)
    ]


class SyscallTable(TableView[SyscallRow]):
    """The syscalls of what is selected, one a line."""

    HELP = (
        "Each line is one system call, over everything watched or over what the view is narrowed to. calls/s and "
        "the bars on the right are of the last moments (bars start at zero and are scaled to the row's peak; twice "
        "what is usual stands out, a steady rate is half as high), and calls/s of the whole run once the command has "
        "ended; all other columns are since the start, or of the last interval alone (c). time% is the share of "
        "the time spent in all calls together, waiting included, but for that in wait4 and waitid (child): own "
        "children are at work then. Half of the calls took no longer than p50≤, 99 of "
        "100 no longer than p99≤, and perhaps half as long: times are kept by powers of two. errors: calls that "
        "failed. Enter narrows everything to the call, % to its class. "
        "A filter knows names, classes (%network) and errnos (ENOENT)."
    )
    EMPTY = "no system call here"
    FILTER_HINT = "name, %class or ERRNO"
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("name", "syscall", 12, 22, ample=15, right=False, rising=True),
        Column("class", "class", 8, rank=9, right=False, rising=True),
        Column("rate", "calls/s", 7),
        Column("total", "total", 7, rank=1),
        Column("share", "time%", 6, rank=3),
        Column("errors", "errors", 6, rank=2),
        Column("avg", "avg", 5, rank=6),
        Column("p50", "p50≤", 5, rank=8),
        Column("p99", "p99≤", 5, rank=5),
        Column("max", "max", 5, rank=7),
        Column("spark", "trend", 6, SPARK_POINTS, rank=4, right=False),
    )
    ORDERS: ClassVar[Mapping[str, Callable[[Any], Any]]] = {
        "class": attrgetter("family"),
        "total": attrgetter("counters.calls"),
        "errors": attrgetter("counters.errors"),
        "avg": attrgetter("counters.mean_ns"),
        "max": attrgetter("counters.max_ns"),
        **{key: attrgetter(key) for key in ("name", "rate", "share", "p50", "p99")},
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "narrow", "Narrow", id="syscalls.narrow", tooltip="Show only this system call, everywhere"),
        Binding(
            "percent_sign",
            "family",
            "Only this class",
            id="syscalls.class",
            tooltip="Show only system calls of this one's class, everywhere",
            show=False,
        ),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name for it)
        super().__init__(id=id)
        self.sort_key = "total"
        self._widths: dict[str, int] = {}
        self._errnos: dict[Syscall, set[str]] = {}

    def take(self, snapshot: Snapshot, rates: Callable[[Syscall], Sequence[float]]) -> None:
        """Draw the syscalls of `snapshot`; `rates` gives the last calls/s of one."""
        self._errnos = {}
        for syscall, number in snapshot.errnos:
            self._errnos.setdefault(syscall, set()).add(errno_name(number))
        span = (snapshot.recent, snapshot.interval_ns)
        if not snapshot.running:  # the last interval was cut short by the end: it says nothing about the run
            span = (snapshot.syscalls, snapshot.elapsed_ns)
        self.show(syscall_rows(snapshot.syscalls, *span, rates))

    def show(self, rows: Sequence[SyscallRow]) -> None:
        """Draw `rows`, in the table's own order."""
        # Never narrower again: columns that jump are hard to read.
        for key, most in (
            ("total", max((row.counters.calls for row in rows), default=0)),
            ("errors", max((row.counters.errors for row in rows), default=0)),
        ):
            self._widths[key] = max(self._widths.get(key, 0), len(f"{most:,}"))
        super().show(rows)

    def needs(self) -> dict[str, int]:
        """Room for the largest numbers."""
        return self._widths

    def identify(self, row: SyscallRow) -> Hashable:
        """The syscall itself."""
        return row.syscall

    def matches(self, row: SyscallRow) -> bool:
        """Whether the syscall is what the filter asks for."""
        errnos = self._errnos.get(row.syscall, ())
        return all(term.allows(row.name, (row.family,), errnos) for term in self.terms)

    def draw(self, row: SyscallRow, column: Column, width: int) -> Sequence[Piece]:
        """One cell of `row`."""
        counters = row.counters
        match column.key:
            case "name":
                return marked(visible(row.name), self.terms, "text")
            case "class":
                return ((row.family, "dim"),)
            case "rate":
                return ((formatting.rate(row.rate), "text" if row.rate else "dim"),)
            case "total":
                return ((f"{counters.calls:,}", "text" if counters.calls else "dim"),)
            case "share" if for_children(row.syscall):
                return (("child", "dim"),)
            case "share":
                return ((formatting.percent(row.share), "text" if row.share >= 0.0005 else "dim"),)
            case "errors":
                return ((f"{counters.errors:,}", "warn") if counters.errors else ("0", "dim"),)
            case "spark":
                return trend(row.rates, width)
        if not counters.returns:
            return ((formatting.NONE, "dim"),)
        time_ns = self.ORDERS[column.key](row)
        if column.key in ("p50", "p99"):
            return ((formatting.at_most(time_ns, counters.max_ns), "text"),)
        return ((formatting.duration(time_ns), "text"),)

    def action_narrow(self) -> None:
        """Narrow the view to the system call under the cursor."""
        if self.current is not None:
            self.post_message(Narrow(OneSyscall(self.current.syscall)))

    def action_family(self) -> None:
        """Narrow the view to the class of the system call under the cursor."""
        if self.current is not None:
            self.post_message(Narrow(Family(self.current.family)))
