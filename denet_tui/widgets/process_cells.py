"""What stands in the cells of the process tree."""

from __future__ import annotations

from collections.abc import Sequence

from denet_tui.detail import Time
from denet_tui.spent import together
from denet_tui.system.visible import visible
from denet_tui.widgets import formatting
from denet_tui.widgets.ended import EndedRow
from denet_tui.widgets.line_view import Piece
from denet_tui.widgets.process_rows import Blocked, GroupRow, ProcessRow
from denet_tui.widgets.time_bar import bar

MOST_GUIDE = 12


def guide_of(row: ProcessRow | EndedRow, width: int) -> str:
    """The guide before a process; a third of the width at most, so that a name deep in the tree can be read."""
    most = max(4, min(width // 3, MOST_GUIDE))
    return row.guide if len(row.guide) <= most else "…" + row.guide[1 - most :]


def count_of(group: GroupRow) -> str:
    """How many live, and how many there were."""
    every = len(group.members)
    return f"{every}" if group.living == every else f"{group.living}/{every}"


def now_of(row: ProcessRow | GroupRow, key: str, width: int) -> Sequence[Piece]:
    """What is so of a living process at the moment."""
    match key:
        case "cpu":
            return ((f"{row.cpu:.0f}", "text"),)
        case "rss":
            return ((formatting.size(row.rss), "text"),)
        case "threads":
            return ((str(row.threads), "text"),)
        case "blocked":
            return ((waits(row.blocked, width), "text"),) if row.blocked else ()
    return ((formatting.rate(row.errors), "warn" if row.errors else "dim"),)


def end_of(row: ProcessRow | GroupRow) -> str:
    """How a process ended: `exit 3`, `SIGKILL`."""
    if isinstance(row, GroupRow):
        return "ended"
    return "end lost" if row.process.lost else formatting.ended_short(row.process.status)


def waits(call: Blocked, width: int) -> str:
    """`futex 3.2s` (`>3.2s` where it began before the attach), the name cut where there is no room for all of it."""
    time = f"{'>' * call.earlier}{formatting.duration(call.for_ns)}"
    if width - len(time) < 5:
        return formatting.clip(visible(call.name), width)
    return f"{formatting.clip(visible(call.name), width - len(time) - 1)} {time}"


def _spent(row: ProcessRow | GroupRow | EndedRow) -> Time | None:
    return row.process.time if isinstance(row, ProcessRow) else together(each.time for each in row.members)


def time_of(row: ProcessRow | GroupRow, width: int) -> str:
    """Where its time went, as a bar; empty where that is not known."""
    spent = _spent(row)
    return bar(spent, width) if spent else ""


def on_cpu_ns(row: ProcessRow | GroupRow | EndedRow) -> int:
    """How long its threads were on a CPU, 0 where that is not known."""
    spent = _spent(row)
    return spent.user_ns + spent.kernel_ns if spent else 0
