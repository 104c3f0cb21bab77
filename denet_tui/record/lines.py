"""The lines of a file from any place in it, whether it grows, is packed, or is a stream, of which a copy is kept."""

from __future__ import annotations

import os
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from denet_tui import files
from denet_tui.record import parts
from denet_tui.record.packed import MissingError, Unpacker
from denet_tui.record.read import UnreadableError
from denet_tui.visible import visible

MOST_LINE = 64 << 20
"""Bytes."""
_BLOCK, _PACKED_BLOCK = 1 << 20, 1 << 16
LITTLE, _MOST_TIMES = 1 << 28, 200
"""Bytes that may be unpacked from however few, and so many times what they are packed: 10 to 30 times is usual."""
_MOST_BACK = 1 << 28
"""Bytes from the end in which there is a keyframe, if there is any; but for the summary it is much nearer."""
_NAME_ONE = "name a recording, as `denet-tui run -o FILE -- COMMAND` writes one"


def open_file(path: str) -> BinaryIO:
    """The file or pipe at a path, or standard input for `-`; raises UnreadableError."""
    try:
        if path == "-":
            return os.fdopen(os.dup(0), "rb", buffering=0)
        if not Path(path).exists() and (found := parts.of_last_run(Path(path))):
            return _joined(path, found)
        if stat.S_ISREG(Path(path).stat().st_mode):
            return _opened(path)
        return Path(path).open("rb", buffering=0)
    except OSError as problem:
        shown = visible(path) or repr(path)
        raise UnreadableError(f"cannot read {shown}: {files.explain(problem, _NAME_ONE)}") from None


def _opened(path: str | Path, nofollow: int = 0) -> BinaryIO:
    return files.opened(os.open(path, os.O_RDONLY | files.HARMLESS | nofollow), path)


def _joined(path: str, found: list[Path]) -> BinaryIO:
    """The parts of a recording as one file; the last one may be being written, and others after it."""

    def later() -> Iterator[BinaryIO]:
        for each in parts.of_last_run(Path(path)):
            if each > found[-1]:
                found.append(each)
                yield _opened(each, os.O_NOFOLLOW)

    return BufferedReader(parts.Joined([_opened(each, os.O_NOFOLLOW) for each in found], later))


class Lines:
    """Reads from an open file; every method may raise OSError, and ValueError for what cannot be unpacked."""

    def __init__(self, file: BinaryIO) -> None:
        self._given = self._file = file
        self._copy: BinaryIO | None = None
        self._unpacker: Unpacker | None = None
        self._taken = 0
        """Bytes of what is given that have been taken in."""
        self._kept = self._most = 0
        """Bytes of the copy, and how many it may have."""
        self._pieces: Iterator[bytes] = iter(())
        """Of the block that was read last, what is not in the copy yet."""
        self.is_stream = self.streams = not stat.S_ISREG(os.fstat(file.fileno()).st_mode)
        """Whether it is one, and whether that goes on."""
        self.news = threading.Event()
        """Set when a stream has brought something, or has ended."""
        self.failure: str | None = None
        """Why a stream has not been taken in to its end."""
        if self.is_stream:
            self._keep_a_copy()
            threading.Thread(target=self._pump, name="stream", daemon=True).start()
        elif Unpacker.is_packed(os.pread(file.fileno(), 4, 0)):
            self._keep_a_copy()

    def line(self, at: int) -> bytes:
        """What is there up to the end of the line, or of what there is, or to more than MOST_LINE bytes."""
        self._file.seek(at)
        found = bytearray()
        while not found.endswith(b"\n") and len(found) <= MOST_LINE:
            more = self._file.readline(_BLOCK)
            if not more and (self.is_stream or not self._take_in()):
                break
            found += more
        return bytes(found)

    def ends_with_a_line(self) -> bool:
        """Whether the last line is whole."""
        while not self.is_stream and self._take_in():
            pass
        self._file.seek(-1, os.SEEK_END)
        return self._file.read(1) == b"\n"

    def take_all_in(self, stop: Callable[[], bool]) -> bool:
        """Unpack what there is; False where `stop` says that nothing is wanted any more."""
        while self._take_in():
            if stop():
                return False
        return True

    def last(self, begins: bytes) -> int | None:
        """Where the last line begins that begins so; None where there is none near the end."""
        end = _size(self._file)
        least, seen = max(0, end - _MOST_BACK), b""
        while end > least:
            start = max(least, end - _BLOCK)
            self._file.seek(start)
            seen = self._file.read(end - start) + seen[: len(begins)]
            if (found := seen.rfind(b"\n" + begins)) >= 0:
                return start + found + 1
            end = start
        return None

    def lines_before(self, at: int) -> int:
        """How many lines there are before a place."""
        self._file.seek(0)
        number = 0
        while at and (block := self._file.read(min(at, _BLOCK))):
            number += block.count(b"\n")
            at -= len(block)
        return number

    def size(self) -> int:
        """Bytes that there are so far; of a packed file, about how many there will be."""
        size = _size(self._file)
        if self.is_stream or self._copy is None:
            return size
        packed, taken = _size(self._given), self._taken
        return size * packed // taken if taken else packed

    def _keep_a_copy(self) -> None:
        """In an anonymous temporary file, unpacked."""
        self._copy = tempfile.TemporaryFile(prefix="denet-tui-", buffering=0)  # noqa: SIM115 - as long as it is read
        free = os.fstatvfs(self._copy.fileno())
        self._most = free.f_bavail * free.f_frsize // 2
        self._file = Path(f"/proc/self/fd/{self._copy.fileno()}").open("rb")  # noqa: SIM115 - the same; own place

    def _take_in(self) -> bool:
        """Take in what comes next; False where nothing does. Waits for a stream."""
        if self._copy is None:
            return False
        while (piece := next(self._pieces, None)) is None:
            if not (block := self._given.read(_PACKED_BLOCK)):
                return False
            self._taken += len(block)
            if self._unpacker is None:
                while len(block) < Unpacker.LEAST and (more := self._given.read(1)):
                    block += more  # a stream may bring its bytes one by one
                self._unpacker = Unpacker(block)
            self._pieces = self._unpacker.unpack(block)
        self._kept += len(piece)
        if self._kept > LITTLE + _MOST_TIMES * self._taken:
            raise ValueError(f"it unpacks to more than {_MOST_TIMES} times its size, which no recording does")
        if self._kept > self._most:
            where = visible(tempfile.gettempdir())
            raise ValueError(
                f"it takes more than half of what is free in {where}: set TMPDIR to a folder with more room"
            )
        self._copy.write(piece)
        return True

    def _pump(self) -> None:
        """Whoever writes a stream is never kept waiting."""
        try:
            while self._take_in():
                self.news.set()
        except OSError as problem:
            self.failure = f"it cannot be kept any further: {problem.strerror}"
        except (ValueError, MissingError) as problem:
            self.failure = str(problem)
        self.streams = False
        self.news.set()


def _size(file: BinaryIO) -> int:
    raw = getattr(file, "raw", None)
    return raw.size() if isinstance(raw, parts.Joined) else os.fstat(file.fileno()).st_size
