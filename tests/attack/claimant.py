"""In a PID namespace: who holds the maps says at which level an id is to be read, and gets none of the kernel's memory.

Run as root by `unshare --pid --fork --mount-proc python -m tests.attack.claimant`; prints the ids that were read.
"""

from __future__ import annotations

import os
import signal
import struct
import time

from denet_tui.bpf import maps
from denet_tui.bpf.burst import show_yourself
from denet_tui.bpf.handover import Loading
from denet_tui.bpf.request import Request
from denet_tui.bpf.tracer import Tracer

LEVELS = (1, 2, 3, 5, 9, 31, 32, 100, 4096, 1 << 20)


def forking(name: str, levels: int) -> None:
    """In the child: be known by the name, and fork once for each level, each time when told to."""
    show_yourself(name)
    for _ in range(levels):
        os.kill(os.getpid(), signal.SIGSTOP)
        if os.fork() == 0:
            signal.pause()


def main() -> None:
    kernel = Loading(Request("raw")).receive()
    tracer = Tracer(kernel)
    name = tracer.expect(held=False)
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        forking(name, len(LEVELS))
        os._exit(0)
    os.waitpid(child, os.WUNTRACED)
    tracer.hold(child)
    claims = maps.Map(kernel.maps["claims"])
    known = {process.tgid for process in tracer.read().processes}
    found = []
    for level in LEVELS:
        value = bytearray(claims.lookup(bytes(4)) or b"")
        struct.pack_into("<I", value, 20, level)
        claims.update(bytes(4), bytes(value))
        os.kill(child, signal.SIGCONT)
        os.waitpid(child, os.WUNTRACED)
        time.sleep(0.05)
        new = [process for process in tracer.read().processes if process.tgid not in known]
        known.update(process.tgid for process in new)
        found += [process.pid for process in new]
    os.killpg(child, signal.SIGKILL)
    print(*found)


if __name__ == "__main__":
    main()
