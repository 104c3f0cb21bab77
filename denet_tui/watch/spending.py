"""Where the time of processes went, added up over readings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from denet_tui.bpf.times import Spent, Waits
from denet_tui.detail import Time, Wait
from denet_tui.model import Syscall


class Spending:
    """Keeps what has been waited in calls, by process and in all, and the time of those that have ended."""

    def __init__(self) -> None:
        self._waits: Waits = {}
        self._all_waits: dict[Syscall, Wait] = {}
        self._ended: Time | None = Time()

    def add(self, spent: Spent) -> dict[int, Time | None]:
        """The time of every process that is watched, by tgid."""
        for tgid, calls in spent.waits.items():
            _add(self._waits.setdefault(tgid, {}), calls)
            _add(self._all_waits, calls)
        return {tgid: time and time._replace(waits=self._waits_of(tgid, spent)) for tgid, time in spent.times.items()}

    def end(self, tgid: int, time: Time | None) -> None:
        """Take the last time of a process into that of the ended."""
        self._waits.pop(tgid, None)
        self._ended = None if time is None or self._ended is None else self._ended.plus(time)

    def total(self, living: Iterable[Time | None], spent: Spent) -> Time | None:
        """Of the ended and the living; None if it is not known of one."""
        total = self._ended
        for time in living:
            total = None if time is None or total is None else total.plus(time)
        waits = dict(self._all_waits)
        for calls in spent.open.values():
            _add(waits, calls)
        return total and total._replace(waits=MappingProxyType(waits))

    def _waits_of(self, tgid: int, spent: Spent) -> Mapping[Syscall, Wait]:
        waits = dict(self._waits.get(tgid, {}))
        _add(waits, spent.open.get(tgid, {}))
        return MappingProxyType(waits)


def _add(waits: dict[Syscall, Wait], more: Mapping[Syscall, Wait]) -> None:
    for call, wait in more.items():
        waits[call] = waits.get(call, Wait()).plus(wait)
