"""A run of our programs that the kernel has skipped, as it shows: the state of a task is set to what would be left.

Run as root by `python -m tests.bpf.skipped`; prints what was missed after a skipped entry and after a skipped exit.
"""

from __future__ import annotations

import mmap
import os
import struct

from denet_tui.bpf import maps
from denet_tui.bpf.handover import Loading
from denet_tui.bpf.request import Request
from denet_tui.bpf.tasks import INSIDE, TASK
from denet_tui.bpf.tracer import Tracer

_IDLE = 0

SLOT = struct.Struct(f"<{TASK.size}sII8x")
"""struct slot of kernel/maps.c: the task, its owner, the crowd."""


def set_state(kernel_maps: dict[str, int], tid: int, state: int) -> None:
    slots = maps.Map(kernel_maps["slots"])
    index = struct.pack("<I", tid & (slots.max_entries - 1))
    task, owner, crowd = SLOT.unpack(slots.lookup(index) or b"")
    assert owner == tid
    since, born, tgid, nr, abi, _, about = TASK.unpack(task)
    slots.update(index, SLOT.pack(TASK.pack(since, born, tgid, nr, abi, state, about), owner, crowd))


def main() -> None:
    kernel = Loading(Request("raw")).receive()
    tracer = Tracer(kernel)
    shared = mmap.mmap(-1, mmap.PAGESIZE)
    waiting, go = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(waiting, 1)
        os.read(waiting, 1)  # this one's entry is forgotten while it waits
        shared[0] = 1
        while shared[0] != 2:  # no call is under way here, and yet one is noted
            pass
        os.getppid()
        shared[0] = 3
        os.read(waiting, 1)
        os._exit(0)
    tracer.attach(child)
    found = []
    os.write(go, b"1")
    while not any(task.inside for task in tracer.read().tasks):
        pass
    set_state(kernel.maps, child, _IDLE)
    os.write(go, b"2")
    while shared[0] != 1:
        pass
    found.append(tracer.read().loss.missed)
    set_state(kernel.maps, child, INSIDE)
    shared[0] = 2
    while shared[0] != 3:
        pass
    found.append(tracer.read().loss.missed)
    os.write(go, b"3")
    os.waitpid(child, 0)
    print(*found)


if __name__ == "__main__":
    main()
