"""Looking without waiting: checks on threads of their own, each with a log of all that it asked the machine."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol, cast

from denet_tui.checks import catalogue
from denet_tui.checks.host import Host
from denet_tui.checks.model import Check, Finding

log = logging.getLogger("denet_tui")

SLOW_S = 2.0
"""After this long a check is called slow, and nobody waits for it any more."""
_LANES = 4
_REST_S = 0.5
"""Until a check that has just ended is begun again, at least: it rests for as long as it took."""
_MOST_LINES = 400
"""Lines of a check's log that are kept."""


class Told(Protocol):
    """Whoever is told how the looking goes; called from the threads of the checks."""

    def started(self, identity: str) -> None:
        """A check has begun."""

    def slow(self, identity: str) -> None:
        """It has been at work for SLOW_S, and goes on."""

    def found(self, finding: Finding, details: list[str]) -> None:
        """It has ended; `details` is all that it asked the machine."""


class Looking:
    """Runs checks, a few at a time. One that hangs (a dead network mount) holds up neither the others nor the end."""

    def __init__(self, told: Told, host: Callable[[], Host] = Host, checks: Iterable[Check] | None = None) -> None:
        """`host` makes the machine anew for each asking; `checks` stands in for the catalogue."""
        self.checks = {check.id: check for check in (catalogue.ALL if checks is None else checks)}
        self._told, self._host = told, host
        self._lock = threading.Lock()
        self._asked: dict[str, Host] = {}
        """To be begun, once for all who asked. What those find that are at work is from before, and is not told."""
        self._running: dict[str, float] = {}
        self._slow: set[str] = set()
        self._rested: dict[str, float] = {}
        """When each may be begun again: nobody who asks without an end keeps the machine busy all the time."""
        self._lanes = 0
        self._lines = threading.local()

    def ask(self, ids: Iterable[str]) -> None:
        """Look at these, those that wait for other processes first; raises KeyError for an unknown one."""
        chosen = sorted((self.checks[each] for each in dict.fromkeys(ids)), key=lambda check: not check.waits)
        host = logged(self._host())
        with self._lock:
            self._asked |= dict.fromkeys((check.id for check in chosen), host)
            self._staff()

    def tick(self) -> None:
        """Begin those that have rested, say which have become slow, and open another lane in the place of theirs.

        To be called now and then.
        """
        now = time.monotonic()
        with self._lock:
            late = [each for each, since in self._running.items() if now - since > SLOW_S and each not in self._slow]
            self._slow.update(late)
            self._lanes -= len(late)
            self._staff()
        for identity in late:
            self._told.slow(identity)

    def _ready(self) -> list[str]:
        """What is asked for and may begin, in order."""
        now = time.monotonic()
        return [each for each in self._asked if each not in self._running and self._rested.get(each, now) <= now]

    def _staff(self) -> None:
        for _ in range(min(_LANES - self._lanes, len(self._ready()))):
            self._lanes += 1
            threading.Thread(target=self._lane, name="check", daemon=True).start()

    def _lane(self) -> None:
        while True:
            with self._lock:
                if not (ready := self._ready()):
                    self._lanes -= 1
                    return
                identity, host = ready[0], self._asked.pop(ready[0])
                self._running[identity] = time.monotonic()
            self._told.started(identity)
            self._lines.kept = []
            finding = catalogue.run_one(self.checks[identity], host)
            if self._ended(identity, finding):
                return

    def _ended(self, identity: str, finding: Finding) -> bool:
        """Tell what was found; True where this lane was given up meanwhile."""
        now = time.monotonic()
        with self._lock:
            self._rested[identity] = now + max(_REST_S, now - self._running.pop(identity))
            given_up = identity in self._slow
            self._slow.discard(identity)
            from_before = identity in self._asked
        if not from_before:
            self._told.found(finding, self._lines.kept)
        return given_up

    def handler(self) -> logging.Handler:
        """Keeps what each check logs; to be added to the log of denet-tui, at level DEBUG."""
        return _Keeping(self._lines)


class _Keeping(logging.Handler):
    def __init__(self, lines: threading.local) -> None:
        super().__init__(logging.DEBUG)
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line of the check that this thread runs."""
        kept = getattr(self._lines, "kept", None)
        if kept is not None and len(kept) < _MOST_LINES:
            kept.append(record.getMessage())


def logged(host: Host) -> Host:
    """The same machine; everything that is asked of it, and what it answered, goes to the log."""
    return cast("Host", _Logged(host))


class _Logged:
    def __init__(self, host: Host) -> None:
        self._host = host

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._host, name)
        return _logged(name, value) if callable(value) else value


def _logged(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    def called(*arguments: Any, **named: Any) -> Any:
        asked = ", ".join([*map(repr, arguments), *(f"{key}={value!r}" for key, value in named.items())])
        try:
            answer = method(*arguments, **named)
        except OSError as error:
            log.debug("host.%s(%s): %s", name, asked, error.strerror or error)
            raise
        shown = repr(answer)
        log.debug("host.%s(%s) = %s%s", name, asked, shown[:400], "..." if len(shown) > 400 else "")
        return answer

    return called
