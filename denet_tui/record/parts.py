"""A recording in parts, each of which can be read by itself: of FILE.jsonl, FILE.20261126T131000Z.0001.jsonl and so on.

The time is that of the start of the run. Parts of earlier runs stay for as long as there is room and time for them.
"""

from __future__ import annotations

import io
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

_NAME = re.compile(r"(.+?)((?:\.jsonl?)?(?:\.(?:gz|zst))?(?:\.\d+)?)", re.DOTALL)
"""What a name is before and after its number; the ending is what it is packed with, and which run it is of."""
_PARTS = 8
"""So many of them take all the room and all the time that there is."""


class Limits(NamedTuple):
    """Of all parts together: bytes, and s since the last byte; None for no limit."""

    max_bytes: int | None = None
    keep_s: float | None = None


class PartFiles:
    """The parts of a run as they are begun."""

    def __init__(self, path: Path, start_ms: int, limits: Limits) -> None:
        self._path, self._limits = path, limits
        self._run = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(start_ms / 1000))
        self.number = 0
        self._begun_s = 0.0

    def begin(self) -> Path:
        """Make room for the next one, and return its path."""
        self.number += 1
        self._begun_s = time.monotonic()
        stem, ending = _split(self._path.name)
        path = self._path.with_name(f"{stem}.{self._run}.{self.number:04}{ending}")
        max_bytes, keep_s = self._limits
        room = None if max_bytes is None else max_bytes - max_bytes // _PARTS
        for each in reversed([each for each in parts_of(self._path) if each != path]):
            with suppress(OSError):  # another one has removed it, or may, and this one may not
                found = each.stat()
                room = None if room is None else room - found.st_size
                if (room is not None and room < 0) or (keep_s is not None and found.st_mtime < time.time() - keep_s):
                    each.unlink()
        return path

    def full(self, size: int) -> bool:
        """Whether one of this size, begun when the last one was, is to be followed by another."""
        max_bytes, keep_s = self._limits
        too_large = max_bytes is not None and size >= max_bytes // _PARTS
        return too_large or (keep_s is not None and time.monotonic() - self._begun_s >= keep_s / _PARTS)


def parts_of(path: Path) -> list[Path]:
    """All parts that there are of a recording, the oldest first."""
    stem, ending = _split(path.name)
    name = re.compile(rf"{re.escape(stem)}\.(\d{{8}}T\d{{6}}Z)\.(\d{{4,9}}){re.escape(ending)}", re.DOTALL)
    with suppress(OSError):
        found = [(match, each) for each in path.parent.iterdir() if (match := name.fullmatch(each.name))]
        return [each for _, each in sorted(found, key=lambda one: (one[0][1], int(one[0][2])))]
    return []


def of_last_run(path: Path) -> list[Path]:
    """The parts of the run that began last, the oldest first."""
    found = parts_of(path)
    return [each for each in found if _run_of(each) == _run_of(found[-1])]


def _run_of(part: Path) -> str:
    stem, _ = _split(part.name)
    return stem.rpartition(".")[0]


def _split(name: str) -> tuple[str, str]:
    found = _NAME.fullmatch(name)
    return (found[1], found[2]) if found else (name, "")


class Joined(io.RawIOBase):
    """Several files as one; goes on with parts that come to be later."""

    def __init__(self, files: list[BinaryIO], later: Callable[[], Iterator[BinaryIO]]) -> None:
        self._files, self._later = files, later
        self._at = 0

    def fileno(self) -> int:
        """Of the first one."""
        return self._files[0].fileno()

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def size(self) -> int:
        """Bytes of all that are there."""
        return sum(os.fstat(each.fileno()).st_size for each in self._files)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As of any file."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size()}[whence]
        return self._at

    def readinto(self, buffer: object) -> int:
        """As of any file."""
        while True:
            begin = 0
            for each in self._files:
                size = os.fstat(each.fileno()).st_size
                if self._at < begin + size:
                    count = os.preadv(each.fileno(), [buffer], self._at - begin)  # type: ignore[list-item]
                    self._at += count
                    return count
                begin += size
            more = list(self._later())
            if not more:
                return 0
            self._files += more
