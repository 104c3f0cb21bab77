"""The process tree: every process that was watched, under the one that forked it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import ClassVar, NamedTuple

from textual.binding import Binding, BindingType
from textual.message import Message

from denet_tui.model import ProcessInfo
from denet_tui.widgets import words
from denet_tui.widgets.columns import Column
from denet_tui.widgets.lines import LineView, Piece
from denet_tui.widgets.spark import sparkline

ProcessKey = tuple[int, int]
"""(tgid, start_ns): a process id alone may be used again."""

SPARK_POINTS = 12
_MOST_LEVELS = 12
"""Guides deeper than this are not drawn wider, so that the names stay readable."""


def process_key(process: ProcessInfo) -> ProcessKey:
    """What tells this process from every other one."""
    return process.tgid, process.start_ns


class ProcessRow(NamedTuple):
    """One process as it stands in the tree; `rates` in calls/s, oldest first."""

    process: ProcessInfo
    guide: str
    name: str
    rate: float
    rates: Sequence[float]


def parents(processes: Sequence[ProcessInfo]) -> list[int]:
    """For every process the place of its parent in `processes`, -1 where it is not among them."""
    newest: dict[int, int] = {}
    found: list[int] = []
    for index, process in enumerate(processes):
        # In the order of their start, so the newest one of that id so far is the one that forked.
        found.append(newest.get(process.ppid, -1))
        newest[process.pid] = index
    return found


def process_rows(
    processes: Sequence[ProcessInfo], interval_ns: int, rates: Callable[[ProcessKey], Sequence[float]]
) -> list[ProcessRow]:
    """The rows of the tree, children under their parent in the order of their start."""
    children: dict[int, list[int]] = {}
    for index, parent in enumerate(parents(processes)):
        children.setdefault(parent, []).append(index)
    seconds = interval_ns / 1e9
    rows: list[ProcessRow] = []
    todo = [(index, "", "") for index in reversed(children.get(-1, ()))]
    while todo:
        index, guide, below = todo.pop()
        process = processes[index]
        calls_s = process.delta.calls / seconds if seconds and process.alive else 0.0
        name = words.command(process.cmdline, process.comm)
        rows.append(ProcessRow(process, guide, name, calls_s, rates(process_key(process))))
        last = True
        for child in reversed(children.get(index, ())):
            if len(below) < 2 * _MOST_LEVELS:
                todo.append((child, below + ("└─" if last else "├─"), below + ("  " if last else "│ ")))
            else:
                todo.append((child, guide, below))
            last = False
    return rows


class ProcessTree(LineView[ProcessRow]):
    """The watched processes; the dead stay, dimmed, with how they ended."""

    HELP = (
        "Each line is one process, under the one that forked it. Ended processes stay, dimmed, and say how they\n"
        "ended in place of CPU and memory. cpu% is of one core; rss is memory in use. calls/s counts the\n"
        "process alone, without its children. Enter narrows the syscall table to the process and everything below it."
    )
    EMPTY = "no process yet"
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("pid", "pid", 4),
        Column("name", "process", 12, 400, right=False),
        Column("usage", "cpu%  rss", 9, rank=1),
        Column("threads", "thr", 4, rank=3),
        Column("rate", "calls/s", 7),
        Column("spark", "trend", 5, SPARK_POINTS, rank=2, right=False, sortable=False),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "enter",
            "narrow",
            "Narrow",
            id="processes.narrow",
            tooltip="Show only the syscalls of this process and of everything below it",
        ),
    ]

    class Chosen(Message):
        """The user wants to see one process and what is below it."""

        def __init__(self, process: ProcessInfo) -> None:
            self.process = process
            super().__init__()

    def needs(self) -> dict[str, int]:
        """Room for the longest process id."""
        return {"pid": max((len(str(row.process.pid)) for row in self.rows), default=0)}

    def identify(self, row: ProcessRow) -> Hashable:
        """The process."""
        return process_key(row.process)

    def draw(self, row: ProcessRow, column: Column, width: int) -> Sequence[Piece]:
        """One cell of `row`."""
        process = row.process
        plain = "text" if process.alive else "dim"
        match column.key:
            case "pid":
                return ((str(process.pid), plain),)
            case "name":
                return ((row.guide, "dim"), (row.name, plain))
            case "usage" if not process.alive:
                return ((words.ended_short(process.status), plain),)
            case "usage":
                usage = process.usage
                return ((f"{usage.cpu_percent:>4.0f} {words.size(usage.rss_bytes):>4}", plain),)
            case "threads":
                return ((str(process.usage.threads) if process.alive else "", plain),)
            case "rate":
                return ((words.rate(row.rate) if process.alive else words.NONE, plain if row.rate else "dim"),)
        return ((sparkline(row.rates, width), "spark" if process.alive else "dim"),)

    def action_narrow(self) -> None:
        """Narrow the view to the process under the cursor."""
        if self.current is not None:
            self.post_message(self.Chosen(self.current.process))
