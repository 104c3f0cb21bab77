"""The newest messages of denet-tui itself, for the Log tab."""

from __future__ import annotations

import logging
from collections import deque

from denet_tui.model import LogEntry

KEPT = 1_000
"""Messages."""


class Ring(logging.Handler):
    """Keeps the last messages of the logger `denet_tui`, whatever else listens to it."""

    def __init__(self) -> None:
        super().__init__()
        self._entries: deque[LogEntry] = deque(maxlen=KEPT)

    @property
    def entries(self) -> tuple[LogEntry, ...]:
        """The oldest first."""
        return tuple(self._entries)

    def listen(self) -> None:
        """From now on; messages of what goes on, and debug messages too where the log is asked for."""
        log = logging.getLogger("denet_tui")
        if self not in log.handlers:
            log.addHandler(self)
        if log.level == logging.NOTSET:
            log.setLevel(logging.INFO)

    def emit(self, record: logging.LogRecord) -> None:
        """Take a message."""
        self._entries.append(LogEntry(record.created, record.levelname.lower(), self.format(record)))


RING = Ring()
