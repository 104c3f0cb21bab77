"""What the setup screen can have done, and is told while it is done: nothing here makes it wait.

A Jobs belongs to one run of the wizard. Its methods return at once unless they say otherwise; what comes of them is
told to the listener, as events, from threads of this room: pass them on with `post_message`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from denet_tui.bpf import burst, unprivileged
from denet_tui.bpf.errors import Explanation, LoadError, explain
from denet_tui.bpf.facts import gather
from denet_tui.checks import catalogue
from denet_tui.checks.model import Check, Finding, Fix, State
from denet_tui.helper import wire
from denet_tui.helper.client import Client
from denet_tui.repair.repair import verified_by

log = logging.getLogger("denet_tui")

Kind = Literal["apply", "undo", "prove"]


@dataclass(frozen=True, slots=True)
class Started:
    """A check has begun."""

    id: str


@dataclass(frozen=True, slots=True)
class Slow:
    """A check is at work for two seconds, and goes on; nothing waits for it, and it can be skipped."""

    id: str


@dataclass(frozen=True, slots=True)
class Found:
    """A check has ended (or was skipped); how long it took is `finding.seconds`."""

    finding: Finding


@dataclass(frozen=True, slots=True)
class Looked:
    """Nothing that was asked for is looked at any more."""


@dataclass(frozen=True, slots=True)
class Said:
    """A line of what a fix, or its undoing, does and prints; not clean for a terminal."""

    text: str


@dataclass(frozen=True, slots=True)
class Ended:
    """A fix was applied or undone, or was not. Looking again at what it may have changed has been asked for then."""

    kind: Kind
    fix: str
    """Its id."""
    good: bool
    changed: bool = False
    """False where it was in force already."""
    cancelled: bool = False
    """The user's wish; all of it was taken back."""
    text: str = ""
    """What went wrong, and what was unwound, in one or two lines."""
    left: tuple[str, ...] = ()
    """What an undoing had to leave, and why."""


@dataclass(frozen=True, slots=True)
class Counted:
    """The proof so far: calls that were made, and calls that were counted."""

    made: int
    counted: int


@dataclass(frozen=True, slots=True)
class Proved:
    """The proof's end: the outcome and the way in, or why there is none."""

    outcome: burst.Outcome | None = None
    way: str = ""
    failure: Explanation | None = None

    @property
    def exact(self) -> bool:
        """True where every known call was counted, and nothing more."""
        return self.outcome is not None and self.outcome.exact


@dataclass(frozen=True, slots=True)
class Gone:
    """The helper has ended before its time: nothing can be looked at or applied any more."""


Event = Started | Slow | Found | Looked | Said | Ended | Counted | Proved | Gone
Listener = Callable[[Event], None]


def _nobody(event: Event) -> None:
    """Hears it."""


class Jobs:
    """Looks, applies, undoes and proves, through the helper. All of it may be called from any thread."""

    def __init__(self, client: Client, checks: Iterable[Check] | None = None) -> None:
        """Starts a thread that listens to the helper, so only after every fork. `checks` are for tests."""
        self.checks: dict[str, Check] = {each.id: each for each in (catalogue.ALL if checks is None else checks)}
        self.done: list[Ended] = []
        """What was applied and undone through this object, in order: for the last words on the terminal."""
        self.applied: tuple[str, ...] = ()
        """Ids of the fixes that can be undone, also those of earlier runs."""
        self.mine: tuple[str, ...] = ()
        """Ids of those that the helper has applied, and undoes: for all others root is asked (helper/sudo.py)."""
        self.interrupted = False
        """True where an earlier run was cut off half-way; applying or undoing anything takes it back first."""
        self.busy: Kind | None = None
        """What is at work: there is one job at a time. Looking is none."""
        self._client = client
        self._listener: Listener = _nobody
        self._findings: dict[str, Finding] = {}
        self._details: dict[str, list[str]] = {}
        self._pending: set[str] = set()
        self._slow: set[str] = set()
        self._settled = threading.Condition()
        self.root = client.root
        """True where the helper can apply fixes that weaken nothing: else see helper/sudo.py."""
        self.may_load = client.may_load or unprivileged.has_service()
        """True where the proof and the live screen can be had from here, without starting again."""
        client.listen(self._hear)

    def listen(self, listener: Listener = _nobody) -> None:
        """Who is told from now on; there is one listener, or nobody."""
        self._listener = listener

    def _tell(self, event: Event) -> None:
        try:
            self._listener(event)
        except RuntimeError as error:  # the event loop of a screen that has just gone
            log.debug("nobody hears %s: %s", type(event).__name__, error)

    # Looking

    @property
    def findings(self) -> Mapping[str, Finding]:
        """What was found last, by id, in the catalogue's order."""
        with self._settled:
            return {each: self._findings[each] for each in self.checks if each in self._findings}

    @property
    def looking(self) -> frozenset[str]:
        """Ids that are being looked at, or wait for it."""
        with self._settled:
            return frozenset(self._pending)

    @property
    def slow(self) -> frozenset[str]:
        """Ids of those that take long."""
        with self._settled:
            return frozenset(self._slow & self._pending)

    def details(self, identity: str) -> tuple[str, ...]:
        """All that a check asked the machine when it last looked, line by line (what --debug shows)."""
        with self._settled:
            return tuple(self._details.get(identity, ()))

    def look(self, ids: Iterable[str] | None = None) -> None:
        """Run these checks, all where `ids` is None; raises KeyError for an id that there is none of."""
        wanted = [self.checks[each].id for each in (self.checks if ids is None else ids)]
        with self._settled:
            self._pending.update(wanted)
        self._client.send({"look": wanted})

    def recheck(self, identity: str) -> None:
        """Run a check again, with those that depend on it, and the real probe."""
        self.look(verified_by(identity, self.checks))

    def skip(self, identity: str) -> None:
        """Wait no longer for a check: its finding is `unknown: skipped`, and what it may say later is not heard."""
        title = f"{self.checks[identity].title}: skipped"
        with self._settled:
            if identity not in self._pending:
                return
        self._take(Finding(identity, State.UNKNOWN, title, why="It took long, and you went on without it."))

    def wait(self, seconds: float) -> bool:
        """Wait until nothing is looked at any more, for that long at most; True where it is so. Not for screens."""
        with self._settled:
            return self._settled.wait_for(lambda: not self._pending, seconds)

    # Changing

    def apply(self, fix: Fix) -> None:
        """Apply a fix as it was shown; said line by line, then Ended, then its checks and the real probe run again."""
        self._begin("apply", fix.id, {"shown": wire.digest(fix)})

    def undo(self, fix: str) -> None:
        """Take back a fix of `mine` by its id; told like apply."""
        self._begin("undo", fix, {})

    def add(self, ended: Ended) -> None:
        """Take in what root was asked to do beside the helper."""
        self.done.append(ended)
        if ended.good and ended.kind == "undo":
            self.applied = tuple(each for each in self.applied if each != ended.fix)

    def cancel(self) -> None:
        """End what is at work; what it had done is taken back, which can take some seconds. Ended tells."""
        self._client.send({"cancel": True})

    def _begin(self, kind: Kind, fix: str, more: dict[str, str]) -> None:
        if self._occupied(kind):
            self._tell(Ended(kind, fix, good=False, text="one thing at a time: something is at work already"))
        else:
            self._client.send({kind: fix, **more})

    def idle(self, seconds: float) -> bool:
        """Wait until nothing is at work, for that long at most; True where it is so. Not for screens."""
        with self._settled:
            return self._settled.wait_for(lambda: self.busy is None, seconds)

    def _rest(self) -> None:
        with self._settled:
            self.busy = None
            self._settled.notify_all()

    def _occupied(self, kind: Kind) -> bool:
        with self._settled:
            if self.busy is None:
                self.busy = kind
                return False
        return True

    # Proving

    def prove(self, way: str = "auto") -> None:
        """Load the program and count 1,000 known calls: Counted again and again, then Proved."""
        if not self._occupied("prove"):
            self._client.send({"prove": way})

    def _hear_proof(self, said: dict[str, Any]) -> None:
        match said:
            case {"made": made, "counted": counted}:
                self._tell(Counted(made, counted))
                return
            case {"outcome": outcome, "way": way}:
                told = Proved(burst.Outcome.of_json(outcome), way)
            case {"failure": failure, "way": way}:
                error = LoadError.of_json(failure)
                told = Proved(way=way, failure=explain(error, error.facts or gather()))
            case _:
                told = Proved(failure=Explanation(f"the burst could not be made: {said['refused']}"))
        self._rest()
        self._tell(told)

    def close(self) -> None:
        """End the helper. What is at work is cancelled and taken back by it; nothing more is told."""
        self.listen()
        self._client.close()

    # Hearing

    def _hear(self, message: dict[str, Any] | None) -> None:
        """A message of the helper; None where it has gone."""
        if message is None:
            self._lose()
            return
        (kind, value), *_ = message.items()
        match kind:
            case "started":
                self._tell(Started(value))
            case "slow":
                with self._settled:
                    self._slow.add(value)
                self._tell(Slow(value))
            case "found":
                self._take(wire.from_json(value), message["details"])
            case "said":
                self._tell(Said(value))
            case "state":
                self.applied, self.mine = tuple(value["applied"]), tuple(value["mine"])
                self.interrupted = value["interrupted"]
            case "proof":
                self._hear_proof(value)
            case "ended":
                self._end(Ended(**{**value, "left": tuple(value["left"])}))

    def _take(self, finding: Finding, details: list[str] | None = None) -> None:
        with self._settled:
            if finding.id not in self._pending:
                return
            self._pending.discard(finding.id)
            self._slow.discard(finding.id)
            self._findings[finding.id] = finding
            self._details[finding.id] = details or []
            settled = not self._pending
            self._settled.notify_all()
        self._tell(Found(finding))
        if settled:
            self._tell(Looked())

    def _end(self, ended: Ended) -> None:
        self.done.append(ended)
        self._rest()
        if ended.good or ended.left:
            with suppress(KeyError):  # a fix of another version, undone
                self.recheck(ended.fix.partition(".")[0])
        self._tell(ended)

    def _lose(self) -> None:
        self.root = self.may_load = False
        self._rest()
        with self._settled:
            lost = self._pending.copy()
        for each in lost:
            self._take(
                Finding(each, State.UNKNOWN, f"{self.checks[each].title}: the helper has ended before it was done")
            )
        self._tell(Gone())
