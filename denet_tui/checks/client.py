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

from denet_tui.bpf.facts import Facts
from denet_tui.bpf.failure import LoadError
from denet_tui.bpf.handover import Kernel

_DESCRIPTORS = 253
"""Of one message, at most (SCM_MAX_FD in include/net/scm.h)."""
Hear = Callable[[dict[str, Any] | None], None]


class HelperError(Exception):
    """The helper has ended before it was asked anything."""


class Client:
    """Talks to the helper. Until `listen` nobody else may: then a thread of its own hears what it says."""

    def __init__(self, channel: socket.socket, pid: int) -> None:
        """Waits for the first message, which says what the helper may do; raises HelperError."""
        self._channel, self._pid = channel, pid
        self._torn = b""
        self._descriptors: list[int] = []
        self._loading: Loading | None = None
        self._gone = False
        self._sending = threading.Lock()
        self._hear: Hear = lambda message: None  # noqa: ARG005
        hello = self._next()
        if hello is None:
            raise HelperError("the helper that looks at this machine could not be started")
        self.root: bool = hello["root"]
        self.may_load: bool = hello["may_load"]

    def listen(self, hear: Hear) -> None:
        """Call `hear` with each message from now on, None where the helper has gone. There must be no fork after it."""
        self._hear = hear
        threading.Thread(target=self._listen, name="helper", daemon=True).start()

    def send(self, request: dict[str, Any]) -> None:
        """Ask something; where the helper has gone, the listener is told that anyway."""
        with self._sending, suppress(OSError):
            self._channel.sendall(json.dumps(request).encode() + b"\n")

    def loading(
        self,
        way: str = "auto",
        *,
        sizes: dict[str, int] | None = None,
        only_uid: int | None = None,  # noqa: ARG002 - the helper knows by itself whose calls it may count
        only_wanted: bool = False,
    ) -> Loading:
        """Have the program loaded: the same as handover.Loading, through the helper. One at a time."""
        loading = self._loading = Loading()
        self.send({"load": {"way": way, "sizes": sizes or {}, "only_wanted": only_wanted}})
        if self._gone:
            self._deliver(_no_helper())
        return loading

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
            if loaded := message.get("loaded"):
                self._deliver(self._kernel(loaded))
            elif refused := message.get("refused"):
                self._deliver(_error(refused))
            else:
                self._hear(message)
        self._channel.close()
        self._gone = True
        self._deliver(_no_helper())
        self._hear(None)

    def _kernel(self, said: dict[str, Any]) -> Kernel:
        """What was handed over: the descriptors have come with the message, or before its end."""
        kinds: dict[str, dict[str, int]] = {"maps": {}, "programs": {}, "links": {}}
        for kind, name in said["names"]:
            kinds[kind][name] = self._descriptors.pop(0)
        notes = tuple(said["notes"])
        return Kernel(**kinds, way=said["way"], notes=notes, bcc=said["bcc"], output=said["output"])

    def _deliver(self, result: Kernel | LoadError) -> None:
        loading, self._loading = self._loading, None
        if loading:
            loading.deliver(result)

    def _next(self) -> dict[str, Any] | None:
        """The next message; None at the end."""
        while b"\n" not in self._torn:
            try:
                data, descriptors, _, _ = socket.recv_fds(self._channel, 1 << 16, _DESCRIPTORS, socket.MSG_CMSG_CLOEXEC)
            except OSError:
                return None
            self._descriptors += descriptors
            if not data:
                return None
            self._torn += data
        line, _, self._torn = self._torn.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message


class Loading:
    """A program on its way from the helper, in the place of handover.Loading."""

    def __init__(self) -> None:
        self._done = threading.Event()
        self._result: Kernel | LoadError | None = None

    def deliver(self, result: Kernel | LoadError) -> None:
        """Called once, by the thread that hears the helper."""
        self._result = result
        self._done.set()

    def receive(self, timeout: float = 25.0) -> Kernel:
        """The descriptors; raises LoadError. The helper gives the loader 20 s."""
        self._done.wait(timeout)
        if isinstance(self._result, Kernel):
            return self._result
        raise self._result or LoadError("loader", f"the helper did not answer within {timeout:.0f} s")


def _no_helper() -> LoadError:
    return LoadError("loader", "the helper has ended before the program was loaded")


def _error(said: dict[str, Any]) -> LoadError:
    error = LoadError(said["stage"], said["text"], said["errno"], said["output"], said["way"])
    error.failures = tuple(_error(each) for each in said["failures"])
    if said["facts"]:
        error.facts = Facts.of_dict(said["facts"])
    return error
