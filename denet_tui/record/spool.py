"""Ended processes wait for the summary on disk, so that memory stays flat however many there are."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator


class Spool:
    """An anonymous temporary file of JSON, an item a line; every method may raise OSError."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="denet-tui-")  # noqa: SIM115 - lives as long as the recording
        self._count = self.left_out = 0
        """Items, and those that were here before it was cleared."""

    def add(self, item: str) -> None:
        """Append one item, already JSON (ASCII)."""
        self._file.write(f"{item}\n".encode("ascii"))
        self._count += 1

    def clear(self) -> None:
        """Forget all items."""
        self._file.seek(0)
        self._file.truncate()
        self.left_out, self._count = self.left_out + self._count, 0

    def items(self) -> Iterator[str]:
        """All of them; may be asked for again."""
        self._file.seek(0)
        for line in self._file:
            yield line[:-1].decode("ascii")

    def close(self) -> None:
        """Give the space back."""
        # Closing flushes, and a full disk makes that fail: those bytes are not needed any more.
        with contextlib.suppress(OSError):
            self._file.close()
