"""What was counted by syscall: the rows of one process, sums over several, and the difference between two runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, ItemsView, Iterable, Iterator, Mapping, Sequence, ValuesView
from math import ceil
from operator import add, itemgetter
from typing import NamedTuple

from denet_tui.model import BUCKETS, LANE, NOTHING, Counters, Errnos, ErrorKey, Syscall, bucket_floor_ns, unpack_buckets

_Pick = tuple[Sequence[Syscall], Callable[[Sequence[int]], Sequence[int]]]
"""What puts values that stand in the order of other rows, and a 0 behind them, into the order of one's own: the kernel
lists the rows of its two sides each in its own order."""


class _Items(ItemsView[Syscall, Counters]):
    _mapping: Counts

    def __iter__(self) -> Iterator[tuple[Syscall, Counters]]:
        return zip(self._mapping.syscalls, self._mapping.counters(), strict=True)


class _Values(ValuesView[Counters]):
    _mapping: Counts

    def __iter__(self) -> Iterator[Counters]:
        return self._mapping.counters()


class Counts(Mapping[Syscall, Counters]):
    """What was counted by syscall, never written to again; kept in columns, for there are thousands of rows a tick.

    A Counters is only made where it is looked at: `syscalls`, `lanes` and `peaks` have one entry a row, the
    last two as Counters keeps them.
    """

    __slots__ = ("_pick", "_places", "lanes", "peaks", "syscalls")

    def __init__(
        self,
        syscalls: Sequence[Syscall] = (),
        lanes: Sequence[int] = (),
        peaks: Sequence[int] = (),
        places: dict[Syscall, int] | None = None,
        pick: _Pick | None = None,
    ) -> None:
        """`places` are those of `syscalls` in their order, where they are known already; so is `pick` of other rows."""
        self.syscalls, self.lanes, self.peaks, self._places, self._pick = syscalls, lanes, peaks, places, pick

    @property
    def _index(self) -> dict[Syscall, int]:
        if self._places is None:
            self._places = dict(zip(self.syscalls, range(len(self.syscalls)), strict=True))
        return self._places

    def __getitem__(self, call: Syscall) -> Counters:
        at = self._index[call]
        return Counters.of_lanes((self.lanes[at], self.peaks[at]))

    def __iter__(self) -> Iterator[Syscall]:
        return iter(self.syscalls)

    def __len__(self) -> int:
        return len(self.syscalls)

    def counters(self) -> Iterator[Counters]:
        """The counters of all rows, in the order of `syscalls`."""
        return map(Counters.of_lanes, zip(self.lanes, self.peaks, strict=True))

    def numbers(self) -> list[int]:
        """How often each was called, in the order of `syscalls`."""
        return [lane & LANE for lane in self.lanes]

    def items(self) -> ItemsView[Syscall, Counters]:
        """As of any mapping."""
        return _Items(self)

    def values(self) -> ValuesView[Counters]:
        """As of any mapping."""
        return _Values(self)

    def sum(self) -> Counters:
        """All rows together."""
        return Counters.of_lanes((sum(self.lanes), max(self.peaks, default=0)))

    def plus(self, other: Counts) -> Counts:
        """Both added up, row by row."""
        if not self.syscalls:
            return other
        places, pick = self._index, self._pick
        if self.syscalls == other.syscalls:
            return self._with(other.lanes, other.peaks, pick)
        if pick and pick[0] == other.syscalls:
            return self._with(pick[1]([*other.lanes, 0]), pick[1]([*other.peaks, 0]), pick)
        calls, lanes, peaks = self.syscalls, list(self.lanes), list(self.peaks)
        if new := [call for call in other.syscalls if call not in places]:
            calls = [*calls, *new]
            places = dict(zip(calls, range(len(calls)), strict=True))
            lanes += [0] * len(new)
            peaks += [0] * len(new)
        order = [-1] * max(len(calls), 2)  # -1 is the 0 behind the rows; of one place itemgetter would make no tuple
        for row, (call, added, peak) in enumerate(zip(other.syscalls, other.lanes, other.peaks, strict=True)):
            at = places[call]
            order[at] = row
            lanes[at] += added
            if peak > peaks[at]:
                peaks[at] = peak
        return Counts(calls, lanes, peaks, places, (other.syscalls, itemgetter(*order)))

    def _with(self, added: Sequence[int], longest: Sequence[int], pick: _Pick | None) -> Counts:
        """With more of the same rows, which stand in the same order."""
        peaks = [a if a > b else b for a, b in zip(self.peaks, longest)]  # noqa: B905 - one place has two values
        return Counts(self.syscalls, list(map(add, self.lanes, added)), peaks, self._places, pick)


EMPTY = Counts()


class Between(NamedTuple):
    """A latency in ns, as far as it is known: at least the one, at most the other."""

    least_ns: int
    most_ns: int


def percentile(counters: Counters, share: float) -> Between:
    """The least latency that `share` (0..1) of the returned calls stayed below or at; zeros where none returned.

    The histogram tells it to a factor of two; the longest call is known exactly.
    """
    place, longest = ceil(share * counters.returns), counters.max_ns
    found = bucket_of(unpack_buckets(counters.buckets), place)
    if place >= counters.returns or found is None:
        return Between(longest, longest)
    floors = bucket_floor_ns(found[0]), bucket_floor_ns(found[0] + 1) - 1 if found[0] < BUCKETS - 1 else longest
    return Between(min(floors[0], longest), min(floors[1], longest))


def bucket_of(buckets: Sequence[int], place: float) -> tuple[int, int] | None:
    """(bucket, calls in those before it) of the call in this place, the shortest in place 1; None if it has none."""
    before = 0
    for index, count in enumerate(buckets):
        if count and before + count >= place:
            return index, before
        before += count
    return None


def new_errnos(now: Errnos, before: Errnos) -> Errnos:
    """What `now` counts more than `before`."""
    if now is before:
        return {}
    return {key: more for key, count in now.items() if (more := count - before.get(key, 0)) > 0}


class Difference(NamedTuple):
    """One system call in both runs; what was not called at all is NOTHING."""

    syscall: Syscall
    before: Counters
    after: Counters

    @property
    def calls(self) -> int:
        """Calls more than before."""
        return self.after.calls - self.before.calls

    @property
    def errors(self) -> int:
        """Errors more than before."""
        return self.after.errors - self.before.errors

    @property
    def time_ns(self) -> int:
        """Time more than before, in ns."""
        return self.after.time_ns - self.before.time_ns


def added(tables: Iterable[Mapping[Syscall, Counters]]) -> dict[Syscall, Counters]:
    """The sums over several tables."""
    total: dict[Syscall, Counters] = {}
    for table in tables:
        if not total:
            total.update(table)
            continue
        for syscall, counters in table.items():
            known = total.get(syscall)
            total[syscall] = counters if known is None else known.plus(counters)
    return total


def summed(tables: Iterable[Counts]) -> dict[Syscall, Counters]:
    """The same of rows, of which many share their syscalls."""
    alike: dict[int, list[Counts]] = {}
    for table in tables:
        alike.setdefault(id(table.syscalls), []).append(table)
    total: dict[Syscall, Counters] = {}
    for some in alike.values():
        lanes = map(sum, zip(*[each.lanes for each in some], strict=True))
        peaks = map(max, zip(*[each.peaks for each in some], strict=True))
        for call, both in zip(some[0].syscalls, zip(lanes, peaks, strict=True), strict=True):
            total[call] = total.get(call, NOTHING).plus(Counters.of_lanes(both))
    return total


def counted(tables: Iterable[Errnos]) -> Errnos:
    """The sums over several tables of errnos."""
    total: Counter[ErrorKey] = Counter()
    for table in tables:
        if table:
            total.update(table)
    return total
