"""What a view can be narrowed to, and the message that asks for it.

A new kind of narrowing is one class here: its `label`, `of` which of the three it is (screens/live/view.py goes by it),
and what it leaves of the processes (`inside`) or of the calls (`matches`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from textual.message import Message

from denet_tui.model import ProcessInfo, Syscall
from denet_tui.syscalls import class_of, errno_name
from denet_tui.system.visible import visible
from denet_tui.widgets.formatting import clip, end_of, program
from denet_tui.widgets.line_view import LineView
from denet_tui.widgets.process_rows import cgroups, subtree


class Narrowing(ABC):
    """One thing that a view is narrowed to."""

    of: ClassVar[Literal["processes", "syscalls", "errors"]]

    @property
    @abstractmethod
    def label(self) -> str:
        """As it stands in the line of the steps: `make (1234)`, `%file`."""

    def inside(self, processes: Sequence[ProcessInfo]) -> Sequence[ProcessInfo]:
        """Those of the processes that are left, whatever they call."""
        return processes

    def matches(self, syscall: Syscall, errno: int | None = None) -> bool:  # noqa: ARG002 - for the kinds below
        """Whether a call is left that ended with `errno`, None: however it ended."""
        return True


@dataclass(frozen=True, slots=True)
class Subtree(Narrowing):
    """A process and everything below it."""

    process: ProcessInfo
    of = "processes"

    @property
    def label(self) -> str:
        """Its program and pid."""
        name = program(self.process.cmdline, self.process.comm)
        return f"{clip(visible(name), 24)} ({self.process.pid})"

    def inside(self, processes: Sequence[ProcessInfo]) -> Sequence[ProcessInfo]:
        """The process and its descendants."""
        return subtree(processes, self.process.key)


@dataclass(frozen=True, slots=True)
class Named(Narrowing):
    """All processes of one command name."""

    comm: str
    of = "processes"

    @property
    def label(self) -> str:
        """The name."""
        return visible(self.comm)

    def inside(self, processes: Sequence[ProcessInfo]) -> Sequence[ProcessInfo]:
        """Those that have the name now."""
        return [process for process in processes if process.comm == self.comm]


@dataclass(frozen=True, slots=True)
class InCgroup(Narrowing):
    """All processes of one cgroup; those of none that is known where `path` is empty."""

    path: str
    title: str
    of = "processes"

    @property
    def label(self) -> str:
        """What it is called."""
        return visible(self.title)

    def inside(self, processes: Sequence[ProcessInfo]) -> Sequence[ProcessInfo]:
        """Those that were in it when that was last seen."""
        return [process for process, path in zip(processes, cgroups(processes), strict=True) if path == self.path]


@dataclass(frozen=True, slots=True)
class UsersOf(Narrowing):
    """The processes that had used a file or peer when it was chosen."""

    path: str
    pids: frozenset[int]
    of = "processes"

    @property
    def label(self) -> str:
        """The file."""
        return f"users of {end_of(visible(self.path), 24)}"

    def inside(self, processes: Sequence[ProcessInfo]) -> Sequence[ProcessInfo]:
        """Those of them that are in the list."""
        return [process for process in processes if process.pid in self.pids]


@dataclass(frozen=True, slots=True)
class Family(Narrowing):
    """A class of syscalls, such as `file` or `network`."""

    name: str
    of = "syscalls"

    @property
    def label(self) -> str:
        """As strace has it."""
        return f"%{self.name}"

    def matches(self, syscall: Syscall, errno: int | None = None) -> bool:  # noqa: ARG002
        """Whether the syscall is of the class."""
        return class_of(syscall) == self.name


@dataclass(frozen=True, slots=True)
class OneSyscall(Narrowing):
    """A single syscall."""

    syscall: Syscall
    of = "syscalls"

    @property
    def label(self) -> str:
        """Its name."""
        return visible(self.syscall.name)

    def matches(self, syscall: Syscall, errno: int | None = None) -> bool:  # noqa: ARG002
        """Whether it is this one."""
        return syscall == self.syscall


@dataclass(frozen=True, slots=True)
class Errno(Narrowing):
    """An errno, as a positive number: the syscalls and processes that it came from, and of their errors it alone."""

    number: int
    of = "errors"

    @property
    def label(self) -> str:
        """Its name."""
        return errno_name(self.number)

    def matches(self, syscall: Syscall, errno: int | None = None) -> bool:  # noqa: ARG002
        """Whether the call may have ended with it."""
        return errno in (None, self.number)


class Narrow(Message):
    """The user wants to see only this; of several steps (a syscall and an errno), each narrows further."""

    def __init__(self, *steps: Narrowing) -> None:
        self.steps = steps
        super().__init__()


def narrow_to_process(view: LineView[Any]) -> None:
    """Ask for the process of the row under the cursor: `action_narrow` of a view whose rows have one, or None."""
    if view.current is not None and view.current.process is not None:
        view.post_message(Narrow(Subtree(view.current.process)))
