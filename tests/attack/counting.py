"""Somebody else's perf counter on raw_syscalls:sys_enter, on every CPU, before, while and after denet-tui is at work.

Run as root where tracefs is mounted, by `python -m tests.attack.counting ARGV…`, which is what is at work; prints three
numbers of counted events, each of the same 20,000 calls and whatever else goes on.
"""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
import sys
import time
from pathlib import Path

from denet_tui.bpf import maps, tracepoints

CALLS = 20_000


def counted() -> int:
    """Events on all CPUs while this process makes its calls."""
    number = int((tracepoints.tracefs() / "events/raw_syscalls/sys_enter/id").read_text())
    attributes = ctypes.create_string_buffer(struct.pack("<IIQ48x", 2, 64, number), 64)
    events = [
        maps.system_call("perf_event_open", ctypes.addressof(attributes), -1, cpu, -1, 8)
        for cpu in range(maps.possible_cpus(Path("/sys/devices/system/cpu/online")))
    ]
    for _ in range(CALLS):
        os.getppid()
    total = sum(struct.unpack("<Q", os.read(event, 8))[0] for event in events)
    for event in events:
        os.close(event)
    return int(total)


def main() -> None:
    before = counted()
    with subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as working:
        assert working.stdout is not None
        assert working.stdout.read(1), "it never came so far"
        during = counted()
        working.terminate()
    time.sleep(0.2)
    print(before, during, counted())


if __name__ == "__main__":
    main()
