"""Switches that the kernel has not told, as they show: the clock of a thread is set to what would be left.

Run as root by `python -m tests.bpf.unseen`; prints a line as JSON for each of three processes: one that was not told to
be switched to, one that was not told to be woken either, and one that was not told to be switched away from. It has the
parts of its time since then in ns, how long that was at least and at most, and how many threads are not timed.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import time
from collections.abc import Callable
from pathlib import Path

from denet_tui.bpf import maps, tasks
from denet_tui.bpf.handover import Loading
from denet_tui.bpf.request import Request
from denet_tui.bpf.tracer import Tracer

WHERE_AT = tasks.CLOCK_AT + struct.calcsize("<Q5q5Q")
STINT_NS = 1_000_000
"""Shorter than a time slice."""
PARTS = ("cpu_ns", "kernel_ns", "runqueue_ns", "blocked_ns", "unknown_ns")


class Victim:
    """A process that waits, spins outside of calls, waits in a call, and ends."""

    def __init__(self, tracer: Tracer, kernel_maps: dict[str, int]) -> None:
        self.shared = mmap.mmap(-1, mmap.PAGESIZE)
        waiting, self.go = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.read(waiting, 1)
            os.read(waiting, 1)
            self.shared[0] = 1
            while self.shared[0] != 2:
                pass
            if self.shared[1]:
                os.read(waiting, 1)
            os._exit(0)
        self.slots, self.times = maps.Map(kernel_maps["slots"]), maps.Map(kernel_maps["times"])
        self.index = struct.pack("<I", self.pid & (self.slots.max_entries - 1))
        tracer.attach(self.pid)
        os.write(self.go, b"1")
        self.when(blocked)
        os.write(self.go, b"2")
        while self.shared[0] != 1:
            pass

    def when(self, holds: Callable[[tasks.Task], bool]) -> tuple[tasks.Task, bytearray]:
        """Its task and slot as soon as that holds, or it is not timed any more."""
        while True:
            row = bytearray(self.slots.lookup(self.index) or b"")
            task = tasks.task_of(bytes(row[: tasks.THREAD.size]))
            if task.tid == self.pid and (holds(task) or task.clock.where == tasks.UNTIMED):
                return task, row

    def switches(self) -> str:
        return Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8").partition("\nvoluntary")[2]

    def leave_at(self, where: int, holds: Callable[[tasks.Task], bool]) -> tasks.Task:
        """What it was as its clock was set, in the midst of no switch."""
        while True:
            self.when(holds)
            before = self.switches()
            task, row = self.when(holds)
            if task.clock.where == tasks.UNTIMED:
                return task
            struct.pack_into("<I", row, WHERE_AT, where)
            self.slots.update(self.index, bytes(row))
            if self.switches() == before:
                return task

    def end(self, before: tasks.Clock) -> dict[str, int]:
        """What has been added to the sums of the process when it has switched for the last time."""
        least_ns = time.monotonic_ns() - before.mark_ns
        self.shared[0] = 2
        os.write(self.go, b"3")
        os.waitpid(self.pid, 0)
        while tasks.task_of((self.slots.lookup(self.index) or b"")[: tasks.THREAD.size]).tid == self.pid:
            pass
        most_ns = time.monotonic_ns() - before.mark_ns
        *sums, untimed = struct.unpack("<5qQ", self.times.lookup(struct.pack("<I", self.pid)) or b"")
        found = {name: now - getattr(before, name) for name, now in zip(PARTS, sums, strict=True)}
        return {**found, "least_ns": least_ns, "most_ns": most_ns, "untimed": untimed}


def blocked(task: tasks.Task) -> bool:
    return task.inside and task.clock.where == tasks.BLOCKED


def long_on_cpu(task: tasks.Task) -> bool:
    return task.clock.where == tasks.ON_CPU and time.monotonic_ns() - task.clock.mark_ns > STINT_NS


def main() -> None:
    kernel = Loading(Request("raw", detail="all")).receive()
    tracer = Tracer(kernel)
    for where in (tasks.RUNNABLE, tasks.BLOCKED):
        found = []
        for _ in range(3):  # what a hypervisor takes away in the midst is taken from one of them
            victim = Victim(tracer, kernel.maps)
            found.append(victim.end(victim.leave_at(where, long_on_cpu).clock))
        print(json.dumps(max(found, key=lambda each: each["cpu_ns"] - each["kernel_ns"])))

    victim = Victim(tracer, kernel.maps)
    victim.shared[1], victim.shared[0] = 1, 2
    print(json.dumps(victim.end(victim.leave_at(tasks.ON_CPU, blocked).clock)))


if __name__ == "__main__":
    main()
