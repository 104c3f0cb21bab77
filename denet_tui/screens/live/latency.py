"""The Latency tab: how long calls take, over time."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static

from denet_tui.model import Syscall
from denet_tui.screens.live.frame import Frame
from denet_tui.screens.live.over_time import OverTime, reader
from denet_tui.screens.live.touching import touched_through
from denet_tui.system.visible import visible
from denet_tui.widgets.latency import LatencyView
from denet_tui.widgets.slowest import SlowestTable, slow_rows


class LatencyTab(OverTime):
    """The heat map of all syscalls together, or of one."""

    DEFAULT_CSS = """
    LatencyTab {
        & > .caption { height: 1; padding: 0 1; color: $text-primary; text-wrap: nowrap; text-overflow: ellipsis; }
        & > LatencyView { height: 1fr; }
        & > SlowestTable { height: 1fr; }
        & > .caption, & > SlowestTable { display: none; }
        &.-slowest > LatencyView { height: auto; }
        &.-slowest > .caption, &.-slowest > SlowestTable { display: block; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._frame: Frame | None = None
        self._chosen: Syscall | None = None
        """None: all of them."""

    def compose(self) -> ComposeResult:
        """The map, and below it the slowest calls, where they are watched."""
        yield LatencyView()
        yield Static("", classes="caption lower")
        yield SlowestTable()

    def show(self, frame: Frame) -> None:
        """Draw `frame`."""
        self._frame = frame
        offered = self._offered(frame)
        chosen = self._chosen if self._chosen in offered else None
        wanted = [call for call in frame.whole.syscalls if frame.view.wants(call)]
        name, syscalls = "all calls", wanted if len(wanted) < len(frame.whole.syscalls) else None
        if chosen is not None or len(wanted) == 1:
            syscalls = [chosen or wanted[0]]
            name = visible(syscalls[0].name)
        self.query_one(LatencyView).show(
            name, reader(frame, syscalls), frame.window, frame.known_s, final=not frame.whole.running
        )
        touched = touched_through(frame.view, frame.snapshot)
        self.set_class(touched is not None, "-slowest")
        self.query_one(".caption", Static).update(Content(f"The slowest of {name} since the start"))
        names = None if syscalls is None else {call.name for call in syscalls}
        self.query_one(SlowestTable).show(slow_rows(touched, frame.whole, names))

    def on_latency_view_chosen(self, message: LatencyView.Chosen) -> None:
        """Show the next syscall, the previous one, or all of them."""
        if self._frame is None:
            return
        choices = [None, *self._offered(self._frame)]
        at = choices.index(self._chosen) if self._chosen in choices else 0
        if message.by:
            self._chosen = choices[max(0, min(at + message.by, len(choices) - 1))]
        else:
            self._chosen = choices[1] if at == 0 and len(choices) > 1 else None
        self.show(self._frame)

    def _offered(self, frame: Frame) -> list[Syscall]:
        """The syscalls that can be shown, those with the most calls first."""
        seen = frame.snapshot.syscalls
        return sorted((call for call in seen if seen[call].calls), key=lambda call: (-seen[call].calls, call.name))
