"""The log of --debug and --log-file, and the last resort for a mistake of our own.

DENET_LOG=debug asks for the log, too, and so does RUST_LOG=debug, as it does of denet.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path

from denet_tui.system import files
from denet_tui.system.visible import complain, visible

log = logging.getLogger("denet_tui")


def wanted(*, debug: bool, log_file: Path | None) -> bool:
    """Whether somebody asked for the log."""
    return debug or log_file is not None or "debug" in (os.environ.get("DENET_LOG"), os.environ.get("RUST_LOG"))


class LogError(Exception):
    """The log cannot be written; the text says why."""


class Handler(logging.StreamHandler):  # type: ignore[type-arg]  # of TextIO
    """Writes to standard error, or at the end of a file; raises LogError where that cannot be opened."""

    def __init__(self, file: Path | None = None) -> None:
        """A new file is this process's user's alone: what is logged has names, folders and command lines in it."""
        try:
            opened = file and os.fdopen(files.create(file, append=True, special=True), "w", encoding="utf-8")
        except OSError as error:
            raise LogError(f"cannot write the log to {file}: {files.explain(error)}") from None
        super().__init__(opened)
        self._stopped = False
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))

    def format(self, record: logging.LogRecord) -> str:
        """The record; its further lines are indented, so that none of them can pass for another record."""
        return visible(super().format(record), keep="\n\t").replace("\n", "\n    ")

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802, ARG002 (logging's)
        """Say it once, in one line: a full disk is no reason to end, nor for a traceback with each record."""
        error = sys.exc_info()[1]
        if not self._stopped:
            self._stopped = True
            complain(f"the log is cut off: {files.explain(error) if isinstance(error, OSError) else error}")
            if self.stream is not sys.stderr:
                with suppress(OSError):
                    self.stream.close()


def started() -> bool:
    """Whether everything is logged already."""
    return log.isEnabledFor(logging.DEBUG)


def start(handler: logging.Handler) -> None:
    """Log everything from now on, with this handler."""
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)


def follow(*, debug: bool, log_file: Path | None) -> None:
    """Log everything from now on where somebody asked for it; raises LogError."""
    if wanted(debug=debug, log_file=log_file):
        start(Handler(log_file))


def mistake(error: BaseException, status: int = 0) -> int:
    """Say in one line what is a mistake of our own, with the traceback in the log alone; returns the status."""
    if not started() and wanted(debug="--debug" in sys.argv, log_file=None):
        start(Handler())  # it came before the log was opened
    log.debug("traceback", exc_info=error)
    words = f"this is a mistake in denet-tui ({type(error).__name__}: {error})"
    return complain(f"{words}; please report it with what --debug says", status)


def take_last_resort() -> None:
    """Have what no thread has caught end in one line, too, and nothing else write to standard error."""
    threading.excepthook = lambda how: mistake(how.exc_value or how.exc_type())
    sys.unraisablehook = lambda how: log.debug("ignored in %r", how.object, exc_info=how.exc_value)
    logging.getLogger().addHandler(logging.NullHandler())  # or logging does where a logger has no handler
