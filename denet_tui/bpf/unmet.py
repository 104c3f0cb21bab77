"""Threads that are attached to: what the kernel side is told of them until it meets them."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from denet_tui.bpf.begun import Begun, Sleep, sleep_of
from denet_tui.bpf.living import Thread
from denet_tui.bpf.maps import NOEXIST, Map
from denet_tui.bpf.tasks import BLOCKED, CLOCK, CLOCK_AT, IDLE, MET, NEW, TASK, UNMET, Clock, Task

_PLACES = {"R": UNMET}
"""By state; others are blocked."""


class Used(NamedTuple):
    """How long the kernel says that a thread has run and waited for a CPU, in ns."""

    cpu_ns: int = 0
    delay_ns: int = 0


_NOT_KNOWN = Used(0xFFFFFFFFFFFFFFFF)


def used_by(tgid: int, tid: int) -> Used:
    """Until now; sched-stats.rst."""
    try:
        ran, waited, times = map(int, Path(f"/proc/{tgid}/task/{tid}/schedstat").read_bytes().split())
    except (OSError, ValueError):  # a kernel without
        return _NOT_KNOWN
    return Used(ran, waited) if times else _NOT_KNOWN


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
        self._asleep: list[tuple[bytes, Task, Sleep]] = []

    def tell(self, tgid: int, thread: Thread, since_ns: int, before: Used) -> None:
        """Say since when a thread is watched, what it had used by then, and whether it is in a call; raises OSError."""
        if thread.state == "X":
            return
        begun = self.begun.get(thread.tid)
        if begun and begun.sleep != sleep_of(tgid, thread.tid):
            begun = None
        states = {"S": NEW, "T": IDLE, "D": NEW if begun else MET}  # what waits for a disk may be in no call
        began = Clock(
            since_ns, sum_ns=before.cpu_ns, delay_ns=before.delay_ns, where=_PLACES.get(thread.state, BLOCKED)
        )
        tid, state = struct.pack("<I", thread.tid), states.get(thread.state, MET)
        row = TASK.pack(0, thread.least_born_ns, tgid, 0, 0, state, 0)[:CLOCK_AT] + CLOCK.pack(*began)
        if self._tasks.update(tid, row, NOEXIST) and begun and self._is_wanted(begun):
            told = Task(thread.tid, tgid, False, begun.abi, begun.nr, since_ns, began, about=begun.about, earlier=True)
            self._asleep.append((row + tid, told, begun.sleep))

    def _is_wanted(self, begun: Begun) -> bool:
        return not self.wanted or (begun.abi, begun.nr) in self.wanted

    def watched(self) -> None:
        """From now on the kernel side meets them: what still sleeps will have its row when its call ends.

        Others may be in another call by now.
        """
        for row, task, sleep in self._asleep:
            if sleep == sleep_of(task.tgid, task.tid):
                self.told[row] = task
        self._asleep.clear()

    def take_back(self, tids: Iterable[int]) -> None:
        """Those have ended before they were watched, or have been met before they were told."""
        self._tasks.delete_many(b"".join(struct.pack("<I", tid) for tid in tids))

    def read(self) -> dict[bytes, bytes]:
        """By tid, as a slot begins: those that were told, and those that are kept here because their slot is taken."""
        rows: dict[bytes, bytes] = {}
        for keys, values in self._tasks.read():
            tids, tasks = struct.iter_unpack("4s", keys), struct.iter_unpack(f"{TASK.size}s", values)
            rows |= {tid: task + tid for (tid,), (task,) in zip(tids, tasks, strict=True)}
        return rows

    def still(self, rows: Mapping[bytes, bytes], met: Iterable[bytes]) -> list[bytes]:
        """Those of `rows` that have no slot, by what slots begin with; one that was told too late is taken back."""
        if not rows:
            return []
        late = rows.keys() & {slot[TASK.size :] for slot in met}
        self.take_back(int.from_bytes(tid, "little") for tid in late)
        return [rows[tid] for tid in rows.keys() - late]
