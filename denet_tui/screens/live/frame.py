"""What a tab of the live screen draws from."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from denet_tui.detail import Seen
from denet_tui.model import ProcessInfo, Snapshot
from denet_tui.screens.live.rates import Rates
from denet_tui.screens.live.view import View
from denet_tui.widgets.window import Window


class Frame(NamedTuple):
    """Everything that a tab may draw from; all of one moment."""

    view: View
    snapshot: Snapshot
    """As `view` shows it: narrowed, and of the last interval where it says so."""
    whole: Snapshot
    """The same moment, not narrowed and since the start."""
    rates: Rates
    window: Window
    """The stretch of time that is shown of it."""
    tick: int
    """The tick of `rates.whole` that belongs to this moment."""
    known_s: float
    """How far the time goes that is known, in s since the start: in a recording further than this moment."""
    look: Callable[[ProcessInfo], Seen | None] | None
    """What a process that lives looks like right now; None in a recording."""

    @property
    def behind(self) -> int:
        """Ticks between the newest in `rates` and this moment; more than 0 only while the view is paused."""
        return self.rates.whole.tick - self.tick
