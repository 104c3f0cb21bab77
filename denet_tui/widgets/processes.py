"""The process tree: every process that was watched, under the one that forked it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from denet_tui.model import ProcessInfo, ProcessKey, Snapshot
from denet_tui.syscalls import class_of, errno_name
from denet_tui.system.visible import visible
from denet_tui.widgets import formatting
from denet_tui.widgets.columns import GAP, Column
from denet_tui.widgets.ended import BundleKey, EndedRow, bundles, no_longer_listed, states
from denet_tui.widgets.filter import marked
from denet_tui.widgets.forest import Forest, Place
from denet_tui.widgets.line_view import Piece
from denet_tui.widgets.narrowing import InCgroup, Named, Narrow, Narrowing, Subtree
from denet_tui.widgets.process_cells import count_of, end_of, guide_of, now_of, on_cpu_ns, time_of, waits
from denet_tui.widgets.process_rows import (
    Blocked,
    Grouping,
    GroupRow,
    ProcessRow,
    Rates,
    blocked,
    group_rows,
    groups_of,
    parents,
)
from denet_tui.widgets.spark import trend
from denet_tui.widgets.table import TableView

SPARK_POINTS = 12
LEAST_MOST = 24
"""Names get at least so much room where nothing else needs it."""
_COUNT = Column("pid", "n", 4, rank=1, rising=True)
"""Of a group: how many they are, in place of an id."""

Row = ProcessRow | GroupRow | EndedRow


class ProcessTree(TableView[Row]):
    """The watched processes; the dead stay, dimmed, with how they ended and what they called in all."""

    HELP = (
        "Each line is one process, under the one that forked it; sorted by a column, it is a list. Ended processes "
        "stay for a few seconds, dimmed, and say how they ended; then those of one name share a line, until e or "
        "Enter shows them. Columns without any number are not there. cpu% is of one core; rss is memory in use. "
        "calls/s counts the process alone, without its children. One that makes no call says what it is blocked in, "
        "after a second. time is where the time of all its threads went (█ user, ▓ kernel, ▒ waiting for a CPU, ░ "
        "blocked, · waiting for children), sorted by what was on a CPU. [+3] stands before a process whose 3 "
        "descendants are folded away. Enter narrows to the process and what is below it. With t, all processes of one "
        "command name are one line: how many live, and how many there were; with g, all of one cgroup (a unit, a "
        "container). A filter knows names, process ids, classes of calls (%network) and errnos (ENOENT)."
    )
    EMPTY = "no process yet"
    FILTER_HINT = "name, pid, %class or ERRNO"
    UNSORTED = True
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("name", "process", 12, LEAST_MOST, ample=0.5, right=False, rising=True),
        Column("pid", "pid", 4, rank=7, rising=True),
        Column("end", "end", 8, rank=1, right=False),
        Column("cpu", "cpu%", 4, rank=4),
        Column("rss", "rss", 4, rank=6),
        Column("threads", "thr", 4, rank=12),
        Column("rate", "calls/s", 7),
        Column("spark", "trend", 5, SPARK_POINTS, rank=5, right=False),
        Column("time", "time", 8, rank=8, right=False),
        Column("blocked", "blocked in", 12, 22, rank=10, right=False),
        Column("errors", "err/s", 6, rank=11),
        Column("calls", "calls", 8, rank=8),
        Column("failed", "failed", 7, rank=9),
    )
    QUIET = frozenset({"end", "cpu", "rss", "threads", "rate", "time", "blocked", "errors", "failed"})
    ORDERS: ClassVar[Mapping[str, Callable[[Any], Any]]] = {
        "pid": lambda row: row.process.pid if isinstance(row, ProcessRow) else row.living,
        "name": lambda row: row.name.lower(),
        "end": lambda row: isinstance(row, ProcessRow) and not row.alive,
        "time": on_cpu_ns,
        "blocked": lambda row: row.blocked.for_ns if row.blocked else 0,
        **{key: attrgetter(key) for key in ("cpu", "rss", "threads", "rate", "errors", "calls", "failed")},
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "enter",
            "narrow",
            "Narrow",
            id="tree.narrow",
            tooltip="Show only this process and everything below it, or only the processes of this name",
        ),
        Binding("left,h", "fold", "Fold", id="tree.collapse", tooltip="Fold away what is below, or go up", show=False),
        Binding(
            "right,l", "unfold", "Unfold", id="tree.expand", tooltip="Unfold what is below, or go down", show=False
        ),
        Binding("p", "parent", "Parent", id="tree.parent", tooltip="Go to the process that forked this one"),
        Binding("t", "group('name')", "By name", id="tree.group", tooltip="One line for all of a command name"),
        Binding(
            "g", "group('cgroup')", "By cgroup", id="tree.cgroup", tooltip="One line for all of a cgroup", show=False
        ),
        Binding(
            "a", "arguments", "Arguments", id="tree.arguments", tooltip="Whole command lines, or names", show=False
        ),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name for it)
        super().__init__(id=id)
        self.grouped: Grouping | None = None
        """There is a line for every one of these."""
        self.arguments = True
        """True: whole command lines. False: the name of the command, as the kernel has it."""
        self._processes: Sequence[ProcessInfo] = ()
        self._seconds = 0.0
        self._waiting: Mapping[int, Blocked] = {}
        self._rates: Rates = lambda _: ()
        self._keys: list[ProcessKey] = []
        self._forest = Forest(())
        self._folded: set[ProcessKey] = set()
        self._longest = LEAST_MOST
        """The longest name that was in sight so far: columns that come nearer again are hard to read."""
        self.every_ended = False
        """True: each ended process has a line of its own."""
        self._states: list[int] = []
        self._bundles: dict[int, list[int]] = {}
        """Ended processes that share a line, by the first of them."""
        self._opened: set[BundleKey] = set()
        self._places: list[Place] | None = None
        """The lines of the whole tree, as long as it stays the same."""

    def take(self, snapshot: Snapshot, rates: Rates, *, errors: bool = False) -> None:
        """Draw the processes of `snapshot`, of certain `errors` alone; `rates` is asked for those that are visible."""
        self.foot = no_longer_listed(snapshot, errors=errors)
        self._processes, self._rates = snapshot.processes, rates
        self._seconds = snapshot.interval_ns / 1e9 if snapshot.running else 0.0
        self._waiting = blocked(snapshot.in_flight, snapshot.time_ns)
        if snapshot.running:
            self._telling.add("rate")
        else:
            self._telling.clear()  # nothing will move any more: what has no number in the end gives its room away
        keys = [process.key for process in snapshot.processes]
        if keys != self._keys:
            self._keys, self._places = keys, None
            self._forest = Forest(parents(snapshot.processes))
        state = states(snapshot, self._forest)
        if state != self._states:
            self._states, self._places = state, None
        self.renew()

    # Rows

    def offered(self) -> Sequence[Column]:
        """As of any table; where nothing has a rate there is no trend."""
        title = "cgroup" if self.grouped == "cgroup" else "process"
        name = replace(self.COLUMNS[0], most=self._longest, title=title)
        columns = [name if column.key == "name" else column for column in super().offered()]
        if self.grouped:
            columns = [_COUNT if column.key == "pid" else column for column in columns if column.key != "end"]
        paced = self._telling & {"rate"} or self.columns is not self.COLUMNS
        return columns if paced else [column for column in columns if column.key != "spark"]

    @property
    def as_tree(self) -> bool:
        """Whether every process stands under its parent."""
        return not self.grouped and not self.sort_key

    def arranged(self) -> Sequence[Row]:
        """The lines of the tree, or of the list."""
        if self.grouped:
            groups = group_rows(self._processes, self._seconds, self._waiting, self.grouped)
            return self.ordered([group for group in groups if not self.terms or self.matches(group)])
        if self.sort_key:
            rows: list[Row] = [self._row(process) for process in self._processes]
            return self.ordered([row for row in rows if self.matches(row)] if self.terms else rows)
        lines = self._lines()
        return [
            self._bundle(place) or self._row(self._processes[place.at], place.guide, place.folded) for place in lines
        ]

    def _bundle(self, place: Place) -> EndedRow | None:
        some = () if self.terms else self._bundles.get(place.at, ())
        if not some:
            return None
        below = [self._processes[index] for index in self._forest.all_below(some)]
        parent = self._keys[self._forest.above[place.at]]
        return EndedRow(parent, [self._processes[index] for index in some], below, place.guide)

    def _lines(self) -> list[Place]:
        if self.terms:
            chosen = [at for at, process in enumerate(self._processes) if self.matches(self._row(process))]
            return self._forest.places((), self._forest.with_ancestors(chosen), last_first=self.reverse)
        if self._places is None:
            folded = {index for index, key in enumerate(self._keys) if key in self._folded} if self._folded else set()
            some = {} if self.every_ended else bundles(self._processes, self._forest, self._states, self._opened)
            self._bundles = some
            kept = set(range(len(self._keys))).difference(*(rest for _, *rest in some.values())) if some else None
            self._places = self._forest.places(folded | some.keys(), kept, ranks=self._states, last_first=self.reverse)
        return self._places

    def _row(self, process: ProcessInfo, guide: str = "", folded: int = 0) -> ProcessRow:
        waits = self._waiting.get(process.tgid) if process.alive else None
        return ProcessRow(process, self._seconds, waits, guide, folded)

    def everything(self) -> int:
        """How many processes there are without a filter, or names, or cgroups."""
        return len(set(groups_of(self._processes, self.grouped))) if self.grouped else len(self._processes)

    def matches(self, row: Row) -> bool:
        """Whether the process, or one of the group, is what the filter asks for."""
        members = [row.process] if isinstance(row, ProcessRow) else row.members
        return any(self._wanted(process) for process in members)

    def _wanted(self, process: ProcessInfo) -> bool:
        name = f"{process.pid} {process.comm} {' '.join(process.cmdline)}"
        return all(
            term.allows(
                name,
                (class_of(call) for call in process.syscalls) if term.kind == "class" else (),
                (errno_name(number) for _, number in process.errnos) if term.kind == "errno" else (),
            )
            for term in self.terms
        )

    def sort_by(self, key: str, *, reverse: bool = False) -> None:
        """Sort by the column `key`; by none: the tree again."""
        self._places = None
        super().sort_by(key, reverse=reverse)

    # Drawing

    def identify(self, row: Row) -> Hashable:
        """The process, or the command name."""
        return row.key

    def needs(self) -> dict[str, int]:
        """Room for the longest process id."""
        for row in self.rows[self.scroll_offset.y :][: self._room()]:
            if isinstance(row, ProcessRow):
                self._longest = max(self._longest, len(row.guide) + len(row.name))
        if self.grouped:
            return {"pid": max((len(count_of(row)) for row in self.rows if isinstance(row, GroupRow)), default=0)}
        return {"pid": len(str(max((process.pid for process in self._processes), default=0)))}

    def draw(self, row: Row, column: Column, width: int) -> Sequence[Piece] | None:
        """One cell of `row`."""
        if isinstance(row, EndedRow):
            return self._folded_line(row, column, width)
        plain = "text" if row.alive else "dim"
        match column.key:
            case "pid":
                return ((count_of(row) if isinstance(row, GroupRow) else str(row.process.pid), plain),)
            case "name":
                return self._named(row, plain, width)
            case "end":
                return () if row.alive else ((end_of(row), "dim"),)
            case "calls":
                return ((f"{row.calls:,}", plain),)
            case "failed":
                return ((f"{row.failed:,}", "warn" if row.failed else "dim"),)
            case "time":
                return ((time_of(row, width), "spark" if row.alive else "dim"),)
            case "rate" | "spark":
                return self._pace(row, column, width)
        return now_of(row, column.key, width) if row.alive else ()

    def _folded_line(self, row: EndedRow, column: Column, width: int) -> Sequence[Piece] | None:
        """A line for many: across all columns from the name on."""
        if column.key != "name":
            names = [shown.key for shown, _ in self._layout]
            return () if column.key in names[: names.index("name")] else None
        said, failed, calls = row.words
        return ((guide_of(row, width), "dim"), (said, "dim"), (failed, "warn"), (calls, "dim"))

    def _named(self, row: ProcessRow | GroupRow, plain: str, width: int) -> Sequence[Piece]:
        if isinstance(row, GroupRow):
            return marked(row.name, self.terms, plain)
        process, guide, folded = row.process, guide_of(row, width), f"[+{row.folded}] " if row.folded else ""
        room = width - len(guide) - len(folded)
        name = visible(process.comm)
        if self.arguments:
            name = formatting.condensed(process.cmdline, process.comm, room, cut=process.cut)
        if self.terms and self.as_tree and not self.matches(row):
            plain = "dim"  # it is only there for what is below it
        return ((guide, "dim"), (folded, "head"), *marked(name, self.terms, plain))

    def _pace(self, row: ProcessRow | GroupRow, column: Column, width: int) -> Sequence[Piece] | None:
        """Calls/s and their trend; of the blocked what they wait in."""
        rate = column.key == "rate"
        if not row.alive and not row.rate:
            return ((formatting.NONE if rate else "", "dim"),)
        if row.blocked and not row.rate and not self.shows("blocked"):
            if not rate:
                return None
            room = width + sum(GAP + wide for column, wide in self._fitted(self._layout_width) if column.key == "spark")
            return ((waits(row.blocked, room), "text"),)
        if rate:
            return ((formatting.rate(row.rate), "text" if row.rate else "dim"),)
        return trend(self._trend(row), width)

    def _trend(self, row: ProcessRow | GroupRow) -> Sequence[float]:
        if isinstance(row, ProcessRow):
            return self._rates(row.key)
        trends = [rates for rates in (self._rates(each.key) for each in row.members) if rates]
        return [sum(moment) for moment in zip(*trends, strict=False)]

    def in_full(self, row: Row, column: Column, pieces: Sequence[Piece]) -> str:
        """As of any table, but names without a guide, and whole."""
        return row.name if column.key == "name" else super().in_full(row, column, pieces)

    # What the user does

    def press(self, row: Row, column: Column, at: int) -> None:
        """A click on the guide before a process folds away what is below it."""
        if column.key == "name" and isinstance(row, ProcessRow):
            mark = f"[+{row.folded}]" if row.folded else ""
            room = next(room for shown, room in self._fitted(self.line_width) if shown is column)
            if at < len(guide_of(row, room)) + len(mark):
                self._fold(row, fold=not row.folded)

    def action_narrow(self) -> None:
        """Narrow the view to what the cursor is on."""
        row = self.current
        if isinstance(row, EndedRow):
            self._open(row)
        elif row is not None:
            self.post_message(Narrow(self._narrowing(row)))

    def _narrowing(self, row: ProcessRow | GroupRow) -> Narrowing:
        if isinstance(row, ProcessRow):
            return Subtree(row.process)
        return InCgroup(row.group, row.title) if self.grouped == "cgroup" else Named(row.group)

    def action_fold(self) -> None:
        """Fold away what is below the process; where there is nothing to fold away, go to its parent."""
        row = self.current
        if isinstance(row, ProcessRow) and not self._fold(row, fold=True):
            self.action_parent()

    def action_unfold(self) -> None:
        """Unfold what is below the process; where it is unfolded, go to the first below it."""
        row = self.current
        if isinstance(row, EndedRow):
            self._open(row)
        elif isinstance(row, ProcessRow) and not self._fold(row, fold=False) and self.as_tree:
            below = self._forest.below[self._keys.index(row.key)]
            if below:
                self.go_to_row(self._keys[below[0]])

    def _open(self, row: EndedRow) -> None:
        """Give each of its processes a line."""
        self._opened.add(row.key)
        self._places, self._held = None, True
        first = row.members[0].key
        self.renew()
        self.go_to_row(first)

    def toggle_ended(self) -> None:
        """A line for each ended process, or for all of a name that ended a while ago."""
        self.every_ended = not self.every_ended
        self._opened.clear()
        self._places = None
        self.renew()

    def _fold(self, row: ProcessRow, *, fold: bool) -> bool:
        """Fold or unfold; False if there is nothing to do."""
        if not self.as_tree or self.terms or fold == bool(row.folded):
            return False
        if fold and not self._forest.below[self._keys.index(row.key)]:
            return False
        (self._folded.add if fold else self._folded.discard)(row.key)
        self._places = None
        self.renew()
        return True

    def action_parent(self) -> None:
        """Go to the process that forked this one; where it is folded away or not there, stay."""
        row = self.current
        if isinstance(row, ProcessRow) and (above := self._forest.above[self._keys.index(row.key)]) >= 0:
            self.go_to_row(self._keys[above])

    def action_group(self, kind: Grouping) -> None:
        """A line for every command name or cgroup, or for every process."""
        row = self.current
        self.grouped = None if self.grouped == kind else kind
        self.unit = f"{self.grouped}s" if self.grouped else ""
        self.renew()
        if row is not None and self._held:
            process = row.process if isinstance(row, ProcessRow) else row.members[0]
            groups = groups_of(self._processes, self.grouped) if self.grouped else self._keys
            self.go_to_row(groups[self._keys.index(process.key)])

    def action_arguments(self) -> None:
        """Whole command lines, or the names of the commands."""
        self.arguments = not self.arguments
        self.renew()
