"""The tabs of the live screen: what each is made of, and how it is brought up to date.

A tab is made when it is shown for the first time. `show` is called with every new Frame while the tab is shown,
and each time that it becomes so: a hidden tab costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from textual.widget import Widget

from denet_tui.model import Snapshot
from denet_tui.preferences.screen import Preferences
from denet_tui.preferences.state import Kept
from denet_tui.screens.live.frame import Frame
from denet_tui.screens.live.latency import LatencyTab
from denet_tui.screens.live.overview import Overview
from denet_tui.screens.live.touching import touched_through
from denet_tui.screens.live.view import seen_through
from denet_tui.watch.source import Source
from denet_tui.widgets.errors import ErrorsView
from denet_tui.widgets.files import FilesView
from denet_tui.widgets.inflight import InFlightView
from denet_tui.widgets.log import LogView
from denet_tui.widgets.output import OutputView
from denet_tui.widgets.spark import TREND_TICKS


class Tab(NamedTuple):
    """One tab; what it can do is called with what `make` made. What it has no use for is None."""

    id: str
    name: str
    make: Callable[[], Widget]
    show: Callable[[Any, Frame], None] | None = None
    """Draw a snapshot."""
    prefer: Callable[[Any, Preferences], None] | None = None
    """Take what the user prefers, before it is mounted."""
    left_as: Callable[[Any, Kept], Kept] | None = None
    """What was kept of the last run, and of this one what the tab wants to be kept of it."""
    poll: Callable[[Any, Source], None] | None = None
    """Draw what comes between two snapshots; many times a second, while the tab is shown."""
    first: int = 0
    """Which of its panes has the keys at first."""


def _show_errors(view: ErrorsView, frame: Frame) -> None:
    errors, of = frame.rates.errors, " in all processes" * frame.view.of_processes
    view.show(_since_start(frame), lambda key: errors.last(key, TREND_TICKS, errors.tick - frame.behind), of)


def _show_in_flight(view: InFlightView, frame: Frame) -> None:
    view.show(_since_start(frame))


def _show_files(view: FilesView, frame: Frame) -> None:
    seen, of_processes = _since_start(frame), frame.view.of_processes
    of = " of these processes" * of_processes + " in all calls" * frame.view.of_syscalls
    view.show(touched_through(frame.view, seen), seen.processes, frame.whole.detail.turned_away, of)


def _since_start(frame: Frame) -> Snapshot:
    """What these tabs count has no interval of its own."""
    return frame.snapshot if frame.view.cumulative else seen_through(replace(frame.view, cumulative=True), frame.whole)


TABS = (
    Tab("overview", "Overview", Overview, Overview.show, Overview.prefer, Overview.left_as, first=1),
    Tab("latency", "Latency", LatencyTab, LatencyTab.show),
    Tab("errors", "Errors", ErrorsView, _show_errors),
    Tab("inflight", "In flight", InFlightView, _show_in_flight),
    Tab("output", "Output", OutputView),
    Tab("log", "Log", LogView, poll=lambda view, source: view.show_entries(source.log)),
    Tab("files", "Files", FilesView, _show_files),
)
