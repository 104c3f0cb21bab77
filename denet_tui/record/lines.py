"""The lines of a file from any place in it, whether it grows, is packed, or is a stream, of which a copy is kept."""

from __future__ import annotations

import os
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from denet_tui.record import parts
from denet_tui.record.astray import astray
from denet_tui.record.packed import MissingError, Unpacker
from denet_tui.record.read import UnreadableError
from denet_tui.system import files
from denet_tui.system.visible import visible

MOST_LINE = 64 << 20
"""Bytes."""
_BLOCK, _PACKED_BLOCK = 1 << 20, 1 << 16
LITTLE, _MOST_TIMES = 1 << 28, 200
"""Bytes that may be unpacked from however few, and so many times what they are packed: 10 to 30 times is usual."""
_MOST_BACK = 1 << 28
"""Bytes from the end in which there is a keyframe, if there is any; but for the summary it is much nearer."""
_BEGIN = 4096
"""Bytes by which a recording is known: they have when its run began."""
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
    opened = [(each.name, _opened(each, os.O_NOFOLLOW)) for each in found]
    wrong = astray(opened)

    def later() -> Iterator[parts.Part]:
        for each in parts.of_last_run(Path(path)):
            if each > found[-1]:
                found.append(each)
                yield each.name, _opened(each, os.O_NOFOLLOW)

    rest = [(name, file) for name, file in opened if name not in wrong]
    return BufferedReader(parts.Joined(rest, later, wrong))


class Lines:
    """Reads from an open file; every method may raise OSError, and ValueError for what cannot be unpacked."""

    def __init__(self, file: BinaryIO) -> None:
        self._given = self._file = file
        self._begin = b""
        self._joined = _joined_in(file)
        self._begun: list[tuple[int, str]] = []
        """Where each part begins in the copy, and its name."""
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
            return
        self._begin = os.pread(file.fileno(), _BEGIN, 0)
        if Unpacker.is_packed(self._begin[:4]):
            self._keep_a_copy()

    def line(self, at: int) -> bytes:
        """What is there up to the end of the line, of its part or of what there is, or to more than MOST_LINE bytes."""
        self._file.seek(at)
        first = self._file.readline(_BLOCK)
        if first.endswith(b"\n") and not self._joined:
            return first
        found = bytearray(first)
        while not found.endswith(b"\n") and len(found) <= MOST_LINE:
            more = self._file.readline(_BLOCK)
            if not more and (self.is_stream or not self._take_in()):
                break
            found += more
        end = min((begin for begin, _ in self._begins() if at < begin < at + len(found)), default=None)
        return bytes(found if end is None else found[: end - at])

    def ends_with_a_line(self) -> bool:
        """Whether the last line is whole; behind it may be what a file system leaves of a crash, zeros."""
        while not self.is_stream and self._take_in():
            pass
        end, block = _size(self._file), b""
        while end and not block:
            start = max(0, end - _BLOCK)
            self._file.seek(start)
            block, end = self._file.read(end - start).rstrip(b"\0"), start
        return block.endswith(b"\n")

    def take_all_in(self, stop: Callable[[], bool]) -> bool:
        """Unpack what there is; False if `stop` says that nothing is wanted any more."""
        while self._take_in():
            if stop():
                return False
        return True

    def replaced(self, at: int) -> bool:
        """Whether it is another file than the one that was read up to there: shorter, or one that begins otherwise."""
        if self.is_stream:
            return False
        shorter = _size(self._given) < (at if self._copy is None else self._taken)
        return shorter or os.pread(self._given.fileno(), len(self._begin), 0) != self._begin

    def last(self, begins: bytes) -> int | None:
        """Where the last line begins that begins so; None if there is none near the end."""
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

    def where(self, at: int) -> tuple[str, int]:
        """The part in which a place is, empty for a recording without parts, and the number of its line, from 1."""
        begin, name = max((each for each in self._begins() if each[0] <= at), default=(0, ""))
        self._file.seek(begin)
        number, left = 1, at - begin
        while left and (block := self._file.read(min(left, _BLOCK))):
            number += block.count(b"\n")
            left -= len(block)
        return name, number

    def next_part(self, at: int) -> int | None:
        """Where the first part begins that begins after a place; None if there is none."""
        while (found := min((begin for begin, _ in self._begins() if begin > at), default=None)) is None:
            if self._joined is None or not (self._take_in() if self._copy else self._joined.look()):
                return None
        return found

    @property
    def astray(self) -> Mapping[str, str]:
        """By name, what is wrong with files that stand among the parts and are passed over."""
        return self._joined.astray if self._joined else {}

    def _begins(self) -> list[tuple[int, str]]:
        return self._begun if self._copy else self._joined.begins() if self._joined else []

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
        """Take in what comes next; False if nothing does. Waits for a stream."""
        if self._copy is None:
            return False
        while (piece := self._unpacked()) is None:
            if not (block := self._block()):
                return False
            self._taken += len(block)
            if self._unpacker is None:
                while self._joined is None and len(block) < Unpacker.LEAST and (more := self._given.read(1)):
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

    def _unpacked(self) -> bytes | None:
        """The next piece of the block that was read last; what is left of a damaged part is left out."""
        try:
            return next(self._pieces, None)
        except ValueError:
            ends = [begin for begin, _ in self._joined.begins() if begin >= self._taken] if self._joined else []
            if not ends:
                raise
            self._taken = self._given.seek(ends[0])
            self._pieces = iter(())
            return None

    def _block(self) -> bytes:
        """What comes next, of one part."""
        if self._joined is None:
            return self._given.read(_PACKED_BLOCK)
        if self._taken == self._joined.size():
            self._joined.look()
        begins = dict(self._joined.begins())
        if self._taken in begins:
            self._begun.append((self._kept, begins[self._taken]))
            self._unpacker = None
        end = min((begin for begin in begins if begin > self._taken), default=self._joined.size())
        return self._given.read(min(_PACKED_BLOCK, end - self._taken))

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


def _joined_in(file: BinaryIO) -> parts.Joined | None:
    raw = getattr(file, "raw", None)
    return raw if isinstance(raw, parts.Joined) else None


def _size(file: BinaryIO) -> int:
    joined = _joined_in(file)
    return joined.size() if joined else os.fstat(file.fileno()).st_size
