"""The Errors tab: which syscalls fail with which errno, how often, and in which processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Mapping, Sequence
from operator import attrgetter
from typing import Any, ClassVar, NamedTuple

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.content import Content
from textual.widgets import Static

from denet_tui.model import NOTHING, ErrorKey, ProcessInfo, Snapshot, Syscall
from denet_tui.syscalls import class_of, errno_name
from denet_tui.system.visible import visible
from denet_tui.widgets import formatting
from denet_tui.widgets.columns import Column
from denet_tui.widgets.error_paths import ErrorPaths, path_rows, said_of
from denet_tui.widgets.filter import marked
from denet_tui.widgets.line_view import LineView, Piece
from denet_tui.widgets.narrowing import Errno, Narrow, OneSyscall, narrow_to_process
from denet_tui.widgets.spark import trend
from denet_tui.widgets.table import TableView

SPARK_POINTS = 12


class ErrorRow(NamedTuple):
    """One errno of one syscall; `rates` in errors/s, oldest first."""

    syscall: Syscall
    number: int
    times: int
    share: float
    """Of the syscall's calls that returned, 0..1."""
    rates: Sequence[float]

    @property
    def key(self) -> ErrorKey:
        """What it is an error of."""
        return self.syscall, self.number

    @property
    def name(self) -> str:
        """`ENOENT`."""
        return errno_name(self.number)

    @property
    def meaning(self) -> str:
        """`No such file or directory`."""
        return os.strerror(self.number)

    @property
    def rate(self) -> float:
        """Errors/s in the last interval."""
        return self.rates[-1] if self.rates else 0.0


class SourceRow(NamedTuple):
    """A process and how many of the chosen errors are its own; None for those that are no longer in the list."""

    process: ProcessInfo | None
    times: int
    share: float
    """Of all of the chosen errors, 0..1."""

    def name(self, width: int = 400) -> str:
        """The command of the process, and how it ended, with what tells it from its like in `width` cells."""
        process = self.process
        if process is None:
            return "ended, and no longer in the list"
        ended = "" if process.alive else f"  ({formatting.ended(process.status)})"
        whole = formatting.command(process.cmdline, process.comm, cut=process.cut) + ended
        if cell_len(whole) <= width:
            return whole
        return formatting.condensed(process.cmdline, process.comm, width, cut=process.cut)


def error_rows(snapshot: Snapshot, rates: Callable[[ErrorKey], Sequence[float]]) -> list[ErrorRow]:
    """The errors of `snapshot`, in the order of their names; `rates` gives the last errors/s of one."""
    rows = [
        ErrorRow(syscall, number, count, count / (snapshot.syscalls.get(syscall, NOTHING).returns or count), rates(key))
        for key, count in snapshot.errnos.items()
        for syscall, number in (key,)
        if count
    ]
    return sorted(rows, key=lambda row: (row.syscall.name, row.number))


def source_rows(snapshot: Snapshot, chosen: ErrorRow | None) -> list[SourceRow]:
    """The processes that met the chosen error, those with the most first."""
    if chosen is None:
        return []
    key = chosen.key
    found = [(process, process.errnos[key]) for process in snapshot.processes if process.errnos.get(key)]
    rows = [SourceRow(process, count, count / chosen.times) for process, count in found]
    rows.sort(key=lambda row: -row.times)
    rest = chosen.times - sum(row.times for row in rows)
    return [*rows, SourceRow(None, rest, rest / chosen.times)] if rest > 0 else rows


class ErrorTable(TableView[ErrorRow]):
    """Errors by syscall and errno, one a line."""

    HELP = (
        "Each line is one errno of one system call: how often it was met since the start, how often in the last "
        "interval (errors/s and the bars), and what part of the system call's returned calls that is (of calls). "
        "Many errors are harmless: looking for a file in one folder after the other gives ENOENT, and reading "
        "where nothing is there yet gives EAGAIN. The list below says which processes met the chosen one. Enter "
        "narrows everything to it."
    )
    EMPTY = "no call has failed"
    FILTER_HINT = "name, %class or ERRNO"
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("syscall", "syscall", 12, 22, right=False, rising=True),
        Column("errno", "errno", 9, 16, right=False, rising=True),
        Column("count", "count", 9),
        Column("rate", "errors/s", 9, rank=1),
        Column("share", "of calls", 9, rank=3),
        Column("spark", "trend", 6, SPARK_POINTS, rank=4, right=False),
        Column("meaning", "meaning", 25, 60, rank=2, right=False),
    )
    ORDERS: ClassVar[Mapping[str, Callable[[Any], Any]]] = {
        "syscall": attrgetter("syscall.name"),
        "errno": attrgetter("name"),
        "count": attrgetter("times"),
        "rate": attrgetter("rate"),
        "share": attrgetter("share"),
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "narrow", "Narrow", id="errors.narrow", tooltip="Show only this error, everywhere"),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name for it)
        super().__init__(id=id)
        self.sort_key = "count"

    def identify(self, row: ErrorRow) -> Hashable:
        """The syscall and the errno."""
        return row.key

    def matches(self, row: ErrorRow) -> bool:
        """Whether the error is what the filter asks for."""
        return all(term.allows(row.syscall.name, (class_of(row.syscall),), (row.name,)) for term in self.terms)

    def draw(self, row: ErrorRow, column: Column, width: int) -> Sequence[Piece]:
        """One cell of `row`."""
        match column.key:
            case "syscall":
                return marked(visible(row.syscall.name), self.terms, "text")
            case "errno":
                return ((row.name, "warn"),)
            case "count":
                return ((f"{row.times:,}", "text"),)
            case "rate":
                return ((formatting.rate(row.rate), "text" if row.rate else "dim"),)
            case "share":
                return ((f"{formatting.percent(row.share)}%", "text"),)
            case "spark":
                return trend(row.rates, width)
        return ((row.meaning, "dim"),)

    def action_narrow(self) -> None:
        """Narrow the view to the error under the cursor."""
        if self.current is not None:
            self.post_message(Narrow(OneSyscall(self.current.syscall), Errno(self.current.number)))


class ErrorSources(LineView[SourceRow]):
    """The processes that met one error."""

    HELP = (
        "The processes that met the error that is chosen above, those with the most first. Processes that ended "
        "long ago are counted together in the last line. Enter narrows everything to a process and what is below it."
    )
    EMPTY = "no error is chosen"
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("pid", "pid", 7),
        Column("name", "process", 12, 400, right=False),
        Column("count", "errors", 9),
        Column("share", "of them", 8, rank=1),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "narrow", "Narrow", id="sources.narrow", tooltip="Show only this process and what is below"),
    ]

    def identify(self, row: SourceRow) -> Hashable:
        """The process."""
        return row.process.key if row.process else None

    def draw(self, row: SourceRow, column: Column, width: int) -> Sequence[Piece]:
        """One cell of `row`."""
        process = row.process
        plain = "text" if process is not None and process.alive else "dim"
        match column.key:
            case "pid":
                return ((str(process.pid) if process else formatting.NONE, plain),)
            case "name":
                return ((row.name(width), plain),)
            case "count":
                return ((f"{row.times:,}", plain),)
        return ((f"{formatting.percent(row.share)}%", plain),)

    action_narrow = narrow_to_process


class ErrorsView(Vertical):
    """The errors, and below them the paths of the one under the cursor, and the processes that met it."""

    DEFAULT_CSS = """
    ErrorsView {
        height: 1fr;
        & .caption { height: 1; padding: 0 1; color: $text-primary; text-wrap: nowrap; text-overflow: ellipsis; }
        & > ErrorTable { height: 1fr; }
        & > .below { height: 30%; min-height: 5; }
        & > .below > Vertical { height: 2fr; }
        & #with-paths { height: 3fr; }
        & #with-paths, & ErrorPaths { display: none; }
        &.-paths #with-paths, &.-paths ErrorPaths { display: block; }
        &.-paths > .below { height: 62%; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name for it)
        super().__init__(id=id)
        self._snapshot: Snapshot | None = None
        self._of = ""

    def compose(self) -> ComposeResult:
        """Lay the lists out, each under a line that says what it is."""
        yield Static("", classes="caption", id="failed")
        yield ErrorTable()
        with Container(classes="below"):
            with Vertical(id="with-paths"):
                yield Static("", classes="caption lower", id="paths")
                yield ErrorPaths()
            with Vertical(id="with-sources"):
                yield Static("", classes="caption lower", id="sources")
                yield ErrorSources()

    def show(self, snapshot: Snapshot, rates: Callable[[ErrorKey], Sequence[float]], of: str = "") -> None:
        """Draw the errors of `snapshot`; `rates` gives the last errors/s of one, oldest first.

        `of` is what paths are of, where that is more than the errors are of.
        """
        self._snapshot, self._of = snapshot, of
        self.set_class(snapshot.detail.touched is not None, "-paths")
        self.query_one("#failed", Static).update(Content(_failed(snapshot)))
        self.query_one(ErrorTable).show(error_rows(snapshot, rates))
        self._show_sources(snapshot)

    def _show_sources(self, snapshot: Snapshot) -> None:
        row = self.query_one(ErrorTable).current
        said = f"Processes in which {visible(row.syscall.name)} failed with {row.name}" if row else ""
        self.query_one("#sources", Static).update(Content(said))
        self.query_one(ErrorSources).show(source_rows(snapshot, row))
        if snapshot.detail.touched is not None:
            key = row.key if row else None
            paths = path_rows(snapshot, key)
            self.query_one("#paths", Static).update(Content(said_of(paths, key, row.times if row else 0, self._of)))
            self.query_one(ErrorPaths).show(paths)

    def on_line_view_moved(self, message: LineView.Moved) -> None:
        """Say where the error under the cursor comes from."""
        if isinstance(message.view, ErrorTable) and self._snapshot is not None:
            self._show_sources(self._snapshot)


def _failed(snapshot: Snapshot) -> str:
    """How many calls failed, and how many of them with an errno that is not known."""
    known = sum(snapshot.errnos.values())
    failed, returned = max(known, snapshot.total.errors), snapshot.total.returns
    said = f"{failed:,} of {returned:,} returned calls failed"
    return f"{said}, {failed - known:,} with no known errno" if failed > known else said
