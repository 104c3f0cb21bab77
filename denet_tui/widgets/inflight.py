"""The In flight tab: which thread is inside which call, since when; and the calls that never returned."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from operator import attrgetter
from typing import Any, ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from denet_tui.model import ProcessInfo, Snapshot, Syscall
from denet_tui.syscalls import class_of
from denet_tui.system.visible import visible
from denet_tui.widgets import formatting
from denet_tui.widgets.columns import Column
from denet_tui.widgets.line_view import LineView, Piece
from denet_tui.widgets.narrowing import narrow_to_process
from denet_tui.widgets.table import TableView

THRESHOLDS = (
    (0, ""), (10**6, "1 ms"), (10**7, "10 ms"), (10**8, "100 ms"),
    (10**9, "1 s"), (10**10, "10 s"), (60 * 10**9, "1 min"), (600 * 10**9, "10 min"),
)  # fmt: skip
"""How long (ns) a thread has to be inside a call to be listed."""
_FIRST = 4


class FlightRow(NamedTuple):
    """A thread inside a call; times in ns."""

    tid: int
    tgid: int
    process: ProcessInfo | None
    syscall: Syscall
    age_ns: int
    since_ns: int
    """When the call began, since the start of the run; below 0 where it was before that."""
    about: str = ""
    """Path, file or peer, where it is known."""
    earlier: bool = False
    """Whether it had begun before it was attached to, at `since_ns`; `age_ns` is the least then."""

    @property
    def pid(self) -> int:
        """The process id as the user sees it."""
        return self.process.pid if self.process else self.tgid

    @property
    def name(self) -> str:
        """The command of the process."""
        process = self.process
        return formatting.command(process.cmdline, process.comm, cut=process.cut) if process else "?"


class UnreturnedRow(NamedTuple):
    """A syscall with calls that never returned."""

    syscall: Syscall
    times: int
    calls: int


def flight_rows(snapshot: Snapshot, least_ns: int) -> list[FlightRow]:
    """The threads that have been inside a call for `least_ns` or longer, in the order of their ids."""
    processes = {process.tgid: process for process in snapshot.processes}
    rows = []
    for each in snapshot.in_flight:
        # The list is a little younger than the snapshot.
        age = max(0, snapshot.time_ns - each.since_ns)
        if age >= least_ns:
            since = snapshot.elapsed_ns - age
            process, about = processes.get(each.tgid), visible(each.about or "")
            rows.append(FlightRow(each.tid, each.tgid, process, each.syscall, age, since, about, each.earlier))
    return sorted(rows, key=lambda row: row.tid)


def unreturned_rows(snapshot: Snapshot) -> list[UnreturnedRow]:
    """The syscalls with calls that never returned, those with the most first."""
    rows = [
        UnreturnedRow(syscall, counters.unreturned, counters.calls)
        for syscall, counters in snapshot.syscalls.items()
        if counters.unreturned
    ]
    return sorted(rows, key=lambda row: (-row.times, row.syscall.name))


class FlightTable(TableView[FlightRow]):
    """Threads inside a call, one a line."""

    HELP = (
        "Each line is a thread that is inside a system call right now, and for how long already. A thread that "
        "waits (for input, a lock, a child, the network) is inside a call for as long as it waits; one that "
        "stays inside a call that should be quick is stuck. A > stands before how long one is watched that had begun "
        "before that. Shorter calls than the line above says are left out; "
        "comma and full stop change that. Enter narrows everything to the process."
    )
    EMPTY = "no thread has been inside one call for that long"
    FILTER_HINT = "process, call, file or %class"
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("age", "for", 6),
        Column("since", "since", 8, rank=2),
        Column("call", "call", 12, 22, right=False, rising=True),
        Column("about", "file, path or peer", 18, 60, right=False, rising=True, rank=3),
        Column("tid", "thread", 7, rising=True),
        Column("pid", "pid", 7, rank=1, rising=True),
        Column("name", "process", 10, 400, right=False, rising=True),
    )
    ORDERS: ClassVar[Mapping[str, Callable[[Any], Any]]] = {
        "age": attrgetter("age_ns"),
        "call": attrgetter("syscall.name"),
        **{key: attrgetter(key) for key in ("tid", "pid", "name", "about")},
    }
    QUIET = frozenset({"about"})
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "comma",
            "threshold(-1)",
            "Shorter",
            id="inflight.shorter",
            tooltip="List shorter calls, too",
            key_display=",",
        ),
        Binding(
            "full_stop",
            "threshold(1)",
            "Longer",
            id="inflight.longer",
            tooltip="List only longer calls",
            key_display=".",
        ),
        Binding("enter", "narrow", "Narrow", id="inflight.narrow", tooltip="Show only this process and what is below"),
    ]

    class Threshold(Message):
        """The user wants the next threshold (1), or the one before (-1)."""

        def __init__(self, by: int) -> None:
            self.by = by
            super().__init__()

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name for it)
        super().__init__(id=id)
        self.sort_key = "age"

    def identify(self, row: FlightRow) -> Hashable:
        """The thread."""
        return row.tid

    def matches(self, row: FlightRow) -> bool:
        """Whether the process or the call is what the filter asks for."""
        name = f"{row.name} {row.syscall.name} {row.about}"
        return all(term.allows(name, (class_of(row.syscall),), ()) for term in self.terms)

    def draw(self, row: FlightRow, column: Column, width: int) -> Sequence[Piece]:
        """One cell of `row`."""
        match column.key:
            case "age":
                return ((f"{'>' * row.earlier}{formatting.duration(row.age_ns)}", "text"),)
            case "since":
                began = row.since_ns >= 0 and not row.earlier
                return ((formatting.elapsed(row.since_ns) if began else formatting.NONE, "dim"),)
            case "call":
                return ((visible(row.syscall.name), "text"),)
            case "about":
                return ((formatting.end_of(row.about, width), "text"),)
            case "tid":
                return ((str(row.tid), "text"),)
            case "pid":
                return ((str(row.pid), "dim"),)
        return ((row.name, "text"),)

    def action_threshold(self, by: int) -> None:
        """Ask for another threshold."""
        self.post_message(self.Threshold(by))

    action_narrow = narrow_to_process


class UnreturnedTable(LineView[UnreturnedRow]):
    """Syscalls with calls that never returned."""

    HELP = (
        "Calls whose thread ended inside them: it was killed there, or another thread of its process ended them "
        "all. Every exit and exit_group is one of them, by its nature. They are counted as calls, not as errors."
    )
    EMPTY = "every call has returned, or is still in flight"
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("name", "syscall", 12, 22, right=False),
        Column("count", "never returned", 14),
        Column("calls", "of its calls", 12),
    )

    def identify(self, row: UnreturnedRow) -> Hashable:
        """The syscall."""
        return row.syscall

    def draw(self, row: UnreturnedRow, column: Column, width: int) -> Sequence[Piece]:  # noqa: ARG002 (cut to fit)
        """One cell of `row`."""
        match column.key:
            case "name":
                return ((visible(row.syscall.name), "text"),)
            case "count":
                return ((f"{row.times:,}", "text"),)
        return ((f"{row.calls:,}", "dim"),)


class InFlightView(Vertical):
    """Threads inside a call, and below them the calls that never returned."""

    DEFAULT_CSS = """
    InFlightView {
        height: 1fr;
        & > .caption { height: 1; padding: 0 1; color: $text-primary; text-wrap: nowrap; text-overflow: ellipsis; }
        & > FlightTable { height: 1fr; }
        & > UnreturnedTable { height: 30%; min-height: 4; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name for it)
        super().__init__(id=id)
        self._snapshot: Snapshot | None = None
        self._threshold = _FIRST

    def compose(self) -> ComposeResult:
        """Lay the two lists out, each under a line that says what it is."""
        yield Static("", classes="caption", id="inside")
        yield FlightTable()
        yield Static("Calls that never returned: their thread ended inside them", classes="caption lower")
        yield UnreturnedTable()

    def show(self, snapshot: Snapshot) -> None:
        """Draw what is in flight in `snapshot`."""
        self._snapshot = snapshot
        least_ns, name = THRESHOLDS[self._threshold]
        rows = flight_rows(snapshot, least_ns)
        self.query_one("#inside", Static).update(Content(_inside(len(rows), len(snapshot.in_flight), name)))
        self.query_one(FlightTable).show(rows)
        self.query_one(UnreturnedTable).show(unreturned_rows(snapshot))

    def on_flight_table_threshold(self, message: FlightTable.Threshold) -> None:
        """List longer calls only, or shorter ones, too."""
        self._threshold = max(0, min(self._threshold + message.by, len(THRESHOLDS) - 1))
        if self._snapshot is not None:
            self.show(self._snapshot)


def _inside(listed: int, inside: int, threshold: str) -> str:
    """What the list is of."""
    return f"Threads inside a call: {inside:,}" + (f"   for {threshold} or longer: {listed:,}" if threshold else "")
