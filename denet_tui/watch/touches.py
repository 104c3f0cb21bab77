"""From what each interval's calls were about to all since the start, within a bound."""

from __future__ import annotations

import os
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from denet_tui.bpf.facts import parse_mounts
from denet_tui.bpf.files import About
from denet_tui.touched import KEPT, SLOWEST, FailedPath, File, SlowCall, Touched, Use

_NONE = Use()
_TIME = attrgetter("time_ns")
_Key = TypeVar("_Key")


class Touches:
    """Adds them up."""

    def __init__(self) -> None:
        self._files: dict[File, Use] = {}
        self._by_process: dict[tuple[int, File], Use] = {}
        self._failed: dict[FailedPath, int] = {}
        self._slowest: dict[str, list[SlowCall]] = {}
        self._told = Touched(mounts=_mounts())

    def add(self, about: About, pid_of: Callable[[int], int], turn_away: Callable[[str], None]) -> Touched:
        """All since the start; `pid_of` is what the user calls a tgid, `turn_away` takes the table without room."""
        for tgid, file, use in about.used:
            whose = pid_of(tgid), file
            kept = self._add_use(self._by_process, whose, use)
            if not self._add_use(self._files, file, use):
                nameless = File(file.kind, None)  # so that the sum over all files is that of all
                self._files[nameless] = self._files.get(nameless, _NONE).plus(use)
                kept = False
            if not kept:
                turn_away("files")
        for path, count in about.failed:
            if path in self._failed or len(self._failed) < KEPT:
                self._failed[path] = self._failed.get(path, 0) + count
            else:
                turn_away("paths")
        for slow in about.slow:
            most = [*self._slowest.get(slow.syscall, ()), slow._replace(pid=pid_of(slow.pid))]
            self._slowest[slow.syscall] = sorted(most, key=_TIME, reverse=True)[:SLOWEST]
        self._told = self._told_now(about)
        return self._told

    def _told_now(self, about: About) -> Touched:
        """What the interval has not changed stays the same object: a table has thousands of rows, and most rest."""
        told = self._told
        if about.used:
            files, by_process = MappingProxyType(self._files.copy()), MappingProxyType(self._by_process.copy())
            told = told._replace(files=files, by_process=by_process)
        if about.failed:
            told = told._replace(failed=MappingProxyType(self._failed.copy()))
        if about.slow:
            slowest = tuple(slow for _, most in sorted(self._slowest.items()) for slow in most)
            told = told._replace(slowest=slowest)
        return told

    def _add_use(self, table: dict[_Key, Use], key: _Key, use: Use) -> bool:
        """False where there is no room for another."""
        if key not in table and len(table) >= KEPT:
            return False
        table[key] = table.get(key, _NONE).plus(use)
        return True


def _mounts() -> tuple[str, ...]:
    """Mount points; none where they cannot be read."""
    try:
        text = os.fsdecode(Path("/proc/self/mountinfo").read_bytes())
    except OSError:
        return ()
    return tuple(sorted({mount.point for mount in parse_mounts(text)}))
