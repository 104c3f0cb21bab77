"""Bounded rings of recent numbers, one per thing that is drawn over time."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import zip_longest
from operator import add, itemgetter
from typing import Generic, TypeVar

GroupT = TypeVar("GroupT", bound=Hashable)
KeyT = TypeVar("KeyT", bound=Hashable)

_LEAST_SPAN = 2
"""Ticks that are always kept: in the midst of one, some groups have their newest row in the one before."""
_ROW_COST, _GROUP_COST = 42, 500
"""What a row takes beside its values, and a group beside its rows, in values of 4 bytes."""
_NO_ROW = array("f")


class _Ring:
    """The values of one series and the tick that it was last written at."""

    __slots__ = ("last", "values")

    def __init__(self, length: int) -> None:
        self.values = array("f", bytes(4 * length))
        self.last = -1


class History(Generic[KeyT]):
    """The last `length` ticks of up to `max_series` series, in calls/s or whatever else was put in.

    A series that is not written at a tick counts as 0.0 there, and costs nothing then. A series
    takes 4 * length + about 250 bytes, so that memory is bounded by
    `max_series` times that. When there are more, the longest idle ones go first, and those still
    written at this tick never: what does not fit is then not kept.
    """

    def __init__(self, length: int = 240, max_series: int = 2048) -> None:
        self.length = length
        self.max_series = max_series
        self.tick = -1
        self._times = array("d", bytes(8 * length))
        self._rings: dict[KeyT, _Ring] = {}

    def __len__(self) -> int:
        return len(self._rings)

    @property
    def kept(self) -> int:
        """How many ticks can be read back."""
        return min(self.tick + 1, self.length)

    def begin(self, time_s: float) -> int:
        """Start the next tick, at `time_s`; returns its number."""
        self.tick += 1
        self._times[self.tick % self.length] = time_s
        return self.tick

    def put(self, key: KeyT, value: float) -> None:
        """Write `value` at the current tick of series `key`."""
        tick = self.tick
        ring = self._rings.get(key)
        if ring is None:
            if len(self._rings) >= self.max_series and not self._make_room():
                return
            ring = self._rings[key] = _Ring(self.length)
        elif ring.last < tick - 1:
            self._clear_gap(ring, tick)
        ring.values[tick % self.length] = value
        ring.last = tick

    def seed(self, key: KeyT, values: Sequence[float]) -> None:
        """Write `values` as the newest of series `key`, the last of them at the current tick."""
        kept = values[-self.kept :] if self.kept else values[:0]
        if not kept or (key not in self._rings and len(self._rings) >= self.max_series and not self._make_room()):
            return
        ring = self._rings[key] = _Ring(self.length)
        for back, value in enumerate(reversed(kept)):
            ring.values[(self.tick - back) % self.length] = value
        ring.last = self.tick

    def last(self, key: KeyT, count: int, tick: int | None = None) -> list[float]:
        """The `count` values up to `tick` (default: the newest), oldest first; fewer where fewer are kept."""
        ticks = self._ticks(count, tick)
        ring = self._rings.get(key)
        if ring is None:
            return [0.0] * len(ticks)
        values, length, written = ring.values, self.length, ring.last
        return [values[at % length] if at <= written else 0.0 for at in ticks]

    def times(self, count: int, tick: int | None = None) -> list[float]:
        """The times in s that belong to `last(…, count, tick)`."""
        return [self._times[at % self.length] for at in self._ticks(count, tick)]

    def __iter__(self) -> Iterator[KeyT]:
        return iter(self._rings)

    def _ticks(self, count: int, tick: int | None) -> range:
        end = self.tick if tick is None else tick
        oldest_kept = self.tick - self.kept + 1
        return range(max(end - count + 1, oldest_kept), end + 1)

    def _clear_gap(self, ring: _Ring, tick: int) -> None:
        for at in range(max(ring.last + 1, tick - self.length), tick):
            ring.values[at % self.length] = 0.0

    def _make_room(self) -> bool:
        """Drop the eighth that has been idle longest; False if nothing is idle."""
        idle = sorted((ring.last, index, key) for index, (key, ring) in enumerate(self._rings.items()))
        for last, _index, key in idle[: max(1, len(idle) // 8)]:
            if last < self.tick:
                del self._rings[key]
        return len(self._rings) < self.max_series


_LAYOUTS = 2
"""How many orders of its keys are known of a group: the kernel lists the rows of its two sides each in its own."""


class _Table(Generic[KeyT]):
    """The rows of a group, oldest first, each with its tick; and in which place of them a key is."""

    __slots__ = ("layouts", "places", "rows")

    def __init__(self) -> None:
        self.places: dict[KeyT, int] = {}
        self.rows: deque[tuple[int, array[float]]] = deque()
        self.layouts: list[tuple[Sequence[KeyT], Callable[[Sequence[float]], Iterable[float]]]] = []

    def row(self, keys: Sequence[KeyT], values: list[float]) -> array[float]:
        """The values in their places."""
        for known, pick in self.layouts:
            if known == keys:
                return array("f", pick([*values, 0.0]))
        for key in keys:
            self.places.setdefault(key, len(self.places))
        row = array("f", bytes(4 * len(self.places)))
        for key, value in zip(keys, values, strict=True):
            row[self.places[key]] = value
        if self.rows and keys:  # what comes again will come again
            order = [-1] * (len(self.places) + 1)  # -1 is the 0.0 behind all values; one place alone would be no tuple
            for at, key in enumerate(keys):
                order[self.places[key]] = at
            self.layouts = [(keys, itemgetter(*order)), *self.layouts[: _LAYOUTS - 1]]
        return row


class Tables(Generic[GroupT, KeyT]):
    """The last `length` ticks of many small tables, one table a group (the syscalls of one process).

    A tick of a group is one array of floats, so that it is written as a whole: with one series per
    pair of group and key, writing would take most of what a tick may cost. A value takes 4 bytes,
    a group's tick about 170 more, and a group about 2,000; `max_values` bounds all of it, in values.
    A group goes when it has been idle for `span` ticks. Where there are too many values, those that are idle
    go first, and then the oldest ticks of all: `span`, at most `length`, is how far back the values reach.
    """

    def __init__(self, length: int = 120, max_values: int = 2_000_000) -> None:
        self.length = self.span = length
        self.max_values = max_values
        self.tick = -1
        self.values = 0
        self._groups: dict[GroupT, _Table[KeyT]] = {}

    def __len__(self) -> int:
        return len(self._groups)

    def begin(self) -> int:
        """Start the next tick; returns its number."""
        self.tick += 1
        if self.span < self.length and self.values < self.max_values // 2:
            self.span += 1
        self._drop_idle(self.span)
        return self.tick

    def put(self, group: GroupT, keys: Sequence[KeyT], values: list[float]) -> None:
        """Write all of a group's values at the current tick, each key once; what is left out is 0.0."""
        mine = self._groups.pop(group, None)
        if mine is None:
            mine = _Table()
            self.values += _GROUP_COST
        self._groups[group] = mine  # the longest idle one is then always the first
        row, rows = mine.row(keys, values), mine.rows
        rows.append((self.tick, row))
        self.values += len(row) + _ROW_COST
        self._trim(rows)
        if self.values > self.max_values:
            self._make_room()

    def sums(self, groups: Iterable[GroupT]) -> dict[KeyT, list[float]]:
        """Per key the sum over the groups at each of the last `span` ticks, oldest first."""
        total: dict[KeyT, list[float]] = {}
        first = self.tick - self.span + 1
        for group in groups:
            mine = self._groups.get(group)
            if mine is None:
                continue
            by_tick = [_NO_ROW] * self.span
            for tick, row in mine.rows:
                if tick >= first:
                    by_tick[tick - first] = row
            # Key by key, not tick by tick: adding then is done in C. A key that came later is not in older rows.
            for key, values in zip(mine.places, zip_longest(*by_tick, fillvalue=0.0), strict=False):
                known = total.get(key)
                if known is not None:
                    total[key] = list(map(add, known, values))
                elif any(values):
                    total[key] = list(values)
        return total

    def _make_room(self) -> None:
        for ticks in range(self.span, 1, -1):
            if self.values <= self.max_values:
                return
            self._drop_idle(ticks)
        while self.values > self.max_values and self.span > _LEAST_SPAN:
            self.span = max(_LEAST_SPAN, self.span * 7 // 8)
            for group in self._groups.values():
                self._trim(group.rows)

    def _trim(self, rows: deque[tuple[int, array[float]]]) -> None:
        while rows[0][0] <= self.tick - self.span:
            self.values -= len(rows.popleft()[1]) + _ROW_COST

    def _drop_idle(self, ticks: int) -> None:
        """Drop the groups that were not written in the last `ticks` ticks, this one included."""
        while self._groups:
            idle = next(iter(self._groups))
            if self._groups[idle].rows[-1][0] > self.tick - ticks:
                return
            self._drop(idle)

    def _drop(self, group: GroupT) -> None:
        self.values -= _GROUP_COST + sum(len(row) + _ROW_COST for _, row in self._groups.pop(group).rows)
