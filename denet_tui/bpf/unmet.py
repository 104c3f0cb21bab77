"""Threads that are attached to while they sleep: what the kernel side is told of them until it meets them."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from denet_tui.bpf.begun import Begun, sleep_of
from denet_tui.bpf.living import Thread
from denet_tui.bpf.maps import NOEXIST, Map
from denet_tui.bpf.tasks import BLOCKED, CLOCK, CLOCK_AT, IDLE, NEW, TASK, Clock, Task
from denet_tui.system import clock

_ASLEEP = Clock(sum_ns=0xFFFFFFFFFFFFFFFF, where=BLOCKED)


class Unmet:
    """The rows of `tasks` that were told. The kernel side deletes one at its thread's next event, whatever that is."""

    def __init__(self, tasks: Map) -> None:
        self._tasks = tasks
        self.begun: Mapping[int, Begun] = {}
        """By tid the calls that threads were in a moment before."""
        self.wanted: set[tuple[int, int]] = set()
        """(abi, number) of the calls that alone are to be told; empty: all are."""
        self.told: dict[bytes, Task] = {}
        """By row the threads that are in such a call for as long as the row is there."""

    def tell(self, tgid: int, thread: Thread) -> None:
        """Say whether a thread is in a call, and remember in which one, where that is known; raises OSError."""
        begun = self.begun.get(thread.tid)
        if begun and begun.sleep != sleep_of(tgid, thread.tid):
            begun = None
        states = {"S": NEW, "T": IDLE, "D": NEW if begun else None}  # what waits for a disk may be in no call
        if (state := states.get(thread.state)) is None:
            return
        asleep, tid = _ASLEEP._replace(mark_ns=clock.now_ns()), struct.pack("<I", thread.tid)
        row = TASK.pack(0, thread.least_born_ns, tgid, 0, 0, state, 0)[:CLOCK_AT] + CLOCK.pack(*asleep)
        if not self._tasks.update(tid, row, NOEXIST) or not begun:
            return
        # Only what still sleeps is known to meet the row when its call ends: others may be in another call by now.
        if begun.sleep == sleep_of(tgid, thread.tid) and (not self.wanted or (begun.abi, begun.nr) in self.wanted):
            told = Task(thread.tid, tgid, False, begun.abi, begun.nr, asleep.mark_ns, asleep, about=begun.about)
            self.told[row + tid] = told._replace(earlier=True)
