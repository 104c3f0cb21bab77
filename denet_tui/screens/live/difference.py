"""The difference between this run and the one before."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from denet_tui.model import Snapshot
from denet_tui.record.compare import compare
from denet_tui.system.visible import how_many
from denet_tui.widgets import formatting
from denet_tui.widgets.changes import ChangeTable, signed
from denet_tui.widgets.keys import KeyLine


class DifferenceScreen(ModalScreen[None], inherit_bindings=False):
    """Two runs of one command, system call by system call."""

    CSS_PATH = "difference.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,d,q", "dismiss", "Close", id="difference.close", tooltip="Back to the run"),
        Binding("question_mark,f1", "app.help", "Help", id="difference.help", tooltip="Explain this table"),
        Binding("R", "app.again", "Run again", id="difference.again", tooltip="Run the command once more"),
        # A modal screen hides the app's own keys.
        Binding("ctrl+c", "app.quit", "Quit", id="difference.quit", tooltip="Leave denet-tui", show=False),
    ]

    def __init__(self, before: Snapshot, after: Snapshot) -> None:
        super().__init__()
        self._before, self._after = before, after

    def compose(self) -> ComposeResult:
        """Lay the table out."""
        with Vertical() as box:
            box.border_title = "What changed from the run before"
            yield Static(Content(in_words(self._before, self._after)), id="runs")
            yield ChangeTable()
            yield KeyLine()

    def on_mount(self) -> None:
        """Compare."""
        table = self.query_one(ChangeTable)
        table.show(compare(self._before.syscalls, self._after.syscalls))
        table.focus()


def in_words(before: Snapshot, after: Snapshot) -> str:
    """Both runs and their difference, in three lines."""
    more = after.total.calls - before.total.calls
    longer = signed(after.elapsed_ns - before.elapsed_ns, formatting.duration)
    calls = signed(more, lambda count: f"{count:,}")
    return "\n".join(
        (
            f"before      {_run(before)}",
            f"{'this run' if not after.running else 'so far':<11} {_run(after)}",
            f"difference  {calls} calls, {longer}",
        )
    )


def _run(snapshot: Snapshot) -> str:
    seen = len(snapshot.processes) + snapshot.forgotten
    state = "running" if snapshot.running else formatting.ended(snapshot.status)
    short = "" if snapshot.exact else f", not exact: {snapshot.doubt}"
    return (
        f"{state} after {formatting.elapsed(snapshot.elapsed_ns)}, {how_many(snapshot.total.calls, 'call')}, "
        f"{how_many(snapshot.total.errors, 'error')}, {how_many(seen, 'process')}{short}"
    )
