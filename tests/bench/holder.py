"""Keeps BPF programs attached while its stdin is open: `empty`, or ours watching the process PID.

Run as `python -m tests.bench.holder empty|ours PID`; prints `ready` when attached.
"""

from __future__ import annotations

import os
import sys

from denet_tui.bpf import loader, maps, toolchain
from denet_tui.bpf.handover import Loading
from denet_tui.bpf.request import Request
from denet_tui.bpf.tracer import Tracer

EMPTY = b"""
int on_sys_enter(void *ctx) { return 0; }
int on_sys_exit(void *ctx) { return 0; }
"""


def main() -> None:
    kind, pid = sys.argv[1], int(sys.argv[2])
    if kind == "empty":
        module = loader._compile(toolchain.load(toolchain.find()), [], EMPTY)
        held = [
            maps.raw_tracepoint_open(event, module.load_func(f"on_{event}".encode(), 17).fd)
            for event in ("sys_enter", "sys_exit")
        ]
        assert held
    else:
        tracer = Tracer(Loading(Request("raw")).receive())
        tracer.attach(pid)
    print("ready", flush=True)
    sys.stdin.read()
    os._exit(0)


main()
