"""The live screen: what a command and all its descendants call, right now and in all."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.geometry import Size
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static
from textual.worker import get_current_worker

from denet_tui.detail import Seen
from denet_tui.findings.rules import findings
from denet_tui.model import ProcessInfo, Snapshot
from denet_tui.preferences.screen import Preferences
from denet_tui.preferences.state import Kept
from denet_tui.screens.live.difference import DifferenceScreen
from denet_tui.screens.live.frame import Frame
from denet_tui.screens.live.messages import SnapshotReady, WatchFailed
from denet_tui.screens.live.rates import Rates
from denet_tui.screens.live.signalling import ask
from denet_tui.screens.live.tabs import TABS
from denet_tui.screens.live.terminal import POLLS_PER_SECOND, Terminal
from denet_tui.screens.live.view import View, crumbs, seen_through
from denet_tui.system.visible import how_many
from denet_tui.watch.closely import look
from denet_tui.watch.source import Source
from denet_tui.widgets.crumbs import Crumbs
from denet_tui.widgets.details import DetailsPage
from denet_tui.widgets.first_help import FirstHelp
from denet_tui.widgets.header import RunHeader
from denet_tui.widgets.keys import KeyLine
from denet_tui.widgets.narrowing import Narrow
from denet_tui.widgets.output import OutputView, typing_into
from denet_tui.widgets.tabs import TabRow
from denet_tui.widgets.timeview import TimeView
from denet_tui.widgets.window import Window

_MOST_WAITING = 16
"""Snapshots that may wait for a screen that is busy; older ones are let go, their numbers are in the newer ones."""


_KEYS = {tab.id: number for number, tab in enumerate(TABS, 1)}
"""Of the tabs."""

_PACES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds between two samples that `+` and `-` choose from."""


class LiveScreen(Screen[None], inherit_bindings=False):
    """Header, process tree, syscall table and chart over one stream of snapshots."""

    CSS_PATH = "screen.tcss"
    AUTO_FOCUS = ""
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (40, "-narrow"), (100, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (10, "-short"), (18, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "space", "pause", "Pause", id="live.pause", tooltip="Freeze the view; counting goes on", key_display="space"
        ),
        Binding("tab", "pane(1)", "Pane", id="live.pane", tooltip="Go to the next pane of this tab", key_display="tab"),
        Binding(
            "shift+tab", "pane(-1)", "Pane back", id="live.pane-back", tooltip="Go to the previous pane", show=False
        ),
        *(
            Binding(
                str(number),
                f"tab({number - 1})",
                tab.name,
                id=f"live.{tab.id}",
                tooltip=f"Show the tab {tab.name}",
                show=False,
            )
            for number, tab in enumerate(TABS, 1)
        ),
        Binding(
            "c",
            "cumulate",
            "Start or interval",
            id="live.cumulate",
            tooltip="Numbers since the start, or of the last interval alone",
            show=False,
        ),
        Binding(
            "plus,equals_sign",
            "pace(1)",
            "Sample less often",
            id="live.slower",
            tooltip="Look less often at the kernel",
            show=False,
        ),
        Binding(
            "minus",
            "pace(-1)",
            "Sample more often",
            id="live.faster",
            tooltip="Look more often at the kernel",
            show=False,
        ),
        Binding(
            "d",
            "difference",
            "Difference",
            id="live.difference",
            tooltip="What differs from the run before, system call by system call",
        ),
        Binding("escape", "put_away", "No help", id="live.put-away", tooltip="Put the help for the first run away"),
        Binding(
            "backspace,escape",
            "widen",
            "Widen",
            id="live.widen",
            tooltip="Take back the last step of narrowing",
            key_display="⌫",
        ),
    ]

    def __init__(self, source: Source, preferences: Preferences | None = None, before: Snapshot | None = None) -> None:
        """`before` is the end of the run before, where this is the same command once more."""
        super().__init__()
        self._before = before
        self._compared = False
        self.source = source
        self._preferences = preferences or Preferences()
        self.waiting: deque[Snapshot] = deque(maxlen=_MOST_WAITING)
        self.rates = Rates()
        self.newest: Snapshot | None = None
        self.shown: Snapshot | None = None
        self._earlier: Snapshot | None = None
        self._shown_earlier: Snapshot | None = None
        """The snapshots right before the newest one and before the one that is shown."""
        self._tick = -1
        """The tick of `_rates.whole` that is shown."""
        self.view = View()
        self.window = Window()
        self.tab = next((at for at, tab in enumerate(TABS) if tab.id == self._preferences.kept.tab), 0)
        self.body: dict[str, Widget] = {}
        """What the tabs are made of, as far as they were shown."""
        self._terminal = Terminal(source)
        self._closely: Callable[[ProcessInfo], Seen | None] | None = look
        """Looks at a process that lives here; None if none does."""

    def compose(self) -> ComposeResult:
        """Lay the widgets out; a tab is filled when it is shown first."""
        yield RunHeader(self.source.info)
        yield TabRow([tab.name for tab in TABS])
        yield Crumbs()
        yield from (Vertical(id=tab.id, classes="tab -shown" if tab is TABS[self.tab] else "tab") for tab in TABS)
        if self._preferences.folder is not None and not self._preferences.kept.helped:
            yield FirstHelp()
        yield KeyLine()
        yield Static("terminal too small: needs 40x10", id="too-small")

    async def on_mount(self) -> None:
        """Start to watch."""
        self.newest = self.shown = self.source.latest
        await self.action_tab(self.tab)
        self.call_after_refresh(self._start)

    def _start(self) -> None:
        """Let the command go, now that its terminal has its size."""
        self._fit_terminal()
        self.set_interval(1 / POLLS_PER_SECOND, self._poll)
        self.run_worker(self._watch, name="watch", thread=True)

    # From the worker's thread

    def _watch(self) -> None:
        try:
            self.source.run(self._publish, get_current_worker().cancelled_event)
        except Exception as error:  # noqa: BLE001 (whatever it is, it is for the caller of the app to explain)
            self.post_message(WatchFailed(error))

    def _publish(self, snapshot: Snapshot) -> None:
        self.waiting.append(snapshot)
        self.post_message(SnapshotReady())

    # From snapshots to widgets

    def on_snapshot_ready(self) -> None:
        """Take in all that wait; draw the last of them, unless paused."""
        taken = False
        while self.waiting:
            self._take_in(self.waiting.popleft())
            taken = True
        if taken and not self.view.paused:
            self._catch_up()
        if self.newest is not None and not self.newest.running and not self._compared and self.is_current:
            self._compared = True
            self.action_difference()

    def _take_in(self, snapshot: Snapshot) -> None:
        self._earlier, self.newest = self.newest, snapshot
        self.rates.add(snapshot)

    def _catch_up(self) -> None:
        self._tick = self.rates.whole.tick
        self._shown_earlier = self._earlier
        self._apply(self.newest)

    def _apply(self, snapshot: Snapshot | None) -> None:
        """Draw `snapshot`, everything at once: the header, and the tab that is shown."""
        self.shown = snapshot
        with self.app.batch_update():
            self._show_header()
            self.query_one(Crumbs).show(crumbs(self.view), self._aside())
            self._show_tab()
        self._fit_terminal()

    def _show_header(self) -> None:
        last = self._terminal.last_line if self.shown is not None and self.shown.status else ""
        said = f"{last}   {_KEYS['output']} shows all" if last else ""
        found = findings(self.shown) if self.shown else ()
        told = [f"{each.text}   {_KEYS[each.tab]} shows more" for each in found]
        self.query_one(RunHeader).show(self.shown, paused=self.view.paused, said=said, found=told)

    def _show_tab(self) -> None:
        if self.shown is None:
            return
        seen = seen_through(self.view, self.shown, self._shown_earlier)
        frame = Frame(self.view, seen, self.shown, self.rates, self.window, self._tick, self._known_s(), self._closely)
        tab = TABS[self.tab]
        body = self.body[tab.id]
        if tab.show and body.is_mounted:  # a snapshot may come while it is being made, and has its turn at the end
            tab.show(body, frame)

    def _known_s(self) -> float:
        return self.shown.elapsed_ns / 1e9 if self.shown else 0.0

    def left_as(self) -> Kept:
        """What is worth keeping for the next run."""
        kept = self._preferences.kept
        for tab in TABS:
            if tab.left_as and tab.id in self.body:
                kept = tab.left_as(self.body[tab.id], kept)
        return replace(kept, tab=TABS[self.tab].id, helped=True)

    def _aside(self) -> str:
        """What the numbers are not of, in a few words."""
        view, said = self.view, []
        if not view.cumulative:
            seconds = self.shown.interval_ns / 1e9 if self.shown else self.source.info.interval_s
            said.append(f"only the last {seconds:.1f} s")
        elif view.of_processes and self.shown and self.shown.forgotten:
            said.append(f"without {how_many(self.shown.forgotten, 'process')} that ended earlier")
        if view.of_errors:
            said.append("times are of all calls, failed or not")
        return "; ".join(said)

    # What the user does

    async def action_tab(self, index: int) -> None:
        """Show a tab; fill it where it is shown for the first time."""
        self.tab, tab = index, TABS[index]
        if tab.id not in self.body:
            body = self.body[tab.id] = tab.make()
            if tab.prefer:
                tab.prefer(body, self._preferences)
            await self.query_one(f"#{tab.id}").mount(body)
        with self.app.batch_update():
            for each in TABS:
                self.query_one(f"#{each.id}").set_class(each is tab, "-shown")
            self.query_one(TabRow).show(index, self._terminal.hint and f"{self._terminal.hint} waits for input")
            self._show_tab()
            self._terminal.show(self.query(OutputView))
        panes = self._panes()
        if panes and self.focused not in panes:
            panes[tab.first].focus()

    def _panes(self) -> list[Widget]:
        """What can have the focus in the tab that is shown, whether or not there is room for it."""
        return [widget for widget in self.query(f"#{TABS[self.tab].id} *") if widget.can_focus and widget.display]

    def action_pane(self, by: int) -> None:
        """Go to the next pane of this tab, or the one before."""
        panes = self._panes()
        if panes:
            at = panes.index(self.focused) if self.focused in panes else -1
            panes[(at + by) % len(panes)].focus()

    async def on_tab_row_clicked(self, message: TabRow.Clicked) -> None:
        """Show the tab that was clicked."""
        await self.action_tab(message.index)

    def on_narrow(self, message: Narrow) -> None:
        """Narrow to whatever was chosen."""
        self._look(self.view.narrowed(*message.steps))

    def on_time_view_window_changed(self, message: TimeView.WindowChanged) -> None:
        """Show another stretch of time."""
        self.window = message.window
        self._apply(self.shown)

    def action_widen(self) -> None:
        """Take the last narrowing back."""
        self._look(self.view.widened())

    def on_details_page_signal(self, message: DetailsPage.Signal) -> None:
        """Ask for a signal, and send it."""
        ask(self.app, message.process)

    def action_cumulate(self) -> None:
        """Between the numbers since the start and those of the last interval."""
        self._look(replace(self.view, cumulative=not self.view.cumulative))

    def action_pace(self, by: int) -> None:
        """Take the next longer interval between two samples (1), or the next shorter one (-1)."""
        now = self.source.interval_s
        others = [pace for pace in _PACES if (pace > now if by > 0 else pace < now)]
        if others:
            self.source.interval_s = min(others) if by > 0 else max(others)
        limit = "" if others else ": this is the limit"
        self.notify(f"one sample every {self.source.interval_s:g} s{limit}", markup=False)

    def _look(self, view: View) -> None:
        """Show the same moment in another way."""
        before, self.view = self.view, view
        if self.newest is not None and view.trail is not before.trail:
            self.rates.narrow(view.inside if view.of_processes else None, self.newest.processes)
        self._apply(self.shown)
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 (Textual's)
        """Offer widening only where something is narrowed, and nothing while keys are for the command."""
        if typing_into(self.focused) or (action == "difference" and self._before is None):
            return False
        if action == "put_away":
            return bool(self.query(FirstHelp))
        return bool(self.view.trail) if action == "widen" else True

    async def action_put_away(self) -> None:
        """Put the help for the first run away."""
        await self.query(FirstHelp).remove()
        self.refresh_bindings()

    def action_pause(self) -> None:
        """Freeze the view, or catch up."""
        self.view = replace(self.view, paused=not self.view.paused)
        if self.view.paused:
            self._apply(self.shown)
        else:
            self._catch_up()

    def on_resize(self) -> None:
        """The command's terminal is as large as the pane that shows it."""
        self.call_after_refresh(self._fit_terminal)

    def action_difference(self) -> None:
        """Compare this run with the one before."""
        if self._before is not None and self.newest is not None:
            self.app.push_screen(DifferenceScreen(self._before, self.newest))

    # The command's terminal

    def _fit_terminal(self) -> None:
        """Its size is that without messages: what the command is told is not about them."""
        room = self.query_one(f"#{TABS[self.tab].id}").size
        said = sum(toast.outer_size.height for toast in self.query("Toast"))
        self._terminal.fit(Size(room.width, room.height + said * bool(room.height)))

    def _poll(self) -> None:
        """Take what the command wrote, whatever tab is shown; draw what the one that is shown has between snapshots."""
        if self._terminal.poll():
            hint = self._terminal.hint
            self._terminal.show(self.query(OutputView))
            self.query_one(TabRow).show(self.tab, hint and f"{hint} waits for input")
            if self.shown is not None and not self.shown.running:
                self._show_header()  # the last words may come after the last numbers
        tab = TABS[self.tab]
        if tab.poll:
            tab.poll(self.body[tab.id], self.source)

    def on_output_view_typed(self, message: OutputView.Typed) -> None:
        """Give it to the command."""
        if not self._terminal.type(message.data):
            self.notify("The command does not read what is typed.", severity="warning")
