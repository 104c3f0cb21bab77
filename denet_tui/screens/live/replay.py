"""The live screen on a recording: the same, but that time can be moved through."""

from __future__ import annotations

import math
import re
import time
from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static
from textual.worker import get_current_worker

from denet_tui.model import Snapshot
from denet_tui.preferences.screen import Preferences
from denet_tui.record.marks import KINDS
from denet_tui.record.playback import Playback
from denet_tui.screens.live.screen import LiveScreen
from denet_tui.widgets.formatting import elapsed
from denet_tui.widgets.header import RunHeader
from denet_tui.widgets.player import PlayerLine
from denet_tui.widgets.timeview import TimeView
from denet_tui.widgets.window import Window

_FULL = 8
"""Snapshots that wait for the screen before more are read."""
_PLAYER_S = 0.1
_CLOCK = re.compile(r"(?:(?:(\d{1,4}):)?(\d{1,4}):)?(\d{1,9}(?:\.\d{1,9})?)")


class ReplayScreen(LiveScreen):
    """Plays, stops, goes to a moment; what is shown is of the cursor's moment on the charts."""

    LOOK = None
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "play", "Play", id="replay.play", tooltip="Play from here, or stop", key_display="space"),
        Binding("T", "ask_time", "Time", id="replay.time", tooltip="Go to a moment: 1:23.5, +10, -10, 50%, end"),
        Binding(
            "J",
            "ask_kind",
            "Jump",
            id="replay.kind",
            tooltip="Go to the next error burst, exec, exit, slow call or loss",
        ),
        Binding(
            "right_curly_bracket",
            "jump(1)",
            "Next",
            id="replay.next",
            tooltip="Go to the next of those",
            key_display="{ }",
        ),
        Binding(
            "left_curly_bracket",
            "jump(-1)",
            "Previous",
            id="replay.previous",
            tooltip="Go to the one before",
            show=False,
            key_display="{",
        ),
        Binding("left_parenthesis", "step(-1)", "Back", id="replay.back", tooltip="One sample back", show=False),
        Binding("right_parenthesis", "step(1)", "On", id="replay.on", tooltip="One sample on", show=False),
        Binding("plus,equals_sign", "speed(1)", "Faster", id="replay.faster", tooltip="Play faster", show=False),
        Binding("minus", "speed(-1)", "Slower", id="replay.slower", tooltip="Play slower", show=False),
    ]

    def __init__(self, playback: Playback, preferences: Preferences | None = None) -> None:
        super().__init__(playback, preferences)
        self._playback = playback
        self._kind = "errors"
        self._closely = None

    def compose(self) -> ComposeResult:
        """The live screen's, with the player below the header."""
        for widget in super().compose():
            yield widget
            if isinstance(widget, RunHeader):
                yield PlayerLine()

    def _start(self) -> None:
        super()._start()
        self.set_interval(_PLAYER_S, self._show_player)

    # Snapshots

    def _publish(self, snapshot: Snapshot) -> None:
        cancelled = get_current_worker().cancelled_event
        while len(self.waiting) >= _FULL and not cancelled.is_set():
            time.sleep(0.005)  # it reads faster than can be drawn, and no moment may be left out
        super()._publish(snapshot)

    def _take_in(self, snapshot: Snapshot) -> None:
        if self.newest is not None and snapshot.time_ns - snapshot.interval_ns != self.newest.time_ns:
            self.rates = self.rates.from_another_moment(snapshot)
            self.newest = None
        past, self._playback.past = self._playback.past, ()
        if past:
            self.rates.know(past)
        super()._take_in(snapshot)

    def _known_s(self) -> float:
        return max(super()._known_s(), self._playback.state.known_s)

    def _catch_up(self) -> None:
        there = self._playback.warming
        now = there or self.newest
        if there is not None and there is self.shown:
            return
        if now is not None:
            end_s, seconds = now.elapsed_ns / 1e9, now.interval_ns / 1e9
            self.window = at_moment(self.window, end_s - seconds, end_s, self._known_s())
        if there is not None:  # what came last is earlier
            self._apply(there)
        else:
            super()._catch_up()
        self._show_player()

    def _show_player(self) -> None:
        state = self._playback.state
        length = max(state.known_s, 1e-9)
        how = f"playing {state.speed:g}x" if state.playing else "stopped"
        if state.following:
            how = f"reading {100 * (1 - state.unread):.0f} %" if state.unread > 0.001 else "following"
        self.query_one(PlayerLine).show(
            f"{how}  {_clock(state.at_s)} of {_clock(state.known_s)}",
            state.at_s / length,
            [mark / length for mark in self._playback.marked(self._kind)],
            state.told,
        )

    # What the user does

    def on_time_view_window_changed(self, message: TimeView.WindowChanged) -> None:
        """Where the cursor goes, all of the screen goes; Textual lets LiveScreen take the window next."""
        if message.window.cursor_s is None:
            if message.window.follows and not self._playback.state.following:
                self._playback.seek(math.inf)
        elif message.window.cursor_s != self.window.cursor_s:
            self._playback.seek(message.window.cursor_s)

    def on_player_line_sought(self, message: PlayerLine.Sought) -> None:
        """Go there."""
        self._playback.seek(message.share * self._playback.state.known_s)

    def action_play(self) -> None:
        """Go on, or stop."""
        self._playback.play()

    def action_step(self, by: int) -> None:
        """By one sample."""
        self._playback.step(by)

    def action_speed(self, by: int) -> None:
        """The next speed."""
        self.notify(f"{self._playback.pace(by):g} times as fast as it was", markup=False)

    def action_jump(self, by: int) -> None:
        """To the next of the kind that was chosen last, or the one before."""
        self._playback.jump(self._kind, by)

    def action_ask_kind(self) -> None:
        """Choose what to jump to."""
        self.app.push_screen(JumpScreen(), self._jump_to)

    def _jump_to(self, kind: str | None) -> None:
        if kind:
            self._kind = kind
            self.action_jump(1)

    def action_ask_time(self) -> None:
        """Choose a moment."""
        self.app.push_screen(TimeScreen(), self._seek_to)

    def _seek_to(self, words: str | None) -> None:
        if words:
            state = self._playback.state
            moment = parse_moment(words, state.at_s, state.known_s)
            if moment is None:
                self.notify("A moment is 1:23.5, +10, -10, 50% or end.", severity="warning", markup=False)
            else:
                self._playback.seek(moment)


def at_moment(window: Window, start_s: float, at_s: float, known_s: float) -> Window:
    """The window with its cursor in the sample from `start_s` to `at_s`, and in sight; the newest one needs none."""
    newest = at_s >= known_s
    if window.cursor_s is not None and start_s < window.cursor_s and (newest or window.cursor_s <= at_s):
        return window  # just where the user put it
    if newest:
        return window.latest()
    span = window.span(known_s)
    end = known_s if window.end_s is None else window.end_s
    if not end - span <= at_s <= end:
        end = max(span, at_s + span / 2)
    return replace(window, end_s=min(end, known_s), cursor_s=at_s)


def parse_moment(words: str, at_s: float, known_s: float) -> float | None:
    """Seconds since the start for `1:23.5`, `83.5`, `+10`, `-10`, `50%` or `end`; None for what is no moment."""
    words = words.strip()
    if words == "end":
        return math.inf
    sign, number = (words[0], words[1:]) if words[:1] in ("+", "-") else ("", words)
    found = _CLOCK.fullmatch(number.removesuffix("%"))
    if not found or (number.endswith("%") and (sign or found[2])):
        return None
    seconds = int(found[1] or 0) * 3600 + int(found[2] or 0) * 60 + float(found[3])
    if number.endswith("%"):
        return known_s * min(seconds, 100) / 100
    return max(0.0, at_s + seconds * (-1 if sign == "-" else 1)) if sign else seconds


def _clock(seconds: float) -> str:
    return elapsed(int(seconds * 1e9))


class JumpScreen(ModalScreen[str | None], inherit_bindings=False):
    """What to jump to; None for nothing."""

    CSS_PATH = "quit.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(key, f"answer('{kind}')", KINDS[kind].capitalize(), id=f"jump.{kind}", tooltip=tooltip)
            for key, kind, tooltip in (
                ("e", "errors", "At least 10 failed calls in a sample, and three times as many as usual before"),
                ("x", "exec", "A process became another program"),
                ("t", "exit", "A process ended"),
                ("s", "slow", "A call that should not have to wait took 0.1 s or more"),
                ("l", "loss", "Something could not be counted"),
            )
        ),
        Binding("c,escape", "answer('')", "Cancel", id="jump.cancel", tooltip="Stay here"),
    ]

    def compose(self) -> ComposeResult:
        """Lay the question out."""
        with Vertical():
            yield Static("Go to the next …", id="question")
            yield Static(r"\[e]rror burst   e\[x]ec   exi\[t]   \[s]low call   \[l]oss   \[c]ancel", id="answers")

    def action_answer(self, kind: str) -> None:
        """Go back with it."""
        self.dismiss(kind or None)


class TimeScreen(ModalScreen[str | None], inherit_bindings=False):
    """Where a moment is typed; None for none."""

    CSS_PATH = "quit.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel", id="moment.cancel", tooltip="Stay here"),
    ]

    def compose(self) -> ComposeResult:
        """Lay the question out."""
        with Vertical():
            yield Static("Go to which moment? 1:23.5, +10, -10, 50%, end", id="question")
            yield Input(compact=True)

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """Go back with what was typed."""
        self.dismiss(message.value)

    def action_cancel(self) -> None:
        """Stay."""
        self.dismiss(None)
