"""A recording in parts, each of which can be read by itself: of FILE.jsonl, FILE.20261126T131000Z.0001.jsonl and so on.

The time is that of the start of the run. Parts of earlier runs stay for as long as there is room and time for them.
"""

from __future__ import annotations

import io
import os
import re
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO, NamedTuple

from denet_tui.system import files

_NAME = re.compile(r"(.+?)((?:\.jsonl?)?(?:\.(?:gz|zst))?(?:\.\d+)?)", re.DOTALL)
"""What a name is before and after its number; the ending is what it is packed with, and which run it is of."""
_PARTS = 8
"""So many of them take all the room and all the time that there is."""
_FEW, _ENOUGH = 2, 4
"""Ticks that a part has where there is too little room, and where there is enough."""


class Limits(NamedTuple):
    """Of all parts together: bytes, and s since the last byte; None for no limit."""

    max_bytes: int | None = None
    keep_s: float | None = None


class PartFiles:
    """The parts of a run as they are begun."""

    def __init__(self, path: Path, start_ms: int, limits: Limits) -> None:
        self._path, self._limits = path, limits
        self._run = run_at(start_ms / 1000)
        self.number = self._named = 0
        self._name = ""
        self._begun_s = 0.0
        self._ticks = self._lead = self._crowded = 0
        """Ticks of the part, bytes of what comes before them, and bytes that the largest ones with hardly any need."""

    def begin(self) -> tuple[Path, int]:
        """The path of the next one, which is new, and a descriptor to write to it; then make room. Raises OSError."""
        self._begun_s = time.monotonic()
        stem, ending = _split(self._path.name)
        with files.folder_of(self._path) as at:
            while True:
                self._named += 1
                name = f"{stem}.{self._run}.{self._named:04}{ending}"
                with suppress(FileExistsError):  # somebody else's, in a folder that is shared
                    descriptor = files.begin(name, at)
                    break
            self.number += 1
            self._name = name
            self._make_room(at, (self._limits.max_bytes or 0) // _PARTS)
        return self._path.with_name(name), descriptor

    def end(self) -> None:
        """Make room for what the last one has become with its summary. Raises OSError."""
        with files.folder_of(self._path) as at:
            self._make_room(at, os.stat(self._name, dir_fd=at, follow_symlinks=False).st_size)

    def most_rows(self) -> int | None:
        """Bytes of a table of the summary; None for all there are."""
        return None if self._limits.max_bytes is None else self._limits.max_bytes // (2 * _PARTS)

    def _make_room(self, at: int, taken: int) -> None:
        max_bytes, keep_s = self._limits
        room = None if max_bytes is None else max_bytes - taken
        for name, found in reversed(_listed(self._path, self._run, at)):
            if name != self._name:
                room = None if room is None else room - min(found.st_size, found.st_blocks * 512)
                if (room is not None and room < 0) or (keep_s is not None and found.st_mtime < time.time() - keep_s):
                    with suppress(OSError):  # another one has removed it
                        os.unlink(name, dir_fd=at)

    def led(self, size: int) -> None:
        """Take note of what the last one begins with: its first line and, but for the first part, a keyframe."""
        self._lead = size

    def full(self, size: int) -> bool:
        """Whether the last one, which has this size, is to be followed by another; to be asked before each tick."""
        max_bytes, keep_s = self._limits
        too_large = max_bytes is not None and size >= max_bytes // _PARTS
        too_old = keep_s is not None and time.monotonic() - self._begun_s >= keep_s / _PARTS
        if self._ticks and (too_large or too_old):
            if too_large and self._ticks <= _FEW:
                tick = (size - self._lead) // self._ticks
                self._crowded = max(self._crowded, 2 * self._lead + _ENOUGH * tick)  # it ends with a keyframe as well
            self._ticks = 1
            return True
        self._ticks += 1
        return False

    @property
    def warning(self) -> str | None:
        """That there was hardly any room, and how much is needed; None if there was."""
        if not self._crowded:
            return None
        enough = max(1, -(-self._crowded * _PARTS >> 20))
        return f"the recording has hardly a tick: one and its state are too large for --max-size; give it {enough}M"


def parts_of(path: Path) -> list[Path]:
    """All parts that there are of a recording, the oldest first."""
    return [path.with_name(name) for name, _ in _listed(path, run_at(time.time()))]


def _listed(path: Path, until: str, at: int | None = None) -> list[tuple[str, os.stat_result]]:
    """The parts of runs that began until then, in the folder `at` this user's alone; in a shared one others plant some.

    Without `at` they are read only: those of the owner of the folder are as good.
    """
    stem, ending = _split(path.name)
    pattern = re.compile(rf"{re.escape(stem)}\.(\d{{8}}T\d{{6}}Z)\.(\d{{4,9}}){re.escape(ending)}", re.DOTALL)
    found = []
    with suppress(OSError), files.listable(path.parent, at) as folder:
        owners = {os.geteuid()} if at is not None else {os.geteuid(), os.fstat(folder).st_uid}
        for match in filter(None, map(pattern.fullmatch, os.listdir(folder))):  # noqa: PTH208 - of a descriptor
            with suppress(FileNotFoundError):
                is_ = os.stat(match[0], dir_fd=folder, follow_symlinks=False)
                own = stat.S_ISREG(is_.st_mode) and is_.st_uid in owners and is_.st_nlink == 1
                if own and match[1] <= until:
                    found.append((match[1], int(match[2]), match[0], is_))
    return [(name, is_) for _, _, name, is_ in sorted(found, key=lambda one: one[:3])]


def run_at(time_s: float) -> str:
    """How a run that began then is called in the names of its parts."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time_s))


def of_last_run(path: Path) -> list[Path]:
    """The parts of the run that began last, the oldest first."""
    found = parts_of(path)
    return [each for each in found if _run_of(each) == _run_of(found[-1])]


def between(before: str, after: str, astray: Mapping[str, str]) -> str:
    """Why there is nothing where one part comes after another, in words; `astray` are files that are none of them."""
    (stem, ending), (next_stem, _) = _split(before), _split(after)
    run, _, number = stem.rpartition(".")
    missing = [f"{run}.{each:04}{ending}" for each in range(int(number) + 1, int(next_stem.rpartition(".")[2]))]
    if not missing:
        return f"the end of {before} is missing"
    told = [f"{each} {astray[each]}" for each in missing if each in astray]
    if len(told) == len(missing):
        return ", ".join(told)
    return f"{' to '.join(dict.fromkeys((missing[0], missing[-1])))} is missing"


def place_of(name: str) -> tuple[str, int]:
    """When its run began, as its name has it, and its number there; raises ValueError for what is no name of a part."""
    run, number = _split(name)[0].split(".")[-2:]
    return run, int(number)


def _run_of(part: Path) -> str:
    stem, _ = _split(part.name)
    return stem.rpartition(".")[0]


def _split(name: str) -> tuple[str, str]:
    found = _NAME.fullmatch(name)
    return (found[1], found[2]) if found else (name, "")


Part = tuple[str, BinaryIO]
"""The name of a part, and its file."""


class Joined(io.RawIOBase):
    """Several files as one; goes on with parts that come to be later."""

    def __init__(self, parts: list[Part], later: Callable[[], Iterator[Part]], astray: Mapping[str, str]) -> None:
        self._parts, self._later, self.astray = parts, later, astray
        self._at = 0

    def begins(self) -> list[tuple[int, str]]:
        """Where each of those that are there begins, and its name."""
        begins = accumulate((_size(file) for _, file in self._parts), initial=0)
        return [(begin, name) for begin, (name, _) in zip(begins, self._parts, strict=False)]

    def look(self) -> bool:
        """Take in the parts that have come to be; False if there are none."""
        more = list(self._later())
        self._parts += more
        return bool(more)

    def fileno(self) -> int:
        """Of the first one."""
        return self._parts[0][1].fileno()

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def size(self) -> int:
        """Bytes of all that are there."""
        return sum(_size(file) for _, file in self._parts)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As of any file."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size()}[whence]
        return self._at

    def readinto(self, buffer: object) -> int:
        """As of any file."""
        while True:
            begin = 0
            for _, file in self._parts:
                size = _size(file)
                if self._at < begin + size:
                    count = os.preadv(file.fileno(), [buffer], self._at - begin)  # type: ignore[list-item]
                    self._at += count
                    return count
                begin += size
            if not self.look():
                return 0


def _size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size
