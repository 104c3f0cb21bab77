"""The signals that a process can be sent, to choose from."""

from __future__ import annotations

import signal
from collections.abc import Hashable, Sequence
from typing import ClassVar, NamedTuple

from denet_tui.widgets.columns import Column
from denet_tui.widgets.line_view import LineView, Piece


class Offered(NamedTuple):
    """A signal, and what it is for."""

    number: signal.Signals
    words: str


CHOICES = (
    Offered(signal.SIGTERM, "asks it to end"),
    Offered(signal.SIGINT, "interrupts it, as ctrl+c does"),
    Offered(signal.SIGHUP, "its terminal is gone; some read their settings again"),
    Offered(signal.SIGKILL, "ends it at once: it cannot tidy up"),
    Offered(signal.SIGSTOP, "stops it until CONT"),
    Offered(signal.SIGCONT, "lets it go on after STOP"),
)
"""The first one is the usual one."""


class SignalList(LineView[Offered]):
    """One signal a line."""

    HELP = "The signals that can be sent to the process. Enter sends the chosen one, escape sends none."
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("name", "signal", 7, right=False),
        Column("number", "no.", 3),
        Column("words", "what it does", 12, 60, right=False),
    )

    def identify(self, row: Offered) -> Hashable:
        """The number."""
        return row.number

    def draw(self, row: Offered, column: Column, width: int) -> Sequence[Piece]:  # noqa: ARG002 (cut to fit)
        """One cell of `row`."""
        match column.key:
            case "name":
                return ((row.number.name.removeprefix("SIG"), "text"),)
            case "number":
                return ((f"{row.number:d}", "dim"),)
        return ((row.words, "text"),)
