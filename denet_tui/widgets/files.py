"""The Files tab: which files and peers the calls were about, and what they did with them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from operator import attrgetter
from typing import Any, ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from denet_tui.model import ProcessInfo
from denet_tui.system.visible import how_many, visible
from denet_tui.touched import NOT_IN_FILES, File, Touched, Use, turned_away
from denet_tui.widgets import file_rows, formatting
from denet_tui.widgets.columns import Column
from denet_tui.widgets.file_rows import GROUPINGS, FileRow
from denet_tui.widgets.filter import Term
from denet_tui.widgets.forest import Forest
from denet_tui.widgets.formatting import clip
from denet_tui.widgets.line_view import LineView, Piece
from denet_tui.widgets.narrowing import Narrow, Subtree, UsersOf
from denet_tui.widgets.table import TableView

NOT_WATCHED = "files are not watched here: denet-tui run --detail files (or all) does"
_NO_TOUCHED = Touched()
_NAMED = 4
"""Processes that are named as users of a file."""


def _used(name: str) -> Callable[[FileRow], Any]:
    return attrgetter(f"use.{name}")


class FileTable(TableView[FileRow]):
    """Files and peers, one a line, or a tree of groups of them."""

    HELP = (
        "Each line is a file, folder, pipe, terminal, device, socket or the like that calls were about: how often it "
        "was opened, read and written, how many bytes each way, how long the calls on it took together (waiting "
        "included), and how many of them failed. All is since the start. t changes the grouping: by file, by process, "
        "by folder, by peer (sockets), by mount; right and left unfold and fold. Not counted here is "
        f"{NOT_IN_FILES}, nor are calls that only name a path. The line below has the whole "
        "name and which processes used it; enter narrows everything to the processes that used it so far."
    )
    EMPTY = "no call on a file or a peer yet"
    FILTER_HINT = "part of a path or peer, %tcp, %pipe"
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("name", "file or peer", 20, 400, right=False, rising=True),
        Column("opens", "opens", 7, rank=3),
        Column("reads", "reads", 7, rank=2),
        Column("read_bytes", "read", 5),
        Column("writes", "writes", 7, rank=2),
        Column("write_bytes", "wrote", 6),
        Column("time_ns", "time", 6),
        Column("blocked_ns", "blocked", 7, rank=2),
        Column("errors", "failed", 7, rank=1),
        Column("users", "by", 12, 24, rank=4, ample=0.4, right=False),
    )
    ORDERS: ClassVar[Mapping[str, Callable[[Any], Any]]] = {
        "name": attrgetter("name"),
        **{name: _used(name) for name in Use._fields},
    }
    QUIET = frozenset({"opens", "writes", "write_bytes", "blocked_ns", "errors"})
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "group", "Group by", id="files.group", tooltip="By file, process, folder, peer or mount"),
        Binding(
            "enter",
            "enter",
            "Narrow",
            id="files.enter",
            tooltip="Narrow to the process, or to those that used the file; unfold a group",
        ),
        Binding("left,h", "fold", "Fold", id="files.fold", tooltip="Fold away what is below, or go up", show=False),
        Binding(
            "right,l", "unfold", "Unfold", id="files.unfold", tooltip="Unfold what is below, or go down", show=False
        ),
    ]

    class Grouped(Message):
        """Another grouping is shown now."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name for it)
        super().__init__(id=id)
        self.sort_key = "time_ns"
        self.grouping = GROUPINGS[0]
        self._touched: Touched | None = None
        self._processes: Sequence[ProcessInfo] = ()
        self._users: Mapping[File, Sequence[int]] | None = None
        self._comms: Mapping[int, str] = {}
        self._forest = Forest(())
        self._turned: set[Hashable] = set()
        """Groups that are not as they are at first: folded, but for the topmost folder."""

    def take(self, touched: Touched | None, processes: Sequence[ProcessInfo]) -> None:
        """Draw these."""
        self._touched, self._processes, self._users = touched, processes, None
        self._comms = {each.pid: each.comm for each in processes}
        some = touched or _NO_TOUCHED
        match self.grouping:
            case "process":
                self._given = file_rows.by_process(some.by_process, processes)
            case "folder":
                self._given = file_rows.by_folder(some.files)
            case "peer":
                self._given = file_rows.by_peer(some.files)
            case "mount":
                self._given = file_rows.by_mount(some.files, some.mounts)
            case _:
                self._given = file_rows.by_file(some.files)
        self._forest = Forest([row.above for row in self._given])
        self.renew()

    # Rows

    def renew(self) -> None:
        """As of any table; it says why there is nothing."""
        super().renew()
        if not self.terms and self._touched is None:
            self._empty = NOT_WATCHED
        elif not self.terms and self.grouping == "peer":
            self._empty = "no call on a socket yet"

    def offered(self) -> Sequence[Column]:
        """As of any table; by process it is said already which it was."""
        columns = super().offered()
        return [each for each in columns if each.key != "users"] if self.grouping == "process" else columns

    def arranged(self) -> Sequence[FileRow]:
        """The lines of the tree; where nothing is grouped, the list."""
        if self.grouping == GROUPINGS[0]:
            return super().arranged()
        rows, order = self._given, self.ORDERS[self.sort_key]
        folded = {at for at, row in enumerate(rows) if row.file is None and self._is_folded(row)}
        kept: Collection[int] | None = None
        if self.terms:
            chosen = [at for at, row in enumerate(rows) if self.matches(row)]
            kept = self._forest.with_ancestors(chosen).union(self._forest.all_below(chosen))
            folded &= set(chosen)
        ranks = [0] * len(rows)
        for rank, at in enumerate(sorted(range(len(rows)), key=lambda at: order(rows[at]), reverse=self.descending)):
            ranks[at] = rank
        places = self._forest.places(folded, kept, ranks=ranks)
        return [rows[place.at]._replace(guide=place.guide, folded=place.folded) for place in places]

    def _is_folded(self, row: FileRow) -> bool:
        opened_first = self.grouping == "folder" and row.above < 0 and row.name.startswith("/")
        return opened_first == ((self.grouping, row.key) in self._turned)

    def matches(self, row: FileRow) -> bool:
        """Whether the file or the group is what the filter asks for."""
        return all(_wanted(term, row) for term in self.terms)

    def identify(self, row: FileRow) -> Hashable:
        """The file, within its group."""
        return row.key

    # Drawing

    def draw(self, row: FileRow, column: Column, width: int) -> Sequence[Piece]:
        """One cell of `row`."""
        match column.key:
            case "name":
                return self._named(row, width)
            case "users":
                return ((self._by(row), "dim"),)
            case "read_bytes" | "write_bytes":
                count = getattr(row.use, column.key)
                return ((formatting.size(count), "text" if count else "dim"),)
            case "time_ns" | "blocked_ns":
                time_ns = getattr(row.use, column.key)
                return ((formatting.duration(time_ns) if time_ns else formatting.NONE, "text"),)
        count = getattr(row.use, column.key)
        return ((f"{count:,}", "dim" if not count else "warn" if column.key == "errors" else "text"),)

    def _named(self, row: FileRow, width: int) -> Sequence[Piece]:
        folded = f"[+{row.folded}] " if row.folded else ""
        room = width - cell_len(row.guide + folded)
        name = visible(row.name)
        between = self._between(row) if row.kind == "pipe" else ""
        if cell_len(name + between) > room:
            between = ""
        pieces = ((row.guide, "dim"), (folded, "head"), (formatting.end_of(name, room), "text"), (between, "dim"))
        return [piece for piece in pieces if piece[0]]

    def _between(self, row: FileRow) -> str:
        """Which processes write to a pipe, and which read from it."""
        if row.file is None or self._touched is None:
            return ""
        ends: tuple[list[str], list[str]] = [], []
        for pid in self.users_of(row._replace(pid=None)):
            use = self._touched.by_process[pid, row.file]
            for end, count in zip(ends, (use.writes, use.reads), strict=True):
                if count:
                    end.append(visible(self._comms.get(pid, f"{pid}")))
        here, there = (" ".join(dict.fromkeys(end)) for end in ends)
        return f"  {here or '?'} → {there or '?'}" if here or there else ""

    def in_full(self, row: FileRow, column: Column, pieces: Sequence[Piece]) -> str:
        """As of any table, but names whole, and without a guide."""
        return visible(row.whole) if column.key == "name" else super().in_full(row, column, pieces)

    def _by(self, row: FileRow) -> str:
        names = [visible(self._comms.get(pid, f"{pid}")) for pid in self.users_of(row)]
        return names[0] + (f" +{len(names) - 1}" if len(names) > 1 else "") if names else ""

    def users_of(self, row: FileRow) -> Sequence[int]:
        """The processes that used a file, the one that spent most time on it first; none of a group."""
        if row.pid is not None or row.file is None or self._touched is None:
            return () if row.pid is None else (row.pid,)
        if self._users is None:
            self._users = file_rows.users(self._touched.by_process)
        return self._users.get(row.file, ())

    def about(self, row: FileRow | None, width: int) -> str:
        """Two lines on a row: its kind and whole name, and its numbers and users."""
        if row is None:
            return ""
        use, pids = row.use, self.users_of(row)
        kind = "" if not row.kind or row.whole.startswith(row.kind) else f"{visible(row.kind)} "
        named = [f"{visible(self._comms.get(pid, 'process'))} {pid}" for pid in pids[:_NAMED]]
        more = [f"{len(pids) - _NAMED:,} more"] if len(pids) > _NAMED else []
        said = f"{how_many(use.read_bytes, 'byte')} read, {use.write_bytes:,} written"
        said += f", by {', '.join([*named, *more])}" if named and row.file else ""
        return f"{kind}{formatting.end_of(visible(row.whole), width - len(kind))}\n{clip(said, width)}"

    # What the user does

    def action_group(self) -> None:
        """Go to the next grouping."""
        self.grouping = GROUPINGS[(GROUPINGS.index(self.grouping) + 1) % len(GROUPINGS)]
        self.take(self._touched, self._processes)
        self.post_message(self.Grouped())

    def action_enter(self) -> None:
        """Narrow to a process, or to those that used a file; fold or unfold another group."""
        row = self.current
        if row is None:
            return
        process = next((each for each in self._processes if each.pid == row.pid), None)
        if row.file is not None:
            pids = frozenset(self.users_of(row._replace(pid=None)))
            self.post_message(Narrow(UsersOf(row.whole, pids)))
        elif process is not None:
            self.post_message(Narrow(Subtree(process)))
        else:
            self._turn(row)

    def action_fold(self) -> None:
        """Fold away what is below; where there is nothing to fold away, go to what it is in."""
        row = self.current
        if row is None:
            return
        if row.file is None and not row.folded:
            self._turn(row)
        elif row.above >= 0:
            self.go_to_row(self._given[row.above].key)

    def action_unfold(self) -> None:
        """Unfold what is below; where it is unfolded, go to the first below it."""
        row = self.current
        if row is None or row.file is not None:
            return
        if row.folded:
            self._turn(row)
        else:
            self.action_move(1)

    def press(self, row: FileRow, column: Column, at: int) -> None:
        """A click on the guide or the mark before a group folds or unfolds it."""
        if column.key == "name" and row.file is None and at < len(row.guide) + len(f"[+{row.folded}]"):
            self._turn(row)

    def _turn(self, row: FileRow) -> None:
        self._turned ^= {(self.grouping, row.key)}
        self._held = True
        self.renew()


def _wanted(term: Term, row: FileRow) -> bool:
    text = term.text.lower()  # a path in capitals is no errno
    return text in row.whole.lower() if term.kind != "class" else row.kind.startswith(text)


class FilesView(Vertical):
    """The table under a line that says what it is of, and below it all about the row under the cursor."""

    DEFAULT_CSS = """
    FilesView {
        height: 1fr;
        & > .caption { height: 1; padding: 0 1; color: $text-primary; text-wrap: nowrap; text-overflow: ellipsis; }
        & > FileTable { height: 1fr; }
        & > .about { height: 2; padding: 0 1; background: $surface; text-wrap: nowrap; text-overflow: ellipsis; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name for it)
        super().__init__(id=id)
        self._turned_away: Mapping[str, int] = {}
        self._touched: Touched | None = None
        self._whole, self._of = Use(), ""

    def compose(self) -> ComposeResult:
        """Lay it out."""
        yield Static("", classes="caption", id="of")
        yield FileTable()
        yield Static("", classes="about lower")

    def show(
        self, touched: Touched | None, processes: Sequence[ProcessInfo], turned_away: Mapping[str, int], of: str = ""
    ) -> None:
        """Draw these; `of` is what they are of, where that is not everything."""
        self._turned_away, self._touched, self._of = turned_away, touched, of
        self._whole = file_rows.total(touched.files.values()) if touched else Use()
        self.query_one(FileTable).take(touched, processes)
        self._say()

    def _say(self) -> None:
        table = self.query_one(FileTable)
        said = self._caption(table.grouping) if self._touched is not None else ""
        self.query_one("#of", Static).update(Content(said))
        about = self.query_one(".about", Static)
        about.update(Content(table.about(table.current, max(1, self.size.width - 2))))

    def _caption(self, grouping: str) -> str:
        files, whole = (self._touched or _NO_TOUCHED).files, self._whole
        away = [visible(turned_away(name, count)) for name, count in self._turned_away.items() if count]
        parts = [
            f"{how_many(len(files), 'file')}{self._of}, by {grouping}",
            f"{formatting.size(whole.read_bytes)} read, {formatting.size(whole.write_bytes)} written",
            f"without {NOT_IN_FILES}",
        ]
        if away:
            parts.insert(1, ", ".join(away))
        return "   ".join(parts)

    def on_file_table_grouped(self) -> None:
        """Say so."""
        self._say()

    def on_line_view_moved(self, message: LineView.Moved) -> None:  # noqa: ARG002
        """Say what is under the cursor."""
        self._say()

    def on_resize(self) -> None:
        """As much as there is room for."""
        self._say()
