"""Watched threads, as the kernel side keeps them (struct task, clock and slot of kernel/maps.c)."""

import struct
from typing import NamedTuple

CLOCK = struct.Struct("<Q5q5QIB3x")
UNTIMED, ON_CPU, RUNNABLE, BLOCKED, UNMET = range(5)
TASK = struct.Struct(f"<QQIiBBH4x{CLOCK.size}x")
CLOCK_AT = TASK.size - CLOCK.size
THREAD = struct.Struct(f"<{TASK.size}sI")
"""How a slot begins: what it holds and whose it is, 0 for no thread's."""
IDLE, NEW, INSIDE, _, HELD, MET = range(6)


class Clock(NamedTuple):
    """Of a thread, in ns; `where` since `mark_ns`. Of one that is `late` the `asleep_ns` before are not known."""

    mark_ns: int = 0
    cpu_ns: int = 0
    kernel_ns: int = 0
    runqueue_ns: int = 0
    blocked_ns: int = 0
    unknown_ns: int = 0
    away_ns: int = 0
    asleep_ns: int = 0
    sum_ns: int = 0
    ahead_ns: int = 0
    delay_ns: int = 0
    where: int = 0
    late: int = 0


class Task(NamedTuple):
    """A watched thread; `since_ns` and the call are those of the call it is inside, if `inside`."""

    tid: int
    tgid: int
    inside: bool
    abi: int
    nr: int
    since_ns: int
    clock: Clock
    on_file: bool = False
    """Whether the kernel side keeps what the call is about."""
    about: str | None = None
    """What that is, where it is known: a path, a file, a peer."""
    earlier: bool = False
    """Whether it is inside a call that had begun before it was attached to, at `since_ns`; not `inside` then."""


def task_of(row: bytes) -> Task:
    """From the beginning of a slot."""
    packed, tid = THREAD.unpack(row)
    since, _, tgid, nr, abi, state, about = TASK.unpack(packed)
    return Task(tid, tgid, state == INSIDE, abi, nr, since, Clock(*CLOCK.unpack_from(row, CLOCK_AT)), bool(about))
