"""A day of counters in bounded memory: every tick for the last minutes, sums of ever more ticks before that."""

from __future__ import annotations

import zlib
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from math import inf
from operator import attrgetter
from typing import NamedTuple

from denet_tui.counts import added
from denet_tui.model import BUCKETS, NOTHING, Counters, Syscall, added_up

LEVELS = ((0.0, 480), (5.0, 720), (60.0, 1440))
"""Per level how many seconds a slot covers at least (0: one tick) and how many slots are kept:
at 2 ticks a second that is every tick of the last 4 minutes, 5 s for an hour, a minute for a day."""

_LANES = 64 * (BUCKETS + 6)
"""Bits of the packed numbers of Counters; the longest call comes after them."""
_ROW = _LANES // 8 + 8
_PACKED = (1 << _LANES) - 1
_MIDDLE = attrgetter("middle_s")


class Stretch(NamedTuple):
    """What was counted in a stretch of time; `seconds` is how much of it was watched, 0.0 for none."""

    seconds: float
    counters: Counters


class _Tick(NamedTuple):
    start_s: float
    end_s: float
    total: Counters
    rows: Mapping[Syscall, Counters]

    def plus(self, later: _Tick) -> _Tick:
        return _Tick(self.start_s, later.end_s, self.total.plus(later.total), added((self.rows, later.rows)))


class _Slot(NamedTuple):
    start_s: float
    end_s: float
    total: Counters
    read: Callable[[Collection[Syscall]], list[Counters]]
    """The rows of these syscalls."""

    @property
    def middle_s(self) -> float:
        return (self.start_s + self.end_s) / 2


def _plain(tick: _Tick) -> _Slot:
    rows = tick.rows
    return _Slot(*tick[:3], lambda syscalls: [rows[syscall] for syscall in syscalls if syscall in rows])


def _packed(tick: _Tick, places: Mapping[Syscall, int]) -> _Slot:
    """The rows compressed: about 25 bytes each in place of 350. `places` says which is where, and may grow."""
    rows = [tick.rows.get(syscall, NOTHING) for syscall in places]
    packed = zlib.compress(b"".join((row[0] | row[1] << _LANES).to_bytes(_ROW, "little") for row in rows), 1)

    def read(syscalls: Collection[Syscall]) -> list[Counters]:
        data = zlib.decompress(packed)
        found = [places[syscall] * _ROW for syscall in syscalls if syscall in places]
        numbers = [int.from_bytes(data[at : at + _ROW], "little") for at in found]
        return [Counters.of_lanes((number & _PACKED, number >> _LANES)) for number in numbers if number]

    return _Slot(*tick[:3], read)


class _Level:
    """Slots of one width, oldest first, and the ticks of the one that is being filled."""

    def __init__(self, width_s: float, most: int) -> None:
        self._width_s = width_s
        self._most = most
        self.slots: list[_Slot] = []
        self._open: _Tick | None = None

    def take(self, tick: _Tick, places: Mapping[Syscall, int]) -> _Tick | None:
        """Add `tick`; returns what the next level has to take, if a slot is now full."""
        full = self._open.plus(tick) if self._open else tick
        # Ticks are never exactly as long as they should be.
        if full.end_s - full.start_s < self._width_s * 0.99:
            self._open = full
            return None
        self._open = None
        self.slots.append(_packed(full, places) if self._width_s else _plain(full))
        del self.slots[: -self._most]
        return full

    def covers(self, time_s: float) -> bool:
        """Whether slots go back to `time_s`."""
        return bool(self.slots) and self.slots[0].start_s <= time_s

    def between(self, start_s: float, end_s: float) -> Sequence[_Slot]:
        """The slots with their middle in the stretch; where they are longer than that, the one around its middle."""
        first = bisect_left(self.slots, start_s, key=_MIDDLE)
        found = self.slots[first : bisect_left(self.slots, end_s, lo=first, key=_MIDDLE)]
        if found:
            return found
        middle = (start_s + end_s) / 2
        around = self.slots[max(first - 1, 0) : first + 1]
        return [slot for slot in around if slot.start_s <= middle < slot.end_s]


class Timeline:
    """What was counted when, by syscall: sums of ticks, so that no call is lost on the way from level to level."""

    def __init__(self, levels: Iterable[tuple[float, int]] = LEVELS) -> None:
        self._levels = [_Level(*level) for level in levels]
        self._places: dict[Syscall, int] = {}

    def __len__(self) -> int:
        return sum(len(level.slots) for level in self._levels)

    def add(self, start_s: float, end_s: float, total: Counters, rows: Mapping[Syscall, Counters]) -> None:
        """Take in one tick, in order: what was counted from `start_s` to `end_s`, in all and by syscall.

        `rows` is kept, not copied.
        """
        for syscall in rows.keys() - self._places.keys():
            self._places[syscall] = len(self._places)
        tick: _Tick | None = _Tick(start_s, end_s, total, rows)
        for level in self._levels:
            if tick is not None:
                tick = level.take(tick, self._places)

    def columns(
        self,
        start_s: float,
        width_s: float,
        count: int,
        syscalls: Collection[Syscall] | None = None,
        until_s: float = inf,
    ) -> list[Stretch]:
        """`count` stretches of `width_s` from `start_s` on, each the sum over `syscalls` (None: over all).

        What came after `until_s` is left out. Of every stretch the finest record that is still kept; one that is
        coarser than the stretch stands in all the columns that it covers, so compare rates, not numbers of calls.
        """
        found = []
        for at in range(count):
            start, middle = start_s + at * width_s, start_s + (at + 0.5) * width_s
            level = next((each for each in self._levels if each.covers(middle)), self._levels[0])
            end = min(start + width_s, until_s)
            slots = level.between(start, end) if start < end else ()
            rows = [slot.total for slot in slots] if syscalls is None else [r for s in slots for r in s.read(syscalls)]
            found.append(Stretch(sum(slot.end_s - slot.start_s for slot in slots), added_up(rows)))
        return found
