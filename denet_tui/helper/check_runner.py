"""Looking without waiting: checks on threads of their own, each with a log of all that it asked the machine."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Protocol, cast

from denet_tui.checks import catalogue
from denet_tui.checks.host import Host
from denet_tui.checks.model import Check, Finding

log = logging.getLogger("denet_tui")

SLOW_S = 2.0
"""After this long a check is called slow, and is waited for no longer."""
_LANES = 4
_REST_S = 0.5
"""Until a check that has just ended is begun again, at least: it rests for as long as it took."""
_MOST_LINES = 400
"""Lines of a check's log that are kept."""
_MOST_ALIKE = 50
"""Questions of one kind to the machine that are logged: a walk through a file system asks thousands."""


class CheckListener(Protocol):
    """Is told how the checks get on, from their threads."""

    def started(self, identity: str) -> None:
        """A check has begun."""

    def slow(self, identity: str) -> None:
        """It has been at work for SLOW_S, and goes on."""

    def found(self, finding: Finding, details: list[str], beside: dict[str, Any]) -> None:
        """It has ended; `details` is all that it asked the machine, `beside` what was looked at for its finding."""


class CheckRunner:
    """Runs checks, a few at a time. One that hangs (a dead network mount) holds up neither the others nor the end."""

    def __init__(
        self,
        listener: CheckListener,
        host: Callable[[], Host] = Host,
        checks: Iterable[Check] | None = None,
        *,
        beside: Callable[[Finding, Host], dict[str, Any]] = lambda finding, host: {},  # noqa: ARG005
    ) -> None:
        """`host` makes the machine anew for each asking; `checks` stands in for the catalogue.

        `beside` looks at what a finding is shown with, on the thread of its check: it may hang like the check.
        """
        self.checks = {check.id: check for check in (catalogue.ALL if checks is None else checks)}
        self._listener, self._host, self._beside = listener, host, beside
        self._lock = threading.Lock()
        self._asked: dict[str, Host] = {}
        """To be begun, once for all that asked. What those find that are at work is from before, and is not told."""
        self._running: dict[str, float] = {}
        self._slow: set[str] = set()
        self._rested: dict[str, float] = {}
        """When each may be begun again: asking without an end keeps no machine busy all the time."""
        self._lanes = 0
        self._lines = threading.local()

    def ask(self, ids: Iterable[str]) -> list[threading.Thread]:
        """Look at these, those that wait for other processes first; the threads that were begun for it.

        Raises KeyError for an unknown one.
        """
        chosen = sorted((self.checks[each] for each in dict.fromkeys(ids)), key=lambda check: not check.waits)
        host = logged(self._host())
        with self._lock:
            self._asked |= dict.fromkeys((check.id for check in chosen), host)
            return self._staff()

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
            self._listener.slow(identity)

    def _ready(self) -> list[str]:
        """What is asked for and may begin, in order."""
        now = time.monotonic()
        return [each for each in self._asked if each not in self._running and self._rested.get(each, now) <= now]

    def _staff(self) -> list[threading.Thread]:
        begun = []
        for _ in range(min(_LANES - self._lanes, len(self._ready()))):
            lane = threading.Thread(target=self._lane, name="check", daemon=True)
            try:
                lane.start()
            except RuntimeError:  # no room for its stack: those that there are do all
                break
            self._lanes += 1
            begun.append(lane)
        return begun

    def _lane(self) -> None:
        while True:
            with self._lock:
                if not (ready := self._ready()):
                    self._lanes -= 1
                    return
                identity, host = ready[0], self._asked.pop(ready[0])
                self._running[identity] = time.monotonic()
            self._listener.started(identity)
            self._lines.kept = details = list[str]()
            finding = catalogue.run_one(self.checks[identity], host)
            self._lines.kept = None
            if self._ended(identity, finding, details, self._beside(finding, host)):
                return

    def _ended(self, identity: str, finding: Finding, details: list[str], beside: dict[str, Any]) -> bool:
        """Tell what was found; whether this lane was given up meanwhile."""
        now = time.monotonic()
        with self._lock:
            self._rested[identity] = now + max(_REST_S, now - self._running.pop(identity))
            given_up = identity in self._slow
            self._slow.discard(identity)
            from_before = identity in self._asked
        if not from_before:
            self._listener.found(finding, details, beside)
        return given_up

    def handler(self) -> logging.Handler:
        """Keeps what each check logs; to be added to the log of denet-tui, at level DEBUG."""
        return _Keeping(self._lines)


def run(host: Host, ids: Iterable[str] | None = None, checks: Iterable[Check] | None = None) -> list[Finding]:
    """The findings of these checks, all if `ids` is None, in the catalogue's order, when all have ended.

    No thread is left then; where address space is limited none is begun, as their stacks would take what there is.
    Raises KeyError, which names all that are unknown.
    """
    host = logged(host)
    runner = CheckRunner(found := _Findings(), lambda: host, checks)
    wanted = set(runner.checks if ids is None else ids)
    if unknown := sorted(wanted - runner.checks.keys()):
        raise KeyError(", ".join(unknown))
    chosen = [check for identity, check in runner.checks.items() if identity in wanted]
    limited = host.limit("AS")[0] != math.inf
    lanes = [] if limited else runner.ask(check.id for check in chosen if check.waits)
    for check in chosen:
        if not (check.waits and lanes):  # here, one by one: where memory is short, two at once would not find that out
            found.by_id[check.id] = catalogue.run_one(check, host)
    for lane in lanes:
        lane.join()
    return [found.by_id[check.id] for check in chosen]


class _Findings:
    def __init__(self) -> None:
        self.by_id: dict[str, Finding] = {}

    def started(self, identity: str) -> None:
        """Nothing waits for that."""

    def slow(self, identity: str) -> None:
        """It is waited for."""

    def found(self, finding: Finding, details: list[str], beside: dict[str, Any]) -> None:  # noqa: ARG002
        """Keep it."""
        self.by_id[finding.id] = finding


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
    """The same machine; everything that is asked of it, and what it answered, goes to the log, once."""
    return host if isinstance(host, _Logged) else cast("Host", _Logged(host))


class _Logged:
    def __init__(self, host: Host) -> None:
        self._host = host
        self._asked = Counter[str]()

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._host, name)
        return _logged(name, value, self._asked) if callable(value) else value


def _logged(name: str, method: Callable[..., Any], before: Counter[str]) -> Callable[..., Any]:
    def called(*arguments: Any, **named: Any) -> Any:
        if not log.isEnabledFor(logging.DEBUG) or before[name] > _MOST_ALIKE:  # kernel_btf has megabytes
            return method(*arguments, **named)
        before[name] += 1
        if before[name] > _MOST_ALIKE:
            log.debug("host.%s is asked more often than %d times; what follows is left out", name, _MOST_ALIKE)
            return method(*arguments, **named)
        asked = ", ".join([*map(repr, arguments), *(f"{key}={value!r}" for key, value in named.items())])
        try:
            answer = method(*arguments, **named)
        except OSError as error:
            log.debug("host.%s(%s): %s", name, asked, error.strerror or error)
            raise
        shown = f"<{len(answer):,} bytes>" if isinstance(answer, bytes) else repr(answer)
        log.debug("host.%s(%s) = %s%s", name, asked, shown[:400], "..." if len(shown) > 400 else "")
        return answer

    return called
