"""The live screen: what a command and all its descendants call, right now and in all."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import ClassVar, Protocol

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static
from textual.worker import get_current_worker

from denet_tui.messages import SnapshotReady, WatchFailed
from denet_tui.model import ProcessInfo, RunInfo, Snapshot
from denet_tui.screens.rates import Rates
from denet_tui.screens.scope import subtree, sums
from denet_tui.widgets import processes, syscalls, words
from denet_tui.widgets.chart import Chart
from denet_tui.widgets.header import RunHeader
from denet_tui.widgets.keys import KeyLine
from denet_tui.widgets.lines import LineView
from denet_tui.widgets.processes import ProcessTree, process_key, process_rows
from denet_tui.widgets.switch import PaneSwitch
from denet_tui.widgets.syscalls import SyscallTable, syscall_rows

_MOST_WAITING = 16
"""Snapshots that may wait for a screen that is busy; older ones are let go, their numbers are in the newer ones."""


class Source(Protocol):
    """Where snapshots come from: a session that watches a command, later a recording."""

    @property
    def info(self) -> RunInfo:
        """What does not change during the run."""

    @property
    def latest(self) -> Snapshot | None:
        """The newest snapshot."""

    def run(self, publish: Callable[[Snapshot], None], stop: threading.Event) -> None:
        """Publish snapshots until the command has ended or `stop` is set."""

    def resize(self, columns: int, rows: int) -> None:
        """Tell the command's terminal its size."""


class LiveScreen(Screen[None], inherit_bindings=False):
    """Header, process tree, syscall table and chart over one stream of snapshots."""

    CSS_PATH = "live.tcss"
    AUTO_FOCUS = "SyscallTable"
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (40, "-narrow"), (100, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (10, "-short"), (18, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "space", "pause", "Pause", id="live.pause", tooltip="Freeze the view; counting goes on", key_display="space"
        ),
        Binding("tab,shift+tab", "pane", "Pane", id="live.pane", tooltip="Go to the other pane", key_display="tab"),
        Binding(
            "backspace",
            "widen",
            "Widen",
            id="live.widen",
            tooltip="Show the syscalls of all processes again",
            key_display="⌫",
        ),
    ]

    def __init__(self, source: Source) -> None:
        super().__init__()
        self._source = source
        self._waiting: deque[Snapshot] = deque(maxlen=_MOST_WAITING)
        self._rates = Rates()
        self._newest: Snapshot | None = None
        self._shown: Snapshot | None = None
        self._behind = 0
        """Ticks between the newest snapshot and the one shown; more than 0 only while paused."""
        self._narrowed: ProcessInfo | None = None
        self.paused = False

    def compose(self) -> ComposeResult:
        """Lay the widgets out; which of them are shown is up to the style sheet."""
        yield RunHeader(self._source.info)
        yield PaneSwitch(("Syscalls", "Processes"))
        with Horizontal(id="panes"):
            with Vertical(id="left"):
                yield Static("Process tree", classes="title")
                yield ProcessTree()
            with Vertical(id="right"):
                yield Static("", classes="title", id="scope")
                yield SyscallTable()
                yield Chart()
        yield KeyLine()
        yield Static("terminal too small: needs 40x10", id="too-small")

    def on_mount(self) -> None:
        """Start to watch."""
        self._newest = self._source.latest
        self._say_scope()
        if self._newest is not None:
            self._apply(self._newest)
        self.run_worker(self._watch, name="watch", thread=True)

    # From the worker's thread

    def _watch(self) -> None:
        try:
            self._source.run(self._publish, get_current_worker().cancelled_event)
        except Exception as error:  # noqa: BLE001 (whatever it is, it is for the caller of the app to explain)
            self.post_message(WatchFailed(error))

    def _publish(self, snapshot: Snapshot) -> None:
        self._waiting.append(snapshot)
        self.post_message(SnapshotReady())

    # From snapshots to widgets

    def on_snapshot_ready(self) -> None:
        """Take in all that wait; draw the last of them, unless paused."""
        taken = 0
        while self._waiting:
            self._newest = self._waiting.popleft()
            self._rates.add(self._newest)
            taken += 1
        if not taken or self._newest is None:
            return
        if self.paused:
            self._behind += taken
        else:
            self._apply(self._newest)

    def _apply(self, snapshot: Snapshot) -> None:
        """Draw `snapshot`, everything at once."""
        self._shown = snapshot
        rates = self._rates.processes
        with self.app.batch_update():
            self.query_one(RunHeader).show(snapshot, paused=self.paused)
            self.query_one(ProcessTree).show(
                process_rows(
                    snapshot.processes,
                    snapshot.interval_ns,
                    lambda key: rates.last(key, processes.SPARK_POINTS),
                )
            )
            self._show_syscalls(snapshot)

    def _show_syscalls(self, snapshot: Snapshot) -> None:
        view = self._rates.view
        tick = view.tick - self._behind
        known = sums(snapshot, process_key(self._narrowed) if self._narrowed else None)
        self.query_one(SyscallTable).show(
            syscall_rows(
                known.counted,
                known.recent,
                snapshot.interval_ns,
                lambda syscall: view.last(syscall, syscalls.SPARK_POINTS, tick),
            )
        )
        self._show_chart()

    def _show_chart(self) -> None:
        row = self.query_one(SyscallTable).current
        view = self._rates.view
        tick = view.tick - self._behind
        times = view.times(view.length, tick)
        if row is None:
            self.query_one(Chart).show("", (), ())
            return
        values = view.last(row.syscall, view.length, tick)
        final = self._shown is not None and not self._shown.running
        self.query_one(Chart).show(
            words.clean(row.syscall.name), [time - times[-1] for time in times], values, final=final
        )

    def _say_scope(self) -> None:
        text = "Syscalls of all processes"
        self.set_class(self._narrowed is not None, "-narrowed")
        if self._narrowed is not None:
            name = words.command(self._narrowed.cmdline, self._narrowed.comm)
            text = f"Syscalls of {self._narrowed.pid} {words.clip(name, 30)} and everything below it"
        self.query_one("#scope", Static).update(Content(text))

    # What the user does

    def on_line_view_moved(self, message: LineView.Moved) -> None:
        """Chart the syscall that the cursor went to."""
        if isinstance(message.view, SyscallTable):
            self._show_chart()

    def on_process_tree_chosen(self, message: ProcessTree.Chosen) -> None:
        """Narrow to the chosen process."""
        self._narrow(message.process)
        if self.has_class("-narrow"):
            self._show_pane(0)

    def on_pane_switch_picked(self, message: PaneSwitch.Picked) -> None:
        """Show the pane whose name was clicked."""
        self._show_pane(message.index)

    def action_widen(self) -> None:
        """Show all processes again."""
        if self._narrowed is not None:
            self._narrow(None)

    def _narrow(self, process: ProcessInfo | None) -> None:
        self._narrowed = process
        if self._newest is None or self._shown is None:
            return
        if process is None:
            self._rates.narrow(None, [])
        else:
            root = process_key(process)
            self._rates.narrow(root, subtree(self._newest.processes, root))
        with self.app.batch_update():
            self._say_scope()
            self._show_syscalls(self._shown)
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 (Textual's)
        """Offer widening only where something is narrowed."""
        return self._narrowed is not None if action == "widen" else True

    def action_pause(self) -> None:
        """Freeze the view, or catch up."""
        self.paused = not self.paused
        if not self.paused:
            self._behind = 0
        snapshot = self._shown if self.paused else self._newest
        if snapshot is not None:
            self._apply(snapshot)
        else:
            self.query_one(RunHeader).show(None, paused=self.paused)

    def action_pane(self) -> None:
        """Go to the other pane."""
        self._show_pane(0 if self.query_one(ProcessTree).has_focus else 1)

    def _show_pane(self, index: int) -> None:
        self.set_class(index == 1, "-tree")
        self.query_one(PaneSwitch).show(index)
        (self.query_one(ProcessTree) if index else self.query_one(SyscallTable)).focus()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Remember the pane, so that it is the one that stays when the terminal gets narrow."""
        index = int(isinstance(event.widget, ProcessTree))
        self.set_class(index == 1, "-tree")
        self.query_one(PaneSwitch).show(index)

    def on_resize(self, event: events.Resize) -> None:
        """The command's terminal is as large as ours."""
        self._source.resize(event.size.width, event.size.height)
