"""The Overview tab: the process tree, the syscall table, and the chart of the syscall under its cursor."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical

from denet_tui.model import ProcessKey, Syscall
from denet_tui.preferences.screen import Preferences
from denet_tui.preferences.state import Kept
from denet_tui.screens.live.frame import Frame
from denet_tui.screens.live.over_time import OverTime, class_curves, syscall_curves
from denet_tui.widgets.chart import MOST_CURVES, Chart
from denet_tui.widgets.details import AllKnown, DetailsPage
from denet_tui.widgets.divider import Divider
from denet_tui.widgets.line_view import LineView
from denet_tui.widgets.narrowing import Narrow, Narrowing, Subtree
from denet_tui.widgets.process_rows import ProcessRow
from denet_tui.widgets.processes import ProcessTree
from denet_tui.widgets.spark import TREND_TICKS
from denet_tui.widgets.syscalls import SyscallTable
from denet_tui.widgets.tabs import PaneSwitch, TabRow
from denet_tui.widgets.whole_command import WholeCommand, whole_command

SYSCALLS, PROCESSES, DETAILS = range(3)
"""The panes; the Details are in the place of the syscalls."""


class Overview(OverTime):
    """Side by side where there is room; else the tree and the table take turns."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "m",
            "mark",
            "Keep on chart",
            id="overview.mark",
            tooltip="Keep this syscall on the chart beside others, or take it off",
            show=False,
        ),
        Binding(
            "M",
            "classes",
            "Chart classes",
            id="overview.classes",
            tooltip="Chart the classes of syscalls in place of single ones",
            show=False,
        ),
        Binding(
            "less_than_sign",
            "divide(-4)",
            "Narrower tree",
            id="overview.less-tree",
            tooltip="Give the tables more of the width, the process tree less",
            show=False,
        ),
        Binding(
            "greater_than_sign",
            "divide(4)",
            "Wider tree",
            id="overview.more-tree",
            tooltip="Give the process tree more of the width",
            show=False,
        ),
        Binding("e", "ended", "Ended", id="tree.ended", tooltip="Show each ended process, or fold them by name"),
        Binding("i", "details", "Details", id="overview.details", tooltip="All that is known of this process, or back"),
        Binding("escape", "close_details", "Back", id="overview.close-details", tooltip="Back from the Details"),
    ]
    TREE_WIDTH = 50
    """Percent, where the user has not said otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self._preferences = Preferences()
        self._tree_width = self.TREE_WIDTH
        self._frame: Frame | None = None
        self._marked: list[Syscall] = []
        self._by_class = False

    def compose(self) -> ComposeResult:
        """Lay the widgets out; which of them are shown is up to the style sheet."""
        yield PaneSwitch(("Syscalls", "Processes", "Details"))
        with Horizontal(id="panes"):
            with Vertical(id="left"):
                yield ProcessTree()
                yield WholeCommand()
            yield Divider()
            with Vertical(id="right"):
                yield SyscallTable()
                yield Chart()
                yield DetailsPage()

    def prefer(self, preferences: Preferences) -> None:
        """Say how the user wants it; before it is mounted."""
        self._preferences = preferences

    def on_mount(self) -> None:
        """Be as the user wants it."""
        kept, columns = self._preferences.kept, self._preferences.settings.columns
        self.action_divide(kept.tree_width - self._tree_width if kept.tree_width else 0)
        for table, sort, reverse in (
            (self.query_one(ProcessTree), kept.processes_sort, kept.processes_reverse),
            (self.query_one(SyscallTable), kept.syscalls_sort, kept.syscalls_reverse),
        ):
            if sort in table.ORDERS:
                table.sort_by(sort, reverse=reverse)
        for name, view in (("processes", self.query_one(ProcessTree)), ("syscalls", self.query_one(SyscallTable))):
            if name in columns:
                known = {column.key: column for column in view.COLUMNS}
                view.columns = [known[key] for key in columns[name]]

    def left_as(self, kept: Kept) -> Kept:
        """`kept` with what is worth keeping of this run."""
        tree, table = self.query_one(ProcessTree), self.query_one(SyscallTable)
        return replace(
            kept,
            tree_width=self._tree_width,
            processes_sort=tree.sort_key,
            processes_reverse=tree.reverse,
            syscalls_sort=table.sort_key,
            syscalls_reverse=table.reverse,
        )

    def action_divide(self, by: int) -> None:
        """Give the tree so much more of the width, in percent."""
        self._tree_width = min(70, max(15, self._tree_width + by))
        self.on_resize()

    def on_divider_dragged(self, message: Divider.Dragged) -> None:
        """Let the panes meet where it was drawn to."""
        if self.size.width:
            self.action_divide(round(100 * message.x / self.size.width) - self._tree_width)

    def on_resize(self) -> None:
        """Divide the width, where the tree and the tables share it."""
        alone = self.screen.has_class("-narrow")
        self.query_one("#left").styles.width = "1fr" if alone else f"{self._tree_width}%"

    def show(self, frame: Frame) -> None:
        """Draw `frame`."""
        self._frame = frame
        snapshot, rates = frame.snapshot, frame.rates
        series, view = rates.processes, rates.view
        self.query_one(ProcessTree).take(
            snapshot,
            (lambda key: rates.of_process(key, TREND_TICKS, frame.behind, snapshot.syscalls))
            if frame.view.of_syscalls
            else (lambda key: series.last(key, TREND_TICKS, series.tick - frame.behind)),
            errors=frame.view.of_errors,
        )
        self.query_one(SyscallTable).take(
            snapshot, lambda syscall: view.last(syscall, TREND_TICKS, view.tick - frame.behind)
        )
        self._show_process()
        self._show_chart(frame)

    def _show_process(self) -> None:
        """Say what the cursor of the tree is on: its whole command line, and its Details where they are asked for."""
        row, frame = self.query_one(ProcessTree).current, self._frame
        self.query_one(WholeCommand).show(row)
        if not self.detailed or frame is None:
            return
        known = None
        if isinstance(row, ProcessRow):
            process = next((each for each in frame.whole.processes if each.key == row.key), row.process)
            known = AllKnown(process, frame.whole, frame.look(process) if frame.look and process.alive else None)
        said = "".join(whole_command(row)) or "no process yet"
        self.query_one(DetailsPage).tell(known, said, here=frame.look is not None)

    def _show_chart(self, frame: Frame) -> None:
        curves = class_curves(frame) if self._by_class else syscall_curves(frame, self._charted())
        self.query_one(Chart).show(curves, frame.window, frame.known_s, final=not frame.whole.running)

    def _charted(self) -> list[Syscall]:
        """The syscalls that were marked, and the one under the cursor."""
        row = self.query_one(SyscallTable).current
        if row is None or row.syscall in self._marked:
            return self._marked
        return [*self._marked, row.syscall]

    def action_mark(self) -> None:
        """Keep the syscall under the cursor on the chart, or take it off."""
        row = self.query_one(SyscallTable).current
        if row is None or self._frame is None:
            return
        self._by_class = False
        if row.syscall in self._marked:
            self._marked.remove(row.syscall)
        elif len(self._marked) < MOST_CURVES - 1:
            self._marked.append(row.syscall)
        else:
            self.notify(f"the chart keeps {MOST_CURVES - 1} calls: take one off first", markup=False)
        self._show_chart(self._frame)

    def action_classes(self) -> None:
        """Chart the classes in place of single syscalls, or the other way round."""
        self._by_class = not self._by_class
        if self._frame is not None:
            self._show_chart(self._frame)

    def on_line_view_moved(self, message: LineView.Moved) -> None:
        """Chart the syscall that the cursor went to; say the whole command line of the process that it went to."""
        self._show_process()
        if isinstance(message.view, SyscallTable) and self._frame is not None:
            self._show_chart(self._frame)

    def on_tab_row_clicked(self, message: TabRow.Clicked) -> None:
        """Show the pane whose name was clicked."""
        message.stop()  # the screen would take it for one of its own tabs
        self._show_pane(message.index)

    def on_narrow(self, message: Narrow) -> None:
        """To what everything is narrowed to already: show its Details. Else show what was narrowed.

        Where one pane is shown at a time, that is the table.
        """
        trail = self._frame.view.trail if self._frame else ()
        steps = _subtrees(message.steps)
        tree_alone = self.screen.has_class("-narrow") and self.has_class("-tree")
        if steps and steps == _subtrees(trail) and not self.query_one(DetailsPage).has_focus:
            self._show_pane(DETAILS)
        elif tree_alone or self.query_one(DetailsPage).has_focus:
            self._show_pane(SYSCALLS)

    def action_ended(self) -> None:
        """Whichever pane has the focus: there is one tree."""
        self.query_one(ProcessTree).toggle_ended()

    def action_details(self) -> None:
        """Show the Details of the process that the tree's cursor is on, or go back to the syscalls."""
        self._show_pane(PROCESSES if self.detailed else DETAILS)

    def action_close_details(self) -> None:
        """Go back to the tree."""
        self._show_pane(PROCESSES)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 (Textual's)
        """Offer a way back only from somewhere, and nothing of a chart that is not there."""
        if action in ("scroll_time", "zoom_time"):
            return not self.detailed
        return self.detailed if action == "close_details" else True

    @property
    def detailed(self) -> bool:
        """Whether Details are shown, in the place of the syscalls."""
        return self.has_class("-details")

    def _show_pane(self, index: int) -> None:
        self.set_class(index == DETAILS, "-details")
        self._show_process()
        self._mark(index)
        self.query_one((SyscallTable, ProcessTree, DetailsPage)[index]).focus()
        self.refresh_bindings()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Remember the pane, so that it is the one that stays when the terminal gets narrow."""
        left = event.widget in self.query("#left *")
        self._mark(PROCESSES if left else DETAILS if self.detailed else SYSCALLS)

    def _mark(self, index: int) -> None:
        self.set_class(index == PROCESSES, "-tree")
        self.query_one(PaneSwitch).show(index)


def _subtrees(steps: Iterable[Narrowing]) -> list[ProcessKey]:
    return [step.process.key for step in steps if isinstance(step, Subtree)]
