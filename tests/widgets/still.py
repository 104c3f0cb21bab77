"""Widgets that have a size without a screen."""

from denet_tui.widgets.processes import ProcessTree
from denet_tui.widgets.syscalls import SyscallTable


class Still:
    """Is `width` cells wide and 20 lines high."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width_now = width

    @property
    def line_width(self) -> int:
        return self.width_now

    def _room(self) -> int:
        return 20


class Table(Still, SyscallTable):
    """The syscall table."""


class Tree(Still, ProcessTree):
    """The process tree."""
