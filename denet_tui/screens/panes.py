"""The tabs of the live screen: what each is made of, and how it is brought up to date.

A tab is made when it is shown for the first time. `show` is called with every new Frame while the tab is shown,
and each time that it becomes so: a hidden tab costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from textual.widget import Widget
from textual.widgets import Static

from denet_tui.screens.frame import Frame
from denet_tui.screens.latency_tab import LatencyTab
from denet_tui.screens.overview import Overview


class Tab(NamedTuple):
    """One tab; `show` is given what `make` made, and what to draw."""

    id: str
    name: str
    make: Callable[[], Widget]
    show: Callable[[Any, Frame], None]


def _nothing_yet() -> Widget:
    return Static("not there yet")


def _show_nothing(widget: Widget, frame: Frame) -> None:
    """A tab that is still to come."""


TABS = (
    Tab("overview", "Overview", Overview, Overview.show),
    Tab("latency", "Latency", LatencyTab, LatencyTab.show),
    Tab("errors", "Errors", _nothing_yet, _show_nothing),
    Tab("inflight", "In flight", _nothing_yet, _show_nothing),
    Tab("output", "Output", _nothing_yet, _show_nothing),
    Tab("log", "Log", _nothing_yet, _show_nothing),
)
