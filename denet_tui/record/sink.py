"""Where the lines of a recording go: a file that may fill up, a pipe that may close."""

from __future__ import annotations

import logging
import os
import stat
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from denet_tui.record.packed import MissingError, Packer, packer
from denet_tui.system import files
from denet_tui.system.ready import wait_for_room
from denet_tui.system.visible import how_many, visible

log = logging.getLogger("denet_tui")

BATCH_BYTES = 256 * 1024
"""Lines are gathered up to about this many bytes for one write()."""

MOST_WAITING = 16 << 20
"""Bytes that wait for a slow reader; a tick that comes then is left out whole."""
PATIENCE_S = 2.0
"""How long a reader that is waited for in a hurry may take nothing."""

_TELL = ('{"kind":"tree"', '{"kind":"summary"')
"""How the lines begin that tell of ticks that were left out."""


class RecordError(Exception):
    """A recording cannot be started; the text is one line that says what to do."""


def batches(pieces: Iterable[str]) -> Iterator[bytes]:
    """Join pieces into blocks of about BATCH_BYTES, so that neither a write nor a huge line costs memory."""
    waiting: list[str] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= BATCH_BYTES:
            yield "".join(waiting).encode("ascii")
            waiting, size = [], 0
    if waiting:
        yield "".join(waiting).encode("ascii")


class Sink:
    """One file descriptor that takes lines until it fails; a failure is remembered, never raised."""

    def __init__(self, descriptor: int, name: str, *, owned: bool, packed: Packer | None = None) -> None:
        self.name = name
        self._packed = packed
        self.failure: str | None = None
        self._descriptor = descriptor
        self._owned = owned
        self._open = True
        self._written = 0
        self._line_start = 0
        self.left_out = 0
        """Ticks that its reader has not got, as it was too slow."""
        self._marked = 0
        """Those of them that a later line has told."""
        self._waiting: deque[bytes] | None = None
        self._size = 0
        self._news = threading.Condition()

    @classmethod
    def create(
        cls, path: str | os.PathLike[str], what: str, begin: Callable[[], tuple[Path, int]] | None = None
    ) -> Sink:
        """Create or empty the file at `path` (files.create), or `begin` a part of it; raises RecordError."""
        name = f"{what} {visible(os.fspath(path))}"
        try:
            packed = packer(path)  # first: nothing is emptied for what cannot be written
            if begin is None:
                return cls(files.create(path, special=True), name, owned=True, packed=packed)
            part, descriptor = begin()
            return cls(descriptor, f"{what} {visible(os.fspath(part))}", owned=True, packed=packed)
        except MissingError as problem:
            raise RecordError(f"cannot write the {name}: {problem}") from None
        except OSError as problem:
            raise RecordError(f"cannot write the {name}: {files.explain(problem)}") from problem

    @classmethod
    def of_stream(cls, stream: BinaryIO, what: str) -> Sink:
        """Write to an open stream, which stays open; raises RecordError where it is already closed."""
        try:
            stream.flush()
            return cls(stream.fileno(), what, owned=False)
        except (OSError, ValueError) as problem:
            raise RecordError(f"cannot write the {what}: it is closed ({problem})") from problem

    @property
    def alive(self) -> bool:
        """True while lines can still be taken."""
        return self._open and self.failure is None

    @property
    def size(self) -> int:
        """Bytes that have been written."""
        return self._written

    def same_file(self, other: Sink) -> bool:
        """Whether both write to one regular file, and would spoil each other's lines."""
        mine, others = os.fstat(self._descriptor), os.fstat(other._descriptor)
        return stat.S_ISREG(mine.st_mode) and os.path.samestat(mine, others)

    def unblock(self) -> None:
        """From now on let what a reader (of a pipe, a terminal) does not take wait in memory, not the caller."""
        if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            self._waiting = deque()
            threading.Thread(target=self._write_on, name="recording", daemon=True).start()

    def admit(self) -> bool:
        """Whether another tick may wait; one that may not is counted as left out."""
        room = self._size < MOST_WAITING
        if not room and not self.left_out:
            log.warning("the %s lacks ticks from here on: its reader is too slow for them", self.name)
        self.left_out += not room
        return room

    def marked(self, pieces: Iterable[str]) -> Iterable[str]:
        """The same, and in a tick or the summary how many ticks were left out just before it."""
        return self._marked_with(pieces) if self.left_out > self._marked else pieces

    def _marked_with(self, pieces: Iterable[str]) -> Iterator[str]:
        for piece in pieces:
            missing = self.left_out - self._marked
            begins = next((each for each in _TELL if missing and piece.startswith(each)), "")
            if begins:
                self._marked = self.left_out
                yield f'{begins},"left_out":{missing}'
            yield piece.removeprefix(begins)

    def drain(self, hurry: Callable[[], bool]) -> None:
        """Wait until all is written; where `hurry` says so, only as long as its reader goes on reading."""
        with self._news:
            while self._waiting and self.alive:
                before = self._size, self._written
                self._news.wait(PATIENCE_S)
                if before == (self._size, self._written) and hurry():
                    self.failure = f"the {self.name} stopped: its reader does not read; keep it reading to the end"

    def _write_on(self) -> None:
        assert self._waiting is not None  # noqa: S101 - unblock
        while True:
            with self._news:
                self._news.wait_for(lambda: self._waiting)
                block = self._waiting[0]
            self._put(block)
            with self._news:
                self._size -= len(self._waiting.popleft())
                self._news.notify_all()

    def write(self, block: bytes) -> None:
        """Write a block of ASCII, or let it wait; on failure take no more."""
        self._pass_on(self._packed.pack(block) if self._packed else block)

    def settle(self, *, last: bool = False) -> None:
        """Have all blocks so far in the file, as lines that can be read; after the `last` one nothing comes."""
        if self._packed and self.alive:
            self._pass_on(self._packed.end() if last else self._packed.settle())
            self._line_start = self._written

    def _pass_on(self, block: bytes) -> None:
        if not block:
            return
        if self._waiting is None:
            self._put(block)
        elif self.alive:
            with self._news:
                self._waiting.append(block)
                self._size += len(block)
                self._news.notify_all()

    def _put(self, block: bytes) -> None:
        """Write; on failure cut the file after its last whole line and take no more."""
        rest = memoryview(block)
        while rest and self.alive:
            try:
                count = os.write(self._descriptor, rest)
            except BlockingIOError:
                # Standard output may be non-blocking by another process's doing: the flag is shared.
                wait_for_room(self._descriptor)
                continue
            except OSError as problem:
                self.fail(files.explain(problem))
                return
            newline = -1 if self._packed else bytes(rest[:count]).rfind(b"\n")
            if newline >= 0:
                self._line_start = self._written + newline + 1
            self._written += count
            rest = rest[count:]

    def fail(self, reason: str) -> None:
        """Stop for the reason given; what the file holds stays, cut after its last whole line."""
        self.failure = f"the {self.name} stopped: {reason}"
        if self._owned and stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            try:
                os.ftruncate(self._descriptor, self._line_start)
            except OSError as problem:
                self.failure += f"; its last line is not whole ({problem.strerror})"

    def close(self) -> None:
        """Close the file; some file systems tell only now that it could not be written."""
        if not self._open:
            return
        self._open = False
        if self.left_out and self.failure:
            self.failure += f"; {how_many(self.left_out, 'tick')} before that found no room"
        elif self.left_out:
            self.failure = f"the {self.name} lacks {how_many(self.left_out, 'tick')}: its reader was too slow for them"
        if self._owned and not self._waiting:
            try:
                os.close(self._descriptor)
            except OSError as problem:
                self.failure = self.failure or f"the {self.name} may be short: {files.explain(problem)}"
