"""What the live screen remembers over time, of everything and of what the view is narrowed to."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from denet_tui.counts import Counts, added, counted
from denet_tui.model import Counters, Errnos, ErrorKey, ProcessInfo, ProcessKey, Snapshot, Syscall, added_up
from denet_tui.watch.history import History, Tables
from denet_tui.watch.timeline import Timeline

_LONG, _SHORT = 240, 120
"""Ticks kept per syscall and process, and per pair of both."""
_MOST_VALUES = 1_500_000
_MOST_TABLES = 40_000
"""Rows of the last ticks that are kept whole, for narrowing: at most about 14 MB."""

Inside = Callable[[Sequence[ProcessInfo]], Sequence[ProcessInfo]]
"""Which of the processes the view is narrowed to."""


class _Seen:
    """What is remembered of all processes, or of those that the view is narrowed to."""

    def __init__(self) -> None:
        self.calls: History[Syscall] = History(_LONG, 2048)
        self.errors: History[ErrorKey] = History(_LONG, 512)
        self.timeline = Timeline()
        self.errnos: Errnos = {}
        """Errors so far."""

    def begin(self, time_s: float) -> None:
        self.calls.begin(time_s)
        self.errors.begin(time_s)

    def add(
        self,
        period: tuple[float, float],
        total: Counters,
        recent: Mapping[Syscall, Counters],
        errnos: Errnos,
        *,
        known: bool = False,
    ) -> None:
        """Take in a tick: what was counted in `period` (s since the start), and all errors so far.

        `known`: the timeline has it already.
        """
        start_s, end_s = period
        for syscall, counters in recent.items():
            if counters.calls:
                self.calls.put(syscall, counters.calls / (end_s - start_s))
        for key, count in errnos.items():
            more = count - self.errnos.get(key, 0)
            if more > 0:
                self.errors.put(key, more / (end_s - start_s))
        self.errnos = errnos
        if not known:
            self.timeline.add(start_s, end_s, total, recent)


class _TickTables(NamedTuple):
    start_s: float
    end_s: float
    tables: Mapping[ProcessKey, Mapping[Syscall, Counters]]


class Rates:
    """Calls/s and errors/s per syscall, calls/s per process, and a day of counters.

    At most about 12 MB for calls/s, 6 MB of it per pair of process and syscall; 14 MB for the
    tables that narrowing looks back at; and a Timeline for everything and one for what is narrowed,
    each about 12 MB after a day of 40 busy syscalls.
    """

    def __init__(self) -> None:
        self._all = _Seen()
        self._some: _Seen | None = None
        self.processes: History[ProcessKey] = History(_SHORT, 4096)
        self._pairs: Tables[ProcessKey, Syscall] = Tables(_SHORT, _MOST_VALUES)
        self._ticks: deque[_TickTables] = deque(maxlen=_SHORT)
        self._kept_rows = 0
        self._inside: Inside | None = None
        self._periods: deque[tuple[float, float]] = deque(maxlen=_SHORT)
        """When the last ticks started and ended."""
        self._known_s = -1.0
        """Up to where `_all` has its timeline."""

    @property
    def whole(self) -> History[Syscall]:
        """The series per syscall of everything."""
        return self._all.calls

    @property
    def view(self) -> History[Syscall]:
        """The series per syscall of what is shown."""
        return (self._some or self._all).calls

    @property
    def errors(self) -> History[ErrorKey]:
        """The errors/s of what is shown; narrowed, only from then on."""
        return (self._some or self._all).errors

    @property
    def timeline(self) -> Timeline:
        """The counters of what is shown; where it is narrowed, of the last minute and from then on."""
        return (self._some or self._all).timeline

    def add(self, snapshot: Snapshot) -> None:
        """Take in the next snapshot; each has to come once, in order."""
        seconds = snapshot.interval_ns / 1e9
        now = snapshot.time_ns / 1e9
        self._pairs.begin()
        self.processes.begin(now)
        self._all.begin(now)
        if self._some is not None:
            self._some.begin(now)
        if seconds <= 0:
            return
        end_s = snapshot.elapsed_ns / 1e9
        period = (end_s - seconds, end_s)
        known = end_s <= self._known_s
        self._all.add(period, snapshot.delta, snapshot.recent, snapshot.errnos, known=known)
        self._known_s = max(self._known_s, end_s)
        self._periods.append(period)
        busy = [process for process in snapshot.processes if process.delta.calls]
        for process in busy:
            key = process.key
            self.processes.put(key, process.delta.calls / seconds)
            calls, numbers = _columns(process.recent)
            self._pairs.put(key, calls, [number / seconds for number in numbers])
        self._keep(_TickTables(*period, {process.key: process.recent for process in busy}))
        if self._some is not None and self._inside is not None:
            inside = self._inside(snapshot.processes)
            recent = added(process.recent for process in inside)
            self._some.add(period, added_up(recent.values()), recent, counted(process.errnos for process in inside))

    def know(self, past: Iterable[tuple[float, float, Mapping[Syscall, Counters]]]) -> None:
        """Take in what was called in stretches of time (s since the start) whose snapshots do not come."""
        for start_s, end_s, rows in past:
            self._all.timeline.add(start_s, end_s, added_up(rows.values()), rows)
            self._known_s = end_s

    def from_another_moment(self, snapshot: Snapshot) -> Rates:
        """The same for a recording that jumps to `snapshot`: of what was so far, only the timeline of everything."""
        there = Rates()
        there._all.timeline, there._known_s = self._all.timeline, self._known_s
        there._all.errnos = snapshot.errnos
        there.narrow(self._inside, snapshot.processes)
        return there

    def of_process(self, key: ProcessKey, count: int, behind: int, wanted: Container[Syscall]) -> list[float]:
        """Calls/s of one process in the `wanted` syscalls: `count` ticks, the last of them `behind` the newest."""
        last = len(self._ticks) - behind
        ticks = islice(self._ticks, max(0, last - count), max(0, last))
        return [
            sum(counters.calls for syscall, counters in tick.tables.get(key, {}).items() if syscall in wanted)
            / (tick.end_s - tick.start_s)
            for tick in ticks
        ]

    def _keep(self, tick: _TickTables) -> None:
        if len(self._ticks) == self._ticks.maxlen:
            self._drop()
        self._ticks.append(tick)
        self._kept_rows += _rows(tick)
        while self._kept_rows > _MOST_TABLES and self._ticks:
            self._drop()

    def _drop(self) -> None:
        self._kept_rows -= _rows(self._ticks.popleft())

    def narrow(self, inside: Inside | None, processes: Sequence[ProcessInfo] = ()) -> None:
        """Follow only those of the processes that `inside` picks from now on; None: all of them.

        `processes` are those of the newest snapshot.
        """
        self._inside = inside
        self._some = None
        if inside is None:
            return
        chosen = inside(processes)
        keys = {process.key for process in chosen}
        self._some = some = _Seen()
        some.errnos = counted(process.errnos for process in chosen)
        for time_s in self.whole.times(self._pairs.span):
            some.begin(time_s)
        series = self._pairs.sums(keys)
        for syscall, values in series.items():
            some.calls.seed(syscall, values)
        self._look_back(some.timeline, keys, series)

    def _look_back(self, timeline: Timeline, keys: set[ProcessKey], series: Mapping[Syscall, Sequence[float]]) -> None:
        """Fill a timeline from the last ticks; of those whose tables are gone only the calls are known."""
        periods = list(self._periods)[-self._pairs.span :]
        for back, (start_s, end_s) in zip(range(-len(periods), 0), periods, strict=True):
            if -back <= len(self._ticks):
                tables = self._ticks[back].tables
                recent = added(tables[key] for key in keys & tables.keys())
            else:
                calls = {syscall: round(values[back] * (end_s - start_s)) for syscall, values in series.items()}
                recent = {syscall: Counters.without_row(count) for syscall, count in calls.items() if count}
            timeline.add(start_s, end_s, added_up(recent.values()), recent)


def _columns(rows: Mapping[Syscall, Counters]) -> tuple[Sequence[Syscall], list[int]]:
    """The syscalls, and how often each was called; there are thousands of them a tick."""
    if isinstance(rows, Counts):
        return rows.syscalls, rows.numbers()
    return list(rows), [counters.calls for counters in rows.values()]


def _rows(tick: _TickTables) -> int:
    return sum(map(len, tick.tables.values()))
