"""The Overview tab: the process tree, the syscall table, and the chart of the syscall under its cursor."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from denet_tui.screens.frame import Frame
from denet_tui.widgets import processes, syscalls, words
from denet_tui.widgets.chart import Chart
from denet_tui.widgets.lines import LineView
from denet_tui.widgets.processes import ProcessTree, process_rows
from denet_tui.widgets.switch import PaneSwitch
from denet_tui.widgets.syscalls import SyscallTable, syscall_rows


class Overview(Vertical):
    """Side by side where there is room; else the tree and the table take turns."""

    def __init__(self) -> None:
        super().__init__()
        self._frame: Frame | None = None

    def compose(self) -> ComposeResult:
        """Lay the widgets out; which of them are shown is up to the style sheet."""
        yield PaneSwitch(("Syscalls", "Processes"))
        with Horizontal(id="panes"):
            with Vertical(id="left"):
                yield ProcessTree()
            with Vertical(id="right"):
                yield SyscallTable()
                yield Chart()

    def show(self, frame: Frame) -> None:
        """Draw `frame`."""
        self._frame = frame
        snapshot, rates = frame.snapshot, frame.rates
        self.query_one(ProcessTree).show(
            process_rows(
                snapshot.processes,
                snapshot.interval_ns,
                lambda key: rates.processes.last(key, processes.SPARK_POINTS, rates.processes.tick - frame.behind),
            )
        )
        view = rates.view
        self.query_one(SyscallTable).show(
            syscall_rows(
                snapshot.syscalls,
                snapshot.recent,
                snapshot.interval_ns,
                lambda syscall: view.last(syscall, syscalls.SPARK_POINTS, view.tick - frame.behind),
            )
        )
        self._show_chart(frame)

    def _show_chart(self, frame: Frame) -> None:
        row = self.query_one(SyscallTable).current
        if row is None:
            self.query_one(Chart).show("", (), ())
            return
        view = frame.rates.view
        tick = view.tick - frame.behind
        times = view.times(view.length, tick)
        self.query_one(Chart).show(
            words.clean(row.syscall.name),
            [time - times[-1] for time in times],
            view.last(row.syscall, view.length, tick),
            final=not frame.whole.running,
        )

    def on_line_view_moved(self, message: LineView.Moved) -> None:
        """Chart the syscall that the cursor went to."""
        if isinstance(message.view, SyscallTable) and self._frame is not None:
            self._show_chart(self._frame)

    def on_pane_switch_picked(self, message: PaneSwitch.Picked) -> None:
        """Show the pane whose name was clicked."""
        self._show_pane(message.index)

    def on_process_tree_chosen(self) -> None:
        """Where one pane is shown at a time: what was narrowed is the other one."""
        if self.screen.has_class("-narrow"):
            self._show_pane(0)

    def _show_pane(self, index: int) -> None:
        self._mark(index)
        (self.query_one(ProcessTree) if index else self.query_one(SyscallTable)).focus()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Remember the pane, so that it is the one that stays when the terminal gets narrow."""
        self._mark(int(isinstance(event.widget, ProcessTree)))

    def _mark(self, index: int) -> None:
        self.set_class(index == 1, "-tree")
        self.query_one(PaneSwitch).show(index)
