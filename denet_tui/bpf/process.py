"""The process of the loader. `denet-tui run` starts it before all else is imported, so this imports little itself."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress

_FOLDER = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120
_START = f"import sys; sys.path.append({_FOLDER!r}); from denet_tui.bpf.loader import main; main()"
PROGRAM = ("-S", "-c", _START)
"""Without what is installed beside denet-tui (site), of which the loader uses nothing: a tenth of its start."""
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class LoaderProcess:
    """A loader, its socket (the other end of `theirs`, or `theirs` itself), and where it prints."""

    def __init__(self, program: tuple[str, ...], who: str, theirs: socket.socket | None = None) -> None:
        self.channel, theirs = socket.socketpair() if theirs is None else (theirs, theirs)
        self.output = os.memfd_create("loader-output")
        self.process = subprocess.Popen(
            [sys.executable, "-IB", *program, "channel", str(theirs.fileno()), who],
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            stderr=self.output,
            pass_fds=[theirs.fileno()],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
            cwd="/",
            process_group=0,  # ctrl+c is for the command, and for whoever waits for it
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - no thread runs yet
        )
        theirs.close()


waiting: list[LoaderProcess] = []
"""Started ahead of time, for the next Loading (handover.py)."""


def prepare() -> None:
    """Start a loader that the next Loading has only to ask: it comes up while this process reads what is wanted."""
    with suppress(OSError):  # the Loading meets it again, and says it
        waiting.append(LoaderProcess(PROGRAM, "asked"))


def _die_with_parent() -> None:
    """In the loader: SIGKILL when the process that started it ends (man 2 PR_SET_PDEATHSIG)."""
    _libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)
