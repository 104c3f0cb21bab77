"""Check, Finding, Fix, Change: the words that this room is written in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from denet_tui.checks.host import Host

AttachMethod = Literal["raw", "tracefs"]
BOTH: tuple[AttachMethod, ...] = ("raw", "tracefs")
Scope = Literal["until-reboot", "permanent"]


class State(StrEnum):
    """How a check came out."""

    PASS = "pass"  # noqa: S105 - not a password
    WARN = "warn"
    FAIL = "fail"
    """This is why it does not work, or a hole through which others than root have what is root's."""
    OPTIONAL = "optional"
    """Wrong for an attach method that is not needed here (verdict.settled)."""
    UNKNOWN = "unknown"
    """Could not be read; the title says why."""
    SKIP = "skip"
    """Does not apply here; the title says why."""
    CRASH = "crash"
    """The check itself broke."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was looked at (a file or a call) and the value that was seen there."""

    source: str
    value: str


@dataclass(frozen=True, slots=True)
class RunCommand:
    """A program to run: absolute path first, never a shell. `undo` is the argv that takes it back."""

    argv: tuple[str, ...]
    undo: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class WriteFile:
    """A whole file of our own to write (root-owned, atomically); `text` None deletes it."""

    path: str
    text: str | None
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class SetValue:
    """A value to write into a file of the kernel (/proc/sys/…); undone with the value that was there."""

    path: str
    value: str


Change = RunCommand | WriteFile | SetValue


@dataclass(frozen=True, slots=True)
class Fix:
    """One way to put a finding right: its changes in order, how long it lasts, and how it is undone, in words."""

    id: str
    """`CHECK-ID.name`, for example `FS-001.mount`."""
    title: str
    changes: tuple[Change, ...]
    scope: Scope
    undo: str
    weakens: str = ""
    """What it opens that was closed before, in one line; empty where it opens nothing. Never preselected."""
    advice: str = ""
    """Where denet-tui cannot do it itself (log in again, reboot, another container profile): what the user does."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check."""

    id: str
    state: State
    title: str
    """One line."""
    evidence: tuple[Evidence, ...] = ()
    why: str = ""
    """Why it matters, in plain words."""
    required_for: tuple[AttachMethod, ...] = ()
    fixes: tuple[Fix, ...] = ()
    """Ways to put it right, of which one is enough; where `all_fixes`, each is for another part of it."""
    links: tuple[str, ...] = ()
    seconds: float = 0.0
    all_fixes: bool = False
    stops: tuple[AttachMethod, ...] = ()
    """Attach methods that do not work though another one does: of the proof, which passes then."""

    @property
    def blocks(self) -> tuple[AttachMethod, ...]:
        """The attach methods that do not work because of it."""
        return self.required_for if self.state in (State.FAIL, State.OPTIONAL) else self.stops


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at. `run` looks through a Host only and has no side effects."""

    id: str
    area: str
    """`permissions`, `capabilities`, `tracefs`, `kernel`, `bcc` or `proof`: the steps of the setup screen."""
    title: str
    run: Callable[[Host], Finding]
    after: tuple[str, ...] = ()
    """Ids of checks that a fix of this one may change, to be run again."""
    waits: bool = False
    """Whether it mostly waits for another process: it starts first, beside the others."""
    first: bool = True
    """Whether the quick look before watching needs it; not the proof: loading is that where all is right."""
