"""What the live screen remembers: calls/s over time, of everything and of what the view is narrowed to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from denet_tui.model import Counters, ProcessInfo, Snapshot, Syscall
from denet_tui.screens.scope import added
from denet_tui.watch.history import History, Rows
from denet_tui.widgets.processes import ProcessKey, process_key

_LONG, _SHORT = 240, 120
"""Ticks kept per syscall and process, and per pair of both."""
_MOST_VALUES = 4_000_000


Inside = Callable[[Sequence[ProcessInfo]], Sequence[ProcessInfo]]
"""Which of the processes the view is narrowed to."""


class Rates:
    """Calls/s per syscall, per process and per both; at most about 22 MB, 16 MB of it for both."""

    def __init__(self) -> None:
        self.whole: History[Syscall] = History(_LONG, 2048)
        self.processes: History[ProcessKey] = History(_SHORT, 4096)
        self._pairs: Rows[ProcessKey, Syscall] = Rows(_SHORT, _MOST_VALUES)
        self._narrowed: History[Syscall] | None = None
        self._inside: Inside | None = None

    @property
    def view(self) -> History[Syscall]:
        """The series per syscall of what is shown."""
        return self._narrowed or self.whole

    def add(self, snapshot: Snapshot) -> None:
        """Take in the next snapshot; each has to come once, in order."""
        seconds = snapshot.interval_ns / 1e9
        now = snapshot.time_ns / 1e9
        self._pairs.begin()
        for history in (self.whole, self.processes):
            history.begin(now)
        if seconds <= 0:
            return
        _put(self.whole, snapshot.recent, seconds)
        for process in snapshot.processes:
            if not process.delta.calls:
                continue
            key = process_key(process)
            self.processes.put(key, process.delta.calls / seconds)
            self._pairs.put(key, [(syscall, counters.calls / seconds) for syscall, counters in process.recent.items()])
        if self._narrowed is not None:
            self._narrowed.begin(now)
            inside = self._inside(snapshot.processes) if self._inside else snapshot.processes
            _put(self._narrowed, added(process.recent for process in inside), seconds)

    def narrow(self, inside: Inside | None, processes: Sequence[ProcessInfo] = ()) -> None:
        """Follow only those of the processes that `inside` picks from now on; None: all of them.

        `processes` are those of the newest snapshot.
        """
        self._inside = inside
        self._narrowed = None
        if inside is None:
            return
        narrowed: History[Syscall] = History(_LONG, 2048)
        self._narrowed = narrowed
        for time_s in self.whole.times(_SHORT):
            narrowed.begin(time_s)
        for syscall, series in self._pairs.sums({process_key(process) for process in inside(processes)}).items():
            narrowed.seed(syscall, series)


def _put(history: History[Syscall], recent: Mapping[Syscall, Counters], seconds: float) -> None:
    for syscall, counters in recent.items():
        if counters.calls:
            history.put(syscall, counters.calls / seconds)
