"""What a view can be narrowed to, and the message that asks for it."""

from __future__ import annotations

from typing import NamedTuple

from textual.message import Message

from denet_tui.model import ProcessInfo, Syscall


class Family(NamedTuple):
    """A class of syscalls, such as `file` or `network`."""

    name: str


class Errno(NamedTuple):
    """An errno, as a positive number."""

    number: int


class Named(NamedTuple):
    """All processes of one command name."""

    comm: str


Step = ProcessInfo | Named | Family | Syscall | Errno
"""One thing that a view is narrowed to; a process stands for itself and everything below it."""


class Chosen(Message):
    """The user wants to see only this; of several steps (a syscall and an errno), each narrows further."""

    def __init__(self, *steps: Step) -> None:
        self.steps = steps
        super().__init__()
