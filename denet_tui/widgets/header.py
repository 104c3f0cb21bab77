"""The lines at the top: what is watched, how it is doing, and whether the counts are complete."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import ClassVar, NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.content import Content
from textual.strip import Strip
from textual.widget import Widget

from denet_tui.detail import Time
from denet_tui.model import Loss, RunInfo, Snapshot
from denet_tui.spent import briefly
from denet_tui.system.visible import how_many, visible
from denet_tui.widgets import formatting
from denet_tui.widgets.time_bar import bar

_METHODS = {"raw": "raw tracepoints", "tracefs": "tracefs tracepoints"}
_STYLES = ("text", "strong", "dim", "good", "bad", "failed", "found", "paused")
_SEPARATOR = " · "
_OTHERS = 2
"""The last of the details: they are of no calls."""
_BAR = 12

Piece = tuple[str, str]


class HeaderText(NamedTuple):
    """What the header says, in words; the less important, the later in `details`."""

    command: str
    where: tuple[str, ...]
    """pid, user and time, shown right of the command."""
    state: str
    badge: str
    exact: bool
    details: tuple[str, ...]
    remarks: tuple[str, ...]
    """What the reader has to know before believing the numbers."""
    paused: bool
    failed: bool = False
    said: str = ""
    """The last words of a command that failed, and after three spaces which key shows the rest."""
    found: tuple[str, ...] = ()
    """What stands out, the weightiest first."""
    spent: tuple[str, ...] = ()
    """Where the time of all threads went: as a bar and in words, in words alone, in fewer."""


def badge(loss: Loss) -> str:
    """` exact `, by how many events the counts are short, or ` unproven ` where not all that may be missing shows."""
    return " exact " if loss.exact else f" {loss.short:,} short " if loss.short else " unproven "


def facts(
    info: RunInfo, snapshot: Snapshot | None, *, paused: bool = False, said: str = "", found: Sequence[str] = ()
) -> HeaderText:
    """What there is to say about a run at the moment of `snapshot`."""
    name = formatting.command(info.argv, info.executable)
    method = _METHODS.get(info.method, visible(info.method))
    notes = tuple(visible(note) for note in info.notes)
    user = visible(info.user)
    who = (f"pid {info.pid}", user) if info.pid else (user,)  # 0: the whole machine
    if snapshot is None:
        return HeaderText(name, who, "starting", "", True, (method,), notes, paused)
    seconds = snapshot.interval_ns / 1e9
    calls_s = snapshot.delta.calls / seconds if seconds and snapshot.running else 0.0
    alive = sum(process.alive for process in snapshot.processes)
    seen = len(snapshot.processes) + snapshot.forgotten
    details = [
        *((f"{formatting.rate(calls_s)} calls/s",) if snapshot.running else ()),
        how_many(snapshot.total.calls, "call"),
        how_many(seen, "process") + (f", {alive:,} alive" if alive != seen else ""),
        method,
    ]
    short = () if snapshot.exact else (snapshot.doubt,)
    return HeaderText(
        command=name,
        where=(formatting.elapsed(snapshot.elapsed_ns), *who),
        state="running" if snapshot.running else formatting.ended(snapshot.status),
        badge=" has gaps " if snapshot.detail.lacks and not snapshot.loss.short else badge(snapshot.loss),
        exact=snapshot.exact,
        details=tuple(details),
        remarks=(*short, *map(visible, snapshot.detail.notes), *notes),
        paused=paused,
        failed=bool(snapshot.status),
        said=visible(said),
        found=tuple(found),
        spent=_spent(snapshot.detail.time),
    )


def _spent(spent: Time | None) -> tuple[str, ...]:
    if spent is None or not spent.whole_ns:
        return ()
    words, children = briefly(spent)
    return f"{bar(spent, _BAR)} {words}{children}", words + children, words


def header_lines(known: HeaderText, width: int) -> list[list[Piece]]:
    """The header's lines for `width` cells: two, one where something stands out, and one where there are remarks."""
    right: list[Piece] = [(known.badge, "good" if known.exact else "bad")] if known.badge else []
    if known.paused:
        right = [(" paused ", "paused"), (" ", "text"), *right]
    taken = _cells(right)
    left: list[Piece] = [(f" {known.state} ", "bad" if known.failed else "strong"), (" ", "text")]
    room = width - taken - _cells(left) - 2
    where = list(known.where)
    # The command is cut last: at least half of its own length, or 12 cells, stay.
    while where and room - cell_len(_SEPARATOR.join(where)) - 2 < min(cell_len(known.command), max(12, room // 2)):
        where.pop()
    aside = "  " + _SEPARATOR.join(where) if where else ""
    left += [(formatting.clip(known.command, room - cell_len(aside)), "strong"), (aside, "dim")]
    lines = [[*left, (" " * (width - taken - _cells(left)), "text"), *right]]
    if known.said:
        words, between, hint = known.said.rpartition("   ")  # where the rest is stays, however long the words are
        room = width - 3 - cell_len(between + hint)
        lines.append([(" ▌", "failed"), (formatting.clip(words, room) + between + hint, "strong")])
    else:
        lines.append([(" ", "text"), (_told(known, width - 2), "text")])
    if known.found:
        more = f"   and {len(known.found) - 1} more at the end" if len(known.found) > 1 else ""
        lines.append([(" ● ", "found"), (formatting.clip(known.found[0], width - 4 - cell_len(more)) + more, "text")])
    if known.remarks:
        lines.append(
            [
                (" ! ", "dim" if known.exact else "bad"),
                (formatting.clip(" " + _SEPARATOR.join(known.remarks), width - 4), "text"),
            ]
        )
    return lines


def _told(known: HeaderText, width: int) -> str:
    """The details, with where the time went behind the calls, as well as there is room for it."""
    calls, rest = known.details[:-_OTHERS], known.details[-_OTHERS:]
    fitting = (each for each in known.spent if cell_len(_SEPARATOR.join((*calls, each))) <= width)
    return _joined((*calls, *islice(fitting, 1), *rest), width)


def _joined(parts: Sequence[str], width: int) -> str:
    """As many of the parts, from the first on, as fit whole."""
    text = ""
    for part in parts:
        longer = text + _SEPARATOR + part if text else part
        if cell_len(longer) > width:
            break
        text = longer
    return text


def _cells(pieces: Sequence[Piece]) -> int:
    return sum(cell_len(text) for text, _ in pieces)


class RunHeader(Widget):
    """Command, state, calls and the exactness badge."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"run-header--{style}" for style in _STYLES}
    DEFAULT_CSS = """
    RunHeader {
        height: 2;
        background: $panel;
        & > .run-header--text { color: $foreground; }
        & > .run-header--strong { color: $foreground; text-style: bold; }
        & > .run-header--dim { color: $text-muted; }
        & > .run-header--good { color: $text-success; background: $success-muted; text-style: bold; }
        & > .run-header--bad { color: $text-error; text-style: bold reverse; }
        & > .run-header--failed { color: $text-error; }
        & > .run-header--found { color: $text-warning; }
        & > .run-header--paused { color: $text-warning; text-style: bold reverse; }
    }
    """

    def __init__(self, info: RunInfo, *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name for it)
        super().__init__(id=id)
        self._info = info
        self._facts = facts(info, None)

    def show(
        self, snapshot: Snapshot | None, *, paused: bool = False, said: str = "", found: Sequence[str] = ()
    ) -> None:
        """Say what `snapshot` says from now on."""
        self._facts = facts(self._info, snapshot, paused=paused, said=said, found=found)
        height = 2 + bool(self._facts.found) + bool(self._facts.remarks)
        if self.size.height != height:
            self.styles.height = height
        lines = (
            " ".join(visible(word) for word in self._info.argv),
            *self._facts.details,
            *self._facts.spent[:1],
            *self._facts.found,
            *(self._facts.remarks or ("Nothing was lost: every system call is counted.",)),
        )
        self.tooltip = Content("\n".join(lines))  # a mere text would be read as markup
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One of the two to four lines."""
        width = self.size.width
        lines = header_lines(self._facts, width)
        pieces = lines[y] if y < len(lines) else []
        segments = [Segment(text, self._style(name)) for text, name in pieces if text]
        return Strip(segments).adjust_cell_length(width, self._style("text"))

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"run-header--{name}") if self.is_attached else Style.null()
