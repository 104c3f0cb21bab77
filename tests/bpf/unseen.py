"""Switches that the kernel has not told, as they show: the clock of a thread is set to what would be left.

Run as root by `python -m tests.bpf.unseen`; prints three lines: the user time of a stint of STINT_NS or more whose
beginning was not told, and which ended with the process; whether the time of a process is known of which it was not
told that it was woken and switched to; and that of one of which it was not told that it was switched away from.
"""

from __future__ import annotations

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

WHERE_AT = tasks.CLOCK_AT + struct.calcsize("<Q4q4Q")
STINT_NS = 1_000_000
"""Shorter than a time slice."""


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

    def end(self) -> tuple[int, ...]:
        """The sums of the process after its last switch."""
        self.shared[0] = 2
        os.write(self.go, b"3")
        os.waitpid(self.pid, 0)
        while tasks.task_of((self.slots.lookup(self.index) or b"")[: tasks.THREAD.size]).tid == self.pid:
            pass
        return struct.unpack("<4qQ", self.times.lookup(struct.pack("<I", self.pid)) or b"")


def blocked(task: tasks.Task) -> bool:
    return task.inside and task.clock.where == tasks.BLOCKED


def long_on_cpu(task: tasks.Task) -> bool:
    return task.clock.where == tasks.ON_CPU and time.monotonic_ns() - task.clock.mark_ns > STINT_NS


def main() -> None:
    kernel = Loading(Request("raw", detail="all")).receive()
    tracer = Tracer(kernel)
    user_ns = []
    for _ in range(3):  # what a hypervisor takes away in the midst is taken from one of them
        victim = Victim(tracer, kernel.maps)
        before = victim.leave_at(tasks.RUNNABLE, long_on_cpu).clock
        cpu_ns, kernel_ns, *_ = victim.end()
        user_ns.append(cpu_ns - kernel_ns - (before.cpu_ns - before.kernel_ns))
    print(max(user_ns))

    victim = Victim(tracer, kernel.maps)
    victim.leave_at(tasks.BLOCKED, long_on_cpu)
    print("unknown" if victim.end()[-1] else "known")

    victim = Victim(tracer, kernel.maps)
    victim.shared[1], victim.shared[0] = 1, 2
    victim.leave_at(tasks.ON_CPU, blocked)
    print("unknown" if victim.end()[-1] else "known")


if __name__ == "__main__":
    main()
