"""Attaches on request: nothing, an empty pair of raw tracepoints, or the real programs, which watch the process PID.

Run as root by `python -m tests.bench.holder PID`; reads `bare`, `empty`, `ours` (calls alone), `files` (them, too) or
`time` (and execs and where the time goes), attaches that alone, and prints it.
Everything is compiled and loaded before, so that what is compared is measured one right after the other.
"""

from __future__ import annotations

import os
import sys
from contextlib import redirect_stdout

from denet_tui.bpf import loader, maps, toolchain
from denet_tui.bpf.handover import Kernel
from denet_tui.bpf.request import Request
from denet_tui.bpf.tracer import Tracer

EMPTY = b"""
int on_sys_enter(void *ctx) { return 0; }
int on_sys_exit(void *ctx) { return 0; }
"""
_RAW_TRACEPOINT = 17


def main() -> None:
    empty = loader.compile_program(toolchain.load(toolchain.find()), [], EMPTY)
    links, programs = [], {}
    for name, detail in (("ours", "calls"), ("files", "files"), ("time", "all")):
        with redirect_stdout(sys.stderr):
            loaded = loader.load(Request("raw", detail=detail), None)
        kernel = Kernel(loaded["maps"], loaded["links"], "raw", (), "", "", {})
        Tracer(kernel).attach(int(sys.argv[1]))
        programs[name] = loaded["programs"]
        links += loaded["links"].values()
    programs |= {
        "bare": {},
        "empty": {
            event: empty.load_func(f"on_{event}".encode(), _RAW_TRACEPOINT).fd for event in ("sys_enter", "sys_exit")
        },
    }
    for line in sys.stdin:
        for link in links:
            os.close(link)
        links = [maps.raw_tracepoint_open(event, fd) for event, fd in programs[line.strip()].items()]
        print(line, end="", flush=True)
    os._exit(0)


main()
