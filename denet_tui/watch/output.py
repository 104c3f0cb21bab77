"""What the command writes to its terminal: the newest part for the emulator, all of it for a file if asked for."""

from __future__ import annotations

import errno
import os
import re
import stat
import threading
from collections import deque
from contextlib import suppress
from typing import BinaryIO

from denet_tui.system import files
from denet_tui.system.visible import plain

KEPT = 64 * 1024
"""Bytes that wait for the emulator at most: a command writes hundreds of MB/s, and nobody can read that."""
PIECE = 16 * 1024
"""Bytes that it gets at once: short lines take it 3 ms per KB, and meanwhile the screen does nothing else."""
RATE = 64 * 1024
"""Bytes that it gets per second."""
_LINE = 1024
"""How far into a torn-off beginning the end of its line is looked for."""
_END, _NEAR = 4096, 12
"""Bytes in which the last line is looked for, and lines in which one that says more is."""
_ERROR = re.compile(r"(?:error(?::|\[|\W* \d)|fatal:|not found$)", re.IGNORECASE)
"""As in "error: …", "error[E0308]: …", "Error 1", git's "fatal: …", a shell's "…: not found"."""
_ERRNOS = frozenset(map(os.strerror, errno.errorcode))
"""What a program says behind its last colon where a call has failed, as ls does in front of its list (man 3 perror)."""


class CommandOutput:
    """The end of a stream. `add` is for the thread that drains the terminal, `take` for the one that draws."""

    def __init__(self, copy: BinaryIO | None = None) -> None:
        """`copy` gets everything, as it comes."""
        self._copy = copy
        self._lock = threading.Lock()
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._skipped = 0
        self._end = b""
        self._allowed = float(PIECE)
        self._asked_at = 0.0
        self.total = 0
        """Bytes written by the command so far."""
        self.failure = ""
        """Why the file does not have all of it, as one line."""

    def add(self, data: bytes) -> None:
        """Append what was read. Never waits for the reader, never keeps more than about KEPT."""
        with self._lock:
            self.total += len(data)
            self._end = (self._end + data)[-_END:]
            self._waiting.append(data)
            self._size += len(data)
            while self._size - len(self._waiting[0]) >= KEPT:
                self._drop(len(self._waiting.popleft()))
        if self._copy and not self.failure:
            try:
                self._copy.write(data)
            except OSError as error:
                self.failure = f"the command's output file is cut off: {files.explain(error)}"

    def take(self, now: float) -> tuple[bytes, int]:
        """(what comes next, bytes left out before it) at the time `now` (seconds, monotonic).

        At most PIECE at once and RATE per second: the rest is given later, or left out for what is newer.
        """
        with self._lock:
            self._allowed = min(PIECE, self._allowed + (now - self._asked_at) * RATE)
            self._asked_at = now
            if not self._size or min(self._size, PIECE) > self._allowed:
                return b"", 0
            data, skipped = b"".join(self._waiting), self._skipped
            start = data.find(b"\n", 0, _LINE) + 1 if skipped else 0
            self._waiting.clear()
            if data[start + PIECE :]:
                self._waiting.append(data[start + PIECE :])
            data = data[start : start + PIECE]
            self._size, self._skipped = sum(map(len, self._waiting)), 0
        self._allowed -= len(data)
        return data, skipped + start

    @property
    def last_line(self) -> str:
        """The last line with anything in it, of what came by here or went right into the file; empty where none did.

        Near the end, one that tells of an error goes before what follows: a compiler's notes say nothing without it.
        """
        said = plain((self._end or self._end_of_copy()).decode(errors="replace"))
        lines = [text for line in re.split(r"[\r\n]+", said) if (text := line.strip())]
        near = reversed(lines[-_NEAR:])
        wrong = (line for line in near if _ERROR.search(line) or line.rpartition(": ")[2] in _ERRNOS)
        return next(wrong, lines[-1] if lines else "")

    def _end_of_copy(self) -> bytes:
        with suppress(OSError):
            if self._copy and stat.S_ISREG((found := os.fstat(self._copy.fileno())).st_mode):
                again = os.open(f"/proc/self/fd/{self._copy.fileno()}", os.O_RDONLY | os.O_CLOEXEC)
                try:
                    return os.pread(again, _END, max(found.st_size - _END, 0))
                finally:
                    os.close(again)
        return b""

    def _drop(self, size: int) -> None:
        self._size -= size
        self._skipped += size
