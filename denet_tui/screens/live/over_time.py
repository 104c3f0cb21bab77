"""What the tabs over time have in common: the keys that move through it, and what they read."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical

from denet_tui.model import Syscall
from denet_tui.screens.live.frame import Frame
from denet_tui.syscalls import class_of
from denet_tui.system.visible import visible
from denet_tui.watch.timeline import Timeline
from denet_tui.widgets.chart import MOST_CURVES, Curve
from denet_tui.widgets.timeview import TimeView
from denet_tui.widgets.window import Reader, Watched


class OverTime(Vertical):
    """A tab with one TimeView in it. Its keys ask for another window by TimeView.Looked; the screen holds it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "left_square_bracket",
            "scroll_time(-0.5)",
            "Time",
            id="time.earlier",
            tooltip="Show earlier times",
            key_display="[ ]",
        ),
        Binding(
            "right_square_bracket",
            "scroll_time(0.5)",
            "Later",
            id="time.later",
            tooltip="Show later times, up to now",
            show=False,
            key_display="]",
        ),
        Binding("z", "zoom_time(-1)", "Zoom", id="time.zoom-in", tooltip="Show a shorter time, in more detail"),
        Binding(
            "Z", "zoom_time(1)", "Zoom out", id="time.zoom-out", tooltip="Show a longer time, up to a day", show=False
        ),
        Binding(
            "shift+left",
            "move_cursor(-1)",
            "Earlier moment",
            id="time.cursor-left",
            tooltip="Read the values of an earlier moment",
            show=False,
        ),
        Binding(
            "shift+right",
            "move_cursor(1)",
            "Later moment",
            id="time.cursor-right",
            tooltip="Read the values of a later moment",
            show=False,
        ),
        Binding("0", "latest", "Now", id="time.now", tooltip="Go back to now, and follow it", show=False),
    ]

    def action_scroll_time(self, by: float) -> None:
        """Show what was so many spans later."""
        self.query_one(TimeView).scroll_window(by)

    def action_zoom_time(self, by: int) -> None:
        """Show a time that is so many steps longer."""
        self.query_one(TimeView).zoom(by)

    def action_move_cursor(self, by: int) -> None:
        """Move the cursor by so many columns."""
        self.query_one(TimeView).move_cursor(by)

    def action_latest(self) -> None:
        """Follow the newest moment again."""
        self.query_one(TimeView).latest()


@dataclass(frozen=True, slots=True)
class _Reading:
    """Reads the sums over `syscalls` (None: over all) from a timeline."""

    timeline: Timeline
    syscalls: frozenset[Syscall] | None
    until_s: float = field(compare=False)
    """What came later is not shown yet, or not while paused."""

    def __call__(self, start_s: float, width_s: float, count: int) -> Sequence[Watched]:
        return self.timeline.columns(start_s, width_s, count, self.syscalls, self.until_s)


def reader(frame: Frame, syscalls: Collection[Syscall] | None) -> Reader:
    """What reads the sums over `syscalls` (None: over all) within what the view is narrowed to."""
    return _Reading(frame.rates.timeline, None if syscalls is None else frozenset(syscalls), frame.known_s)


def syscall_curves(frame: Frame, syscalls: Sequence[Syscall]) -> list[Curve]:
    """A curve per syscall."""
    return [Curve(visible(syscall.name), reader(frame, (syscall,))) for syscall in syscalls[:MOST_CURVES]]


def class_curves(frame: Frame) -> list[Curve]:
    """A curve for each of the classes with the most calls."""
    members: dict[str, list[Syscall]] = {}
    for syscall in frame.snapshot.syscalls:
        members.setdefault(class_of(syscall), []).append(syscall)
    calls = {kind: sum(frame.snapshot.syscalls[each].calls for each in inside) for kind, inside in members.items()}
    most = sorted(members, key=lambda kind: -calls[kind])[:MOST_CURVES]
    # In the order of their names: what is drawn how then changes seldom.
    return [Curve(f"%{kind}", reader(frame, members[kind])) for kind in sorted(most)]
