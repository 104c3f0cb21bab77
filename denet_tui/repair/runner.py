"""Runs the programs of fixes: no shell, a clean environment, output line by line, and an end when asked for one."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from denet_tui.repair.steps import StepError
from denet_tui.syscalls import how_ended

_ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "HOME": "/root",
    "DEBIAN_FRONTEND": "noninteractive",
    "NEEDRESTART_MODE": "l",
}
_TICK_S = 0.1
_GRACE_S = 10.0
"""Between SIGTERM and SIGKILL: a package manager that is cut off leaves half an installation."""
_SHOWN = 500
"""Characters of an output line that are passed on."""

Say = Callable[[str], None]


class CancelledError(Exception):
    """The user asked for an end."""


class Runner:
    """Runs one program at a time."""

    def __init__(self, say: Say = lambda line: None, cancel: threading.Event | None = None) -> None:  # noqa: ARG005
        """`say` gets each line of output; setting `cancel` ends the program that runs."""
        self.say = say
        self.cancel = cancel or threading.Event()
        self.held: tuple[int, ...] = ()
        """Descriptors that stay open in the program: with the journal's lock, no second setup starts beside it."""

    def run(self, argv: tuple[str, ...]) -> None:
        """Run to the end; raises StepError where it fails, CancelledError where the end was asked for."""
        if self.cancel.is_set():
            raise CancelledError
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=_ENVIRONMENT,
                cwd="/",
                start_new_session=True,  # ctrl+c is for us: we say when it ends
                pass_fds=self.held,
            )
        except OSError as error:
            raise StepError(f"{argv[0]}: {error.strerror}") from None
        try:
            last = self._follow(process)
        except BaseException:
            _end(process)
            raise
        if self.cancel.is_set():
            raise CancelledError
        if process.returncode:
            how = how_ended(process.returncode)
            raise StepError(f"{' '.join(argv)} {how}{f': {last}' if last else ''}")

    def _follow(self, process: subprocess.Popen[bytes]) -> str:
        """Pass its lines on until it has ended; returns the last one."""
        last, torn = "", b""
        with process, selectors.DefaultSelector() as selector:
            assert process.stdout is not None  # noqa: S101 - asked for above
            selector.register(process.stdout, selectors.EVENT_READ)
            asked: float | None = None
            while True:
                ready = selector.select(_TICK_S)
                data = os.read(process.stdout.fileno(), 65536) if ready else b""
                *lines, torn = (torn + data).replace(b"\r", b"\n").split(b"\n")
                for line in filter(None, (each.decode(errors="replace").strip()[:_SHOWN] for each in lines)):
                    self.say(last := line)
                if process.poll() is not None and not data:
                    break  # a service that it has started may hold the pipe for ever
                if self.cancel.is_set() and process.poll() is None:
                    asked = asked or time.monotonic()
                    _signal(process, signal.SIGKILL if time.monotonic() - asked > _GRACE_S else signal.SIGTERM)
                if ready and not data:
                    selector.unregister(process.stdout)
                    process.wait()
            if rest := torn.decode(errors="replace").strip()[:_SHOWN]:
                self.say(last := rest)
        return last


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the program and wait for it: nothing is taken back while it still works."""
    deadline = time.monotonic() + _GRACE_S
    while process.poll() is None:
        _signal(process, signal.SIGTERM if time.monotonic() < deadline else signal.SIGKILL)
        time.sleep(_TICK_S)
