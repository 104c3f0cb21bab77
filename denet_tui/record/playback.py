"""Plays a recording: publishes its snapshots as a session does those of a run, at any pace, from any moment on."""

from __future__ import annotations

import math
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import NamedTuple

from denet_tui.model import LogEntry, RunInfo, Snapshot
from denet_tui.record.keyframe import Passage, Sample
from denet_tui.record.marks import KINDS, Marks
from denet_tui.record.read import UnreadableError
from denet_tui.record.track import Track

SPEEDS = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 100.0)
_WARM = 24
"""Ticks that are published before the one that is gone to: as many as the longest spark line has points."""
_NEAR = 3
"""Ticks on to which one goes step by step."""
_MOST_KEPT = 48
"""Snapshots that are kept to go on from; each may hold thousands of rows."""
_LOOK_S = 0.1
"""How often a file is looked at whose end has been met."""

Publish = Callable[[Snapshot], None]
Wish = tuple[str, float]


class Position(NamedTuple):
    """How far it is, in s since the start of the run; `known_s` is how far it has been read."""

    at_s: float
    known_s: float
    unread: float
    """The share of the file that has not been read yet, 0..1."""
    playing: bool
    following: bool
    """Whether it goes on as soon as there is more."""
    speed: float
    told: str
    """What was met, or why nothing comes any more."""


class Playback:
    """A Source. What its user wants is done in the thread of `run`; the rest of it may be asked from any."""

    terminal = None

    def __init__(self, track: Track) -> None:
        self.info: RunInfo = track.info
        self.interval_s = self.info.interval_s
        self.latest: Snapshot | None = None
        self.log: Sequence[LogEntry] = ()
        self._track = track
        self._wishes: SimpleQueue[Wish] = SimpleQueue()
        self._places: list[Sample] = []
        """Of the ticks that have been read."""
        self._kept: dict[int, Snapshot] = {-1: track.start()}
        self._stride = 8
        self._keyframes: dict[int, int] = {}
        """Where the file has one, by its tick."""
        self.past: Sequence[Passage] = ()
        """What was called in the ticks that are known by an index alone; there before the first snapshot is."""
        self.warming: Snapshot | None = None
        """Where ticks before it are published: the one that is gone to, which has been published already."""
        self._at, self._now = -1, self._kept[-1]
        """The tick that was published last, and its snapshot."""
        self._marks = Marks()
        self._playing, self._following, self._speed, self._told = False, True, 1.0, ""
        self._waiting = ""
        """What was told last of an end that is not there yet."""
        self._failed = self._at_end = False
        """Whether it can be read no further, and whether it has been read as far as it goes for now."""

    @property
    def state(self) -> Position:
        """How far it is."""
        places, at, there = self._places, self._at, self.warming
        last, size = (places[-1] if places else None), self._track.size()
        return Position(
            there.elapsed_ns / 1e9 if there else places[at].elapsed_s if 0 <= at < len(places) else 0.0,
            last.elapsed_s if last else 0.0,
            max(0.0, 1 - (last.end if last else 0) / size) if size and self._following and not self._at_end else 0.0,
            self._playing,
            self._following,
            self._speed,
            self._told,
        )

    def marked(self, kind: str) -> list[float]:
        """When there was something of a kind, in s since the start."""
        return [place.elapsed_s for place in tuple(self._places) if kind in place.marks]

    # What its user wants; from any thread

    def play(self) -> None:
        """Go on, or stop; from the start, where it is at the end."""
        self._wishes.put(("play", 0))

    def pace(self, by: int) -> float:
        """Take the next higher speed (1) or the next lower one (-1), and return it."""
        place = min(max(SPEEDS.index(self._speed) + by, 0), len(SPEEDS) - 1)
        self._speed = SPEEDS[place]
        return self._speed

    def seek(self, to_s: float) -> None:
        """Go to a moment, in s since the start; to the end of what there is, and on with it, for math.inf."""
        self._wishes.put(("seek", to_s))

    def step(self, by: int) -> None:
        """Go so many ticks on, or back."""
        self._wishes.put(("step", by))

    def jump(self, kind: str, by: int) -> None:
        """Go to the next tick that has something of a kind of marks.KINDS (1), or to the one before (-1)."""
        self._wishes.put((kind, by))

    # The thread

    def run(self, publish: Publish, stop: threading.Event) -> None:
        """Publish until `stop` is set; raises UnreadableError where there is not even a first tick to show."""
        due = 0.0
        self._look_up(publish, stop)
        while not stop.is_set():
            try:
                wish = self._wishes.get(timeout=min(_LOOK_S, max(0.0, due - time.monotonic())))
            except Empty:
                wish = None
            try:
                if wish:
                    self._obey(wish, publish, stop)
                    due = time.monotonic() + self._pause_s()
                elif time.monotonic() >= due:
                    due = time.monotonic() + self._go_on(publish)
            except UnreadableError as problem:
                if not self._places:
                    raise
                self._failed, self._told = True, str(problem)
                self._playing = self._following = False

    def _look_up(self, publish: Publish, stop: threading.Event) -> None:
        """Learn of all ticks that the file has an index of, and go to the last of them."""
        index = self._track.index(stop.is_set)
        if index is None:
            return
        self.past, self._keyframes, self._marks = index.stretches, index.keyframes, Marks(index.usual_errors)
        self._places = index.samples
        try:
            self._go(len(self._places) - 1, publish, stop)
        except UnreadableError as problem:
            self._failed, self._told, self._following = True, str(problem), False

    def _go_on(self, publish: Publish) -> float:
        """Where it plays or follows, publish the next tick; returns how long to wait then, in s."""
        if (self._playing or self._following) and not self._advance(publish):
            self._at_end = True
            self._playing, self._following = False, not self._over()
            if self._told in ("", self._waiting):  # nothing that was met
                self._told = self._waiting = self._track.ending()
            return _LOOK_S
        return self._pause_s()

    def _pause_s(self) -> float:
        if self._following:
            return 0.0
        return self._now.interval_ns / 1e9 / self._speed if self._playing else _LOOK_S

    def _over(self) -> bool:
        return self._failed or not self._track.growing

    def _advance(self, publish: Publish | None) -> bool:
        """Go to the next tick; False if there is none."""
        at, before = self._at + 1, self._now
        tick = self._track.tick(before, self._places[at - 1].end if at else self._track.begin)
        if tick is None:
            return False
        now = tick.snapshot
        if at < len(self._places) and tick.end != self._places[at].end:
            self._forget_from(at)  # what is between is damaged, and the index has not told
        if at == len(self._places):
            self._at_end = False
            self._places.append(Sample(now.elapsed_ns / 1e9, tick.end, self._marks.of(before, now)))
            if at % self._stride == 0:
                self._kept[at] = now
            if len(self._kept) > _MOST_KEPT:
                self._stride *= 2
                self._kept = {each: kept for each, kept in self._kept.items() if each < 0 or each % self._stride == 0}
        self._at, self._now = at, now
        if publish:
            self.latest = now
            publish(now)
        return True

    def _forget_from(self, at: int) -> None:
        del self._places[at:]
        self._keyframes = {tick: place for tick, place in self._keyframes.items() if tick < at}
        self._kept = {tick: kept for tick, kept in self._kept.items() if tick < at}

    def _go(self, to: int, publish: Publish, stop: threading.Event) -> None:
        """Go to a tick that is known: it is published at once, and after a jump again behind those before it."""
        if not 0 <= to - self._at <= _NEAR:
            self._start_before(to)
            self._walk(to, to, publish, stop.is_set)
            there = self._at, self._now
            self._warm_up(to, publish, stop)
            if self._at < min(to, len(self._places)) - 1:  # something else is wanted meanwhile
                self._at, self._now = there
                return
        self._walk(to, self._at + 1, publish, stop.is_set)

    def _warm_up(self, to: int, publish: Publish, stop: threading.Event) -> None:
        first, self.warming = max(0, to - _WARM), self._now
        try:
            self._start_before(first)
            self._walk(to - 1, first, publish, lambda: stop.is_set() or not self._wishes.empty())
        finally:
            self.warming = None

    def _walk(self, to: int, first: int, publish: Publish, stop: Callable[[], bool]) -> None:
        """Go on to a tick, or to the one in whose place a gap has been met; publish those from `first` on."""
        while (
            self._at < min(to, len(self._places) - 1)
            and not stop()
            and self._advance(publish if self._at + 1 >= first else None)
        ):
            pass

    def _start_before(self, to: int) -> None:
        """Stand at the nearest tick before one from which one can go on."""
        near = max(at for at in (*self._kept, *self._keyframes) if at < to)
        if near <= self._at < to:
            return
        now = self._kept.get(near) or self._track.keyframe(self._keyframes[near])
        if now is None:
            del self._keyframes[near]
            self._start_before(to)
        else:
            self._at, self._now = near, now

    def _read_on(self, until: Callable[[Sample], bool], publish: Publish, stop: threading.Event) -> bool:
        """Go to the next tick of all those that have not been read yet of which that is so; False if none is."""
        self._go(len(self._places) - 1, publish, stop)
        while not stop.is_set() and self._wishes.empty() and self._advance(publish):
            if until(self._places[-1]):
                return True
        return False

    def _obey(self, wish: Wish, publish: Publish, stop: threading.Event) -> None:
        what, value = wish
        going, last = self._playing or self._following, len(self._places) - 1
        self._told = ""
        if what == "play":
            self._playing, self._following = not going, False
            if self._playing and self._at == last and self._over():
                self._go(0, publish, stop)
        elif what == "seek" and math.isinf(value):
            self._go(last, publish, stop)
            self._playing, self._following = False, True
        elif what == "seek":
            self._following = False
            to = bisect_left(self._places, value, key=lambda place: place.elapsed_s)
            if to <= last:
                self._go(to, publish, stop)
            else:
                self._read_on(lambda place: place.elapsed_s >= value, publish, stop)
        elif what == "step":
            self._playing = self._following = False
            if self._at + value > last:
                self._advance(publish)
            else:
                self._go(max(0, self._at + int(value)), publish, stop)
        else:
            self._following = False
            self._jump(what, int(value), publish, stop)

    def _jump(self, kind: str, by: int, publish: Publish, stop: threading.Event) -> None:
        begun, last = self._at, len(self._places) - 1
        if by > 0 and begun == last and self._over():
            begun = -1  # from the end, the next one is the first
        way = range(begun + 1, last + 1) if by > 0 else range(begun - 1, -1, -1)
        to = next((at for at in way if kind in self._places[at].marks), None)
        if to is not None:
            self._go(to, publish, stop)
        elif by < 0 or not self._read_on(lambda place: kind in place.marks, publish, stop):
            self._go(max(begun, 0), publish, stop)
            self._told = f"no {KINDS[kind]} {'after' if by > 0 else 'before'} this"
            return
        self._told = f"{KINDS[kind]}: {self._places[self._at].marks[kind]}"
