"""What the helper tells its parent, one JSON object a line, and for how long it waits for one that does not listen."""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

_PATIENCE_S = 30.0
"""For a parent that does not read what it is told, in all: then it counts as gone."""


class Telling:
    """The helper's mouth. All of it may be called from any thread."""

    def __init__(self, channel: socket.socket, lost: Callable[[], object]) -> None:
        """`lost` is called where the parent counts as gone."""
        self._channel, self._lost = channel, lost
        channel.settimeout(_PATIENCE_S)  # for the whole of a message
        self._room = select.poll()
        self._room.register(channel, select.POLLOUT)
        self._patience = _PATIENCE_S
        """Seconds that the parent may still let it wait."""
        self._one_by_one = threading.Lock()
        self.gone = False
        """Whether the parent is gone."""

    def say(self, descriptors: Iterable[int] = (), **message: Any) -> None:
        """Tell the parent, and hand it these descriptors."""
        data = json.dumps(message).encode() + b"\n"
        try:
            with self._one_by_one:
                if not self._wait():
                    return
                if held := list(descriptors):
                    data = data[socket.send_fds(self._channel, [data], held) :]
                self._channel.sendall(data)
        except OSError:
            self.end()

    def has_room(self) -> bool:
        """Wait until the parent has read enough to be answered; False if it counts as gone."""
        with self._one_by_one:
            return self._wait()

    def _wait(self) -> bool:
        if not self.gone and not self._room.poll(0):
            since = time.monotonic()
            if not self._room.poll(max(0.0, self._patience) * 1000):
                self.end()
            self._patience -= time.monotonic() - since
        return not self.gone

    def end(self) -> None:
        """Tell nothing from now on."""
        self.gone = True
        self._lost()
