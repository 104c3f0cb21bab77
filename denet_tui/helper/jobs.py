"""What the setup can have done, and the events in which it is told what comes of that: nothing here waits."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, Literal

from denet_tui.bpf import burst, unprivileged
from denet_tui.bpf.errors import Explanation, LoadError, explain
from denet_tui.bpf.facts import gather
from denet_tui.bpf.failure import look
from denet_tui.checks.model import Finding, Fix
from denet_tui.helper import wire
from denet_tui.helper.access import Reach
from denet_tui.helper.client import Client
from denet_tui.repair.preview import PreviewLine

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
    details: tuple[str, ...] = ()
    """All that it asked the machine, line by line (what --debug shows)."""
    previews: Mapping[str, tuple[PreviewLine, ...]] = field(default_factory=dict)
    """What each of its fixes would change, by the fix's id, as it was seen then."""
    reach: Reach | None = None
    """Told with the finding of verdict.ACCESS."""


@dataclass(frozen=True, slots=True)
class InForce:
    """The fixes that are in force, told at the beginning and after each job."""

    applied: tuple[str, ...] = ()
    """Ids of the fixes that can be undone, also those of earlier runs."""
    mine: tuple[str, ...] = ()
    """Ids of those that the helper has applied, and undoes: for all others root is asked (helper/sudo.py)."""
    interrupted: bool = False
    """Whether an earlier run was cut off half-way; applying or undoing anything takes it back first."""


@dataclass(frozen=True, slots=True)
class Said:
    """A line of what a fix, or its undoing, does and prints; not clean for a terminal."""

    text: str


@dataclass(frozen=True, slots=True)
class Ended:
    """A fix was applied or undone, or was not."""

    kind: Kind
    fix: str
    """Its id."""
    good: bool
    changed: bool = False
    """False if it was in force already."""
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
    """The proof's end: the outcome and the attach method, or why there is none."""

    outcome: burst.Outcome | None = None
    method: str = ""
    failure: Explanation | None = None

    @property
    def exact(self) -> bool:
        """Whether every known call was counted, and nothing more."""
        return self.outcome is not None and self.outcome.exact


@dataclass(frozen=True, slots=True)
class Gone:
    """The helper has ended before its time: nothing can be looked at or applied any more."""


Event = Started | Slow | Found | InForce | Said | Ended | Counted | Proved | Gone


class Jobs:
    """Has the helper look, apply, undo and prove: each method returns at once, and what comes of it is an event."""

    def __init__(self, client: Client) -> None:
        """Starts a thread that listens to the helper, so only after every fork."""
        self.events: SimpleQueue[Event] = SimpleQueue()
        """What has happened, in order, until it is taken out."""
        self.client = client
        self._wake: Callable[[], object] = lambda: None
        self.root = client.root
        """Whether the helper can apply fixes that weaken nothing: else see helper/sudo.py."""
        self.may_load = client.may_load or unprivileged.has_service()
        """Whether the proof and the live screen can be had from here, without starting again."""
        client.listen(self._hear)

    def listen(self, wake: Callable[[], object] = lambda: None) -> None:
        """`wake` is called after each event from now on, from whatever thread."""
        self._wake = wake

    def tell(self, event: Event) -> None:
        """Add an event, the helper's or one that is known otherwise."""
        self.events.put(event)
        try:
            self._wake()
        except RuntimeError as error:  # the event loop of a screen that has just gone
            log.debug("no screen hears %s: %s", type(event).__name__, error)

    def look(self, ids: Iterable[str]) -> None:
        """Run these checks."""
        self.client.send({"look": list(ids)})

    def apply(self, fix: Fix) -> None:
        """Apply a fix as it was shown; Said line by line, then Ended."""
        self.client.send({"apply": fix.id, "shown": wire.digest(fix)})

    def undo(self, fix: str) -> None:
        """Take back a fix of the helper's by its id; told like apply."""
        self.client.send({"undo": fix})

    def cancel(self) -> None:
        """End what is at work; what it had done is taken back, which can take some seconds. Ended tells."""
        self.client.send({"cancel": True})

    def prove(self, method: str = "auto") -> None:
        """Load the program and count 1,000 known calls: Counted again and again, then Proved."""
        self.client.send({"prove": method})

    def close(self) -> None:
        """End the helper. What is at work is cancelled and taken back by it; no screen is woken any more."""
        self.listen()
        self.client.close()

    def _hear(self, message: dict[str, Any] | None) -> None:
        """A message of the helper; None if it has gone."""
        if message is None:
            self.root = self.may_load = False
            self.tell(Gone())
            return
        (kind, value), *_ = message.items()
        match kind:
            case "started":
                self.tell(Started(value))
            case "slow":
                self.tell(Slow(value))
            case "found":
                for line in message["details"]:
                    log.debug("%s", line)
                previews, reach = wire.previews(message["previews"]), wire.reach(message.get("reach"))
                self.tell(Found(wire.from_json(value), tuple(message["details"]), previews, reach))
            case "said":
                log.debug("%s", value)
                self.tell(Said(value))
            case "state":
                self.tell(InForce(tuple(value["applied"]), tuple(value["mine"]), value["interrupted"]))
            case "proof":
                self.tell(_proof(value))
            case "ended":
                log.debug("%s", value)
                self.tell(Ended(**{**value, "left": tuple(value["left"])}))


def _proof(said: dict[str, Any]) -> Counted | Proved:
    match said:
        case {"made": made, "counted": counted}:
            return Counted(made, counted)
        case {"outcome": outcome, "method": method}:
            return Proved(burst.Outcome.of_json(outcome), method)
        case {"failure": failure, "method": method}:
            error = LoadError.of_json(failure)
            return Proved(method=method, failure=explain(error, error.facts or gather()))
        case _:
            return Proved(failure=Explanation(f"the burst could not be made: {said['refused']}", look()))
