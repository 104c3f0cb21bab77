"""The slowest single calls since the start: which process, when, how long, and on which path, file or peer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from operator import attrgetter
from typing import Any, ClassVar, NamedTuple

from textual.binding import Binding, BindingType

from denet_tui.model import ProcessInfo, Snapshot
from denet_tui.syscalls import WAITS, class_of, named
from denet_tui.system.visible import visible
from denet_tui.touched import SlowCall, Touched
from denet_tui.widgets import formatting
from denet_tui.widgets.columns import Column
from denet_tui.widgets.line_view import Piece
from denet_tui.widgets.narrowing import narrow_to_process
from denet_tui.widgets.table import TableView


class SlowRow(NamedTuple):
    """One call; `begun_ns` is since the start, `process` None if it is no longer known."""

    call: SlowCall
    process: ProcessInfo | None
    begun_ns: int

    @property
    def name(self) -> str:
        """Of the process."""
        return self.process.comm if self.process else ""


def slow_rows(touched: Touched | None, snapshot: Snapshot, syscalls: Collection[str] | None) -> list[SlowRow]:
    """Those of these system calls, None: of all."""
    processes = {process.pid: process for process in snapshot.processes}
    start_ns = snapshot.time_ns - snapshot.elapsed_ns
    return [
        SlowRow(each, processes.get(each.pid), each.at_ns - start_ns)
        for each in (touched.slowest if touched else ())
        if syscalls is None or each.syscall in syscalls
    ]


class SlowestTable(TableView[SlowRow]):
    """Single calls, one a line."""

    HELP = (
        "The slowest calls of each system call since the start, at most five of each: how long it took, when it began, "
        "which process it was, and the path, file or peer that it was about, where it had one. Calls that wait for "
        "others by their nature are grey. Enter narrows everything to the process."
    )
    EMPTY = "no call that returned yet"
    FILTER_HINT = "call, process or path, %class"
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("time", "took", 6),
        Column("begun", "at", 8, rank=2),
        Column("syscall", "syscall", 12, 18, right=False, rising=True),
        Column("pid", "pid", 7, rank=3, rising=True),
        Column("process", "process", 8, 15, rank=1, right=False, rising=True),
        Column("about", "path, file or peer", 18, 400, right=False, rising=True),
    )
    ORDERS: ClassVar[Mapping[str, Callable[[Any], Any]]] = {
        "time": attrgetter("call.time_ns"),
        "begun": attrgetter("begun_ns"),
        "syscall": attrgetter("call.syscall"),
        "pid": attrgetter("call.pid"),
        "process": attrgetter("name"),
        "about": lambda row: row.call.about or "",
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "narrow", "Narrow", id="slowest.narrow", tooltip="Show only this process and what is below"),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name for it)
        super().__init__(id=id)
        self.sort_key = "time"

    def identify(self, row: SlowRow) -> Hashable:
        """The call."""
        return row.call

    def matches(self, row: SlowRow) -> bool:
        """Whether the call is what the filter asks for."""
        name = f"{row.call.syscall} {row.name} {row.call.pid} {row.call.about or ''}"
        classes = (class_of(named(row.call.syscall)),)
        return all(
            term.allows(name, classes, ()) if term.kind != "errno" else term.text.lower() in name.lower()
            for term in self.terms
        )

    def draw(self, row: SlowRow, column: Column, width: int) -> Sequence[Piece]:
        """One cell of `row`."""
        call = row.call
        plain = "dim" if call.syscall.rpartition(":")[2] in WAITS else "text"  # it waits for another process
        match column.key:
            case "time":
                return ((formatting.duration(call.time_ns), plain),)
            case "begun":
                return ((formatting.elapsed(row.begun_ns) if row.begun_ns >= 0 else formatting.NONE, "dim"),)
            case "syscall":
                return ((visible(call.syscall), plain),)
            case "pid":
                return ((str(call.pid), "dim"),)
            case "process":
                return ((visible(row.name) or formatting.NONE, "text" if row.name else "dim"),)
        about = formatting.end_of(visible(call.about), width) if call.about else formatting.NONE
        return ((about, "text" if call.about else "dim"),)

    def in_full(self, row: SlowRow, column: Column, pieces: Sequence[Piece]) -> str:
        """As of any table, but the path whole."""
        return visible(row.call.about or "") if column.key == "about" else super().in_full(row, column, pieces)

    action_narrow = narrow_to_process
