"""The process of the loader. `denet-tui run` forks it before all else is imported, so this imports little itself."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
import time
from contextlib import suppress
from typing import NoReturn

_FOLDER = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120
_START = f"import sys; sys.path.append({_FOLDER!r}); from denet_tui.bpf.loader import main; main()"
PROGRAM = ("-S", "-c", _START)
"""Without what is installed beside denet-tui (site), of which the loader uses nothing: a tenth of its start."""
NAME = "denet-loader"
"""Of the process of one that was forked (/proc/PID/comm)."""
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15
_libc = ctypes.CDLL(None, use_errno=True)


class LoaderProcess:
    """A loader, its socket (the other end of `theirs`, or `theirs` itself), and where it prints."""

    def __init__(self, program: tuple[str, ...], who: str, theirs: socket.socket | None = None) -> None:
        """Python is started anew with these words: this process has imported, and may have started, more by now."""
        import subprocess

        self.channel, theirs = socket.socketpair() if theirs is None else (theirs, theirs)
        self.output = os.memfd_create("loader-output")
        self._process = subprocess.Popen(
            [sys.executable, "-IB", *program, "channel", str(theirs.fileno()), who],
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            stderr=self.output,
            pass_fds=[theirs.fileno()],
            env=_ENVIRONMENT,
            cwd="/",
            process_group=0,  # ctrl+c is for the command, and for the process that waits for it
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - no thread runs yet
        )
        theirs.close()
        self.pid = self._process.pid

    def wait(self, seconds: float | None = None) -> int | None:
        """What it has ended with, as subprocess has it; None if it still runs after that time."""
        import subprocess

        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """End it; raises PermissionError where it is another user's by now."""
        self._process.kill()


class ForkedLoader:
    """The same, of a process that has imported nothing yet but what the loader needs, too: Python is not started anew.

    It has neither the environment nor the descriptors of this process, and asks for the request by itself.
    """

    _ended: int | None = None

    def __init__(self) -> None:
        self.channel, theirs = socket.socketpair()
        self.output = os.memfd_create("loader-output")
        ours = os.getpid()
        self.pid = os.fork()
        if not self.pid:
            _load(theirs.fileno(), self.output, ours)
        theirs.close()

    def wait(self, seconds: float | None = None) -> int | None:
        """As LoaderProcess has it."""
        until = None if seconds is None else time.monotonic() + seconds
        while self._ended is None:
            pid, status = os.waitpid(self.pid, 0 if until is None else os.WNOHANG)
            if pid:
                self._ended = os.waitstatus_to_exitcode(status)
            elif until is not None and time.monotonic() >= until:
                return None
            else:
                time.sleep(0.01)
        return self._ended

    def kill(self) -> None:
        """As LoaderProcess has it."""
        if self._ended is None:
            os.kill(self.pid, signal.SIGKILL)


waiting: list[ForkedLoader] = []
"""Started ahead of time, for the next Loading (handover.py)."""


def prepare() -> None:
    """Start a loader that the next Loading has only to ask: it comes up while this process reads what is wanted."""
    with suppress(OSError):  # the Loading meets it again, and says it
        waiting.append(ForkedLoader())


def _die_with_parent() -> None:
    """In the loader: SIGKILL when the process that started it ends (man 2 PR_SET_PDEATHSIG)."""
    _libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)


def _load(channel: int, output: int, parent: int) -> NoReturn:
    """In the loader: all that it does, and its end."""
    status: object = 1
    try:
        _settle(channel, output, parent)
        from denet_tui.bpf import loader

        loader.main(["channel", str(channel), "asked"])
    except SystemExit as end:
        status = end.code
    except BaseException:  # noqa: BLE001 - as Python does at the end of what it runs
        sys.excepthook(*sys.exc_info())
    finally:
        with suppress(OSError):  # as with a limit on the size of files
            sys.stdout.flush()
        os._exit(status if isinstance(status, int) else 1)


def _settle(channel: int, output: int, parent: int) -> None:
    """What an execve and subprocess do for the other kind: nothing of the caller's is left but its limits."""
    os.setpgid(0, 0)
    _die_with_parent()
    if os.getppid() != parent:
        sys.exit(1)
    _libc.prctl(_PR_SET_NAME, NAME.encode(), 0, 0, 0)
    os.environ.clear()
    os.environ.update(_ENVIRONMENT)
    os.chdir("/")
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(0)  # so that there is room for one where no more may be open
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - without pathlib
        if int(name) not in (1, 2, channel):
            with suppress(OSError):  # that of the list itself
                os.close(int(name))
    os.open(os.devnull, os.O_RDONLY)  # as 0
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)  # not in the caller's locale
