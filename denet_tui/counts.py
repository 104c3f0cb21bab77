"""What was counted by syscall: the rows of one process, and the difference between two runs."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping, Sequence, ValuesView
from math import ceil
from operator import add
from typing import NamedTuple

from denet_tui.model import BUCKETS, Counters, Errnos, Syscall, bucket_floor_ns, unpack_buckets

_LOWEST = (1 << 64) - 1


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

    A Counters is only made where somebody looks: `syscalls`, `lanes` and `peaks` have one entry a row, the
    last two as Counters keeps them.
    """

    __slots__ = ("_places", "lanes", "peaks", "syscalls")

    def __init__(
        self,
        syscalls: Sequence[Syscall] = (),
        lanes: Sequence[int] = (),
        peaks: Sequence[int] = (),
        places: dict[Syscall, int] | None = None,
    ) -> None:
        """`places` are those of `syscalls` in their order, where they are known already."""
        self.syscalls, self.lanes, self.peaks, self._places = syscalls, lanes, peaks, places

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
        return [lane & _LOWEST for lane in self.lanes]

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
        places = self._index
        if self.syscalls == other.syscalls:
            peaks = [a if a > b else b for a, b in zip(self.peaks, other.peaks, strict=True)]
            return Counts(self.syscalls, list(map(add, self.lanes, other.lanes)), peaks, places)
        calls, lanes, peaks = self.syscalls, list(self.lanes), list(self.peaks)
        if new := [call for call in other.syscalls if call not in places]:
            calls = [*calls, *new]
            places = dict(zip(calls, range(len(calls)), strict=True))
            lanes += [0] * len(new)
            peaks += [0] * len(new)
        for call, added, peak in zip(other.syscalls, other.lanes, other.peaks, strict=True):
            at = places[call]
            lanes[at] += added
            if peak > peaks[at]:
                peaks[at] = peak
        return Counts(calls, lanes, peaks, places)


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
    return {key: count - before.get(key, 0) for key, count in now.items() if count > before.get(key, 0)}


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
