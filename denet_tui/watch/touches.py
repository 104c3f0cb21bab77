"""From what each interval's calls were about to all since the start, within a bound."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from operator import attrgetter
from pathlib import Path
from types import MappingProxyType

from denet_tui.bpf.facts import parse_mounts
from denet_tui.bpf.files import About
from denet_tui.touched import (
    FOLDED,
    FOLDED_FILES,
    FOLDED_PATHS,
    KEPT,
    SLOWEST,
    FailedPath,
    File,
    SlowCall,
    Touched,
    Use,
)

_NONE = Use()
_TIME = attrgetter("time_ns")
_TOP = 5
"""Files of a process that stay when its others are folded: those with most time."""
_ROOM = KEPT // 2
"""Rows that are left where there were more than KEPT: so it is not done again at once."""
_PASSING = ("pipe", "tcp", "udp", "unix", "socket", "memfd")
"""Kinds of what does not come again under the same name once it has gone."""


class Touches:
    """Adds them up."""

    def __init__(self) -> None:
        self._files: dict[File, Use] = {}
        self._by_process: dict[tuple[int, File], Use] = {}
        self._failed: dict[FailedPath, int] = {}
        self._slowest: dict[str, list[SlowCall]] = {}
        self._told = Touched(mounts=_mounts())

    def add(
        self,
        about: About,
        pid_of: Callable[[int], int],
        living: Callable[[], Collection[int]],
        turn_away: Callable[[str, int], None],
    ) -> Touched:
        """All since the start; `pid_of` is what the user calls a tgid, `living` are such of what has not ended.

        `turn_away` takes the table without room, and how many of its rows are told in sums alone from now on.
        """
        files, by_process, failed = self._files, self._by_process, self._failed
        for tgid, file, use in about.used:
            whose = pid_of(tgid), file
            by_process[whose] = by_process.get(whose, _NONE).plus(use)
            files[file] = files.get(file, _NONE).plus(use)
        for path, count in about.failed:
            failed[path] = failed.get(path, 0) + count
        for slow in about.slow:
            most = [*self._slowest.get(slow.syscall, ()), slow._replace(pid=pid_of(slow.pid))]
            self._slowest[slow.syscall] = sorted(most, key=_TIME, reverse=True)[:SLOWEST]
        for table, count in ((FOLDED_FILES, self._fold_files(living)), (FOLDED_PATHS, self._fold_paths())):
            if count:
                turn_away(table, count)
                self._told = self._told._replace(folds=self._told.folds + 1)
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

    def _fold_files(self, living: Callable[[], Collection[int]]) -> int:
        """Make room where it is short; returns how many rows were added to those of FOLDED, or have gone."""
        if max(len(self._by_process), len(self._files)) <= KEPT:
            return 0
        pids = living()
        count = self._fold_processes(pids) if len(self._by_process) > KEPT else 0
        if len(self._files) > KEPT:
            used = {file for pid, file in self._by_process if pid in pids}
            least = sorted(
                self._files.keys() - {FOLDED},
                key=lambda file: (file in used, not _passes(file), self._files[file].time_ns),
            )
            for file in least[: len(self._files) - _ROOM]:
                self._files[FOLDED] = self._files.get(FOLDED, _NONE).plus(self._files.pop(file))
                count += 1
        return count

    def _fold_processes(self, living: Collection[int]) -> int:
        """Of those that have ended first, in the order in which they came."""
        table, before = self._by_process, len(self._by_process)
        rows: dict[int, list[File]] = {}
        for pid, file in table:
            rows.setdefault(pid, []).append(file)
        ended, others = [pid for pid in rows if pid not in living], [pid for pid in rows if pid in living]
        for pids, most in ((ended, _TOP), (ended, None), (others, _TOP), (others, 0)):
            for pid in pids:
                if len(table) <= _ROOM:
                    return before - len(table)
                self._fold_process(pid, rows, most)
        return before - len(table)

    def _fold_process(self, pid: int, rows: dict[int, list[File]], most: int | None) -> None:
        """All but so many rows into one; that one as well where None."""
        table = self._by_process
        files = sorted(rows[pid], key=lambda file: (file != FOLDED, table[pid, file].time_ns), reverse=True)
        over = files[most or 0 :]
        if most is not None and len(over) < 2:
            return
        rest = _NONE
        for file in over:
            rest = rest.plus(table.pop((pid, file)))
        rows[pid] = files[: most or 0]
        if most is not None:
            table[pid, FOLDED] = rest
            rows[pid].append(FOLDED)

    def _fold_paths(self) -> int:
        """The least frequent ones, into the one without a path of their call and errno."""
        if len(self._failed) <= KEPT:
            return 0
        least = sorted((path for path in self._failed if path.path is not None), key=self._failed.__getitem__)
        least = least[: len(self._failed) - _ROOM]
        for path in least:
            nameless = path._replace(path=None)
            self._failed[nameless] = self._failed.get(nameless, 0) + self._failed.pop(path)
        return len(least)


def _passes(file: File) -> bool:
    return file.kind in _PASSING or (file.path or "").endswith(" (deleted)")


def _mounts() -> tuple[str, ...]:
    """Mount points; none where they cannot be read."""
    try:
        text = os.fsdecode(Path("/proc/self/mountinfo").read_bytes())
    except OSError:
        return ()
    return tuple(sorted({mount.point for mount in parse_mounts(text)}))
