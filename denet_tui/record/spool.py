"""Ended processes wait for the summary on disk, so that memory stays flat however many there are."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator

_BLOCK_BYTES = 64 * 1024


class Spool:
    """An anonymous temporary file that holds the inside of a JSON array; every method may raise OSError."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="denet-tui-")  # noqa: SIM115 - lives as long as the recording
        self._empty = True
        self._count = self.left_out = 0
        """Items, and those that were here before it was cleared."""

    def add(self, item: str) -> None:
        """Append one item, already JSON (ASCII)."""
        self._file.write((item if self._empty else "," + item).encode("ascii"))
        self._empty = False
        self._count += 1

    def clear(self) -> None:
        """Forget all items."""
        self._file.seek(0)
        self._file.truncate()
        self._empty, self.left_out = True, self.left_out + self._count
        self._count = 0

    def blocks(self) -> Iterator[str]:
        """All items, separated by commas, in blocks of 64 KiB; may be asked for again."""
        self._file.seek(0)
        while block := self._file.read(_BLOCK_BYTES):
            yield block.decode("ascii")

    def close(self) -> None:
        """Give the space back."""
        # Closing flushes, and a full disk makes that fail: nobody needs those bytes any more.
        with contextlib.suppress(OSError):
            self._file.close()
