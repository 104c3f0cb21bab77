"""Looking once for two checks that are run together, where looking is slow."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from denet_tui.checks.host import Host

T = TypeVar("T")
_FRESH_S = 2.0


class Shared(Generic[T]):
    """What `look` saw: each asker takes it once, while it is new."""

    def __init__(self, look: Callable[[Host], T]) -> None:
        self._look = look
        self._lock = threading.Lock()
        self._kept: WeakKeyDictionary[Host, tuple[str, float, T]] = WeakKeyDictionary()

    def look(self, host: Host, asker: str) -> T:
        """What was seen; never what the same asker was given before."""
        asked = time.monotonic()
        with self._lock:
            kept = self._kept.pop(host, None)
            if kept and kept[0] != asker and kept[1] > asked - _FRESH_S:
                return kept[2]
            seen = self._look(host)
            self._kept[host] = (asker, time.monotonic(), seen)
            return seen
