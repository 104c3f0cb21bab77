"""The unprivileged end of the helper's socket: what may be asked of it, and what it says."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from denet_tui.bpf.request import Request
from denet_tui.bpf.unprivileged import Loads, Waiting

Hear = Callable[[dict[str, Any] | None], None]


class HelperError(Exception):
    """The helper has ended before it was asked anything."""


class Client:
    """Talks to the helper. Until `listen` no other thread may: then a thread of its own hears what it says."""

    def __init__(self, channel: socket.socket, pid: int) -> None:
        """Waits for the first message, which says what the helper may do; raises HelperError."""
        self._channel, self._pid = channel, pid
        self._torn = b""
        self._sending = threading.Lock()
        self._hear: Hear = lambda message: None  # noqa: ARG005
        hello = self._next()
        if hello is None:
            raise HelperError("the helper that looks at this machine could not be started")
        self.root: bool = hello["root"]
        self.may_load: bool = hello["may_load"]

    def listen(self, hear: Hear) -> None:
        """Call `hear` with each message from now on, None if the helper has gone. There must be no fork after it."""
        self._hear = hear
        threading.Thread(target=self._listen, name="helper", daemon=True).start()

    def send(self, request: dict[str, Any]) -> None:
        """Ask something; where the helper has gone, the listener is told that anyway."""
        with self._sending, suppress(OSError):
            self._channel.sendall(json.dumps(request).encode() + b"\n")

    def loading(self, wanted: Request, only_uid: int | None) -> Loads:
        """Have the program loaded, by a loader that answers this process; the helper sees no descriptor of it.

        The helper knows by itself who asks: only whether everyone's calls are to be counted is told.
        """
        ours, theirs = socket.socketpair()
        with self._sending, theirs, suppress(OSError):
            ours.sendall(wanted.line())
            data = json.dumps({"load": {"everyone": only_uid is None}}).encode() + b"\n"
            socket.send_fds(self._channel, [data], [theirs.fileno()])
        return Waiting(ours, "the helper has ended before the program was loaded")

    def close(self) -> None:
        """End the helper, and wait for it for a moment: where it has to take something back, that takes longer."""
        with suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)
        deadline = time.monotonic() + 1
        with suppress(ChildProcessError):
            while os.waitpid(self._pid, os.WNOHANG) == (0, 0) and time.monotonic() < deadline:
                time.sleep(0.01)

    def _listen(self) -> None:
        while (message := self._next()) is not None:
            self._hear(message)
        self._channel.close()
        self._hear(None)

    def _next(self) -> dict[str, Any] | None:
        """The next message; None at the end."""
        while b"\n" not in self._torn:
            try:
                data = self._channel.recv(1 << 16)
            except OSError:
                return None
            if not data:
                return None
            self._torn += data
        line, _, self._torn = self._torn.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message
