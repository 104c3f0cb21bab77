"""Run as a process of its own by tests that look inside: a Session on a real command, its snapshots checked one by one.

`python -m tests.bpf.inside WHAT ARGV…` prints one JSON object. It is a process of its own because the supervisor is
forked from it, and because it gives its privilege away.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import struct
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from denet_tui.bpf import maps
from denet_tui.bpf.handover import Kernel, Loading
from denet_tui.bpf.request import Request
from denet_tui.bpf.tracer import Tracer
from denet_tui.model import Snapshot
from denet_tui.watch.hold import hold_command
from denet_tui.watch.launch import Options, Start
from denet_tui.watch.worker import Session
from tests.invariants import broken

PROGRAM_BY_ID, MAP_BY_ID = 13, 14
"""BPF_PROG_GET_FD_BY_ID and BPF_MAP_GET_FD_BY_ID."""
NOT_MUCH = 5.0
"""Seconds for what the kernel does in the background."""


@contextlib.contextmanager
def watching(argv: list[str], interval_s: float) -> Iterator[tuple[Session, Tracer]]:
    """A session on a command that is still held."""
    start = Start(Options(method="raw"))
    command, tracer, info = hold_command(start, tuple(argv), own_terminal=False, stdio=(0, 2, 2), interval_s=interval_s)
    try:
        yield Session(info, tracer, command), tracer
    finally:
        command.signal(signal.SIGKILL)
        command.close("kill")


def watch(argv: list[str], interval_s: float) -> tuple[list[Snapshot], Tracer]:
    """All snapshots of a command, from its start to its end, and the tracer as the last of them left it."""
    snapshots: list[Snapshot] = []
    with watching(argv, interval_s) as (session, tracer):
        session.run(snapshots.append, threading.Event())
    return snapshots, tracer


def invariants(argv: list[str]) -> dict[str, Any]:
    """Every snapshot of a busy command, a tick every 50 ms."""
    snapshots, _ = watch(argv, 0.05)
    problems = [broken(now, before) for now, before in zip(snapshots, [None, *snapshots], strict=False)]
    last = snapshots[-1]
    return {
        "snapshots": len(snapshots),
        "broken": [text for each in problems for text in each],
        "loss": [snapshot.loss.describe() for snapshot in snapshots if not snapshot.exact],
        "calls": {call.name: counters.calls for call, counters in last.syscalls.items()},
        "in_flight_at_the_end": last.total.in_flight,
        "in_flight_under_way": sum(1 for snapshot in snapshots if snapshot.total.in_flight),
        "processes": len(last.processes),
        "ended": sum(len(snapshot.ended) for snapshot in snapshots),
    }


def unseen(argv: list[str]) -> dict[str, Any]:
    """How many readings a command needs that does nothing for 2 s, where nobody sees them, and what came after."""
    snapshots: list[Snapshot] = []
    with watching(argv, 0.1) as (session, _):
        session.unseen = True
        session.run(snapshots.append, threading.Event())
    last = snapshots[-1]
    return {
        "idle": len([each for each in snapshots if each.elapsed_ns < 1_900_000_000]),
        "busy": len([each for each in snapshots if each.elapsed_ns > 2_000_000_000]),
        "loss": last.loss.describe() if not last.exact else "",
        "ended": sum(len(snapshot.ended) for snapshot in snapshots),
        "calls": {call.name: counters.calls for call, counters in last.syscalls.items()},
        "broken": [text for each in snapshots for text in broken(each, None)],
    }


def leftovers(argv: list[str]) -> dict[str, Any]:
    """What two more readings, one for each side, find after a command has ended."""
    snapshots, tracer = watch(argv, 0.5)
    ended = [process for snapshot in snapshots for process in snapshot.ended]
    readings = [tracer.read(), tracer.read()]
    return {
        "ended": len(ended),
        "getppid": [sum(c.calls for k, c in p.syscalls.items() if k.name == "getppid") for p in ended],
        "total": {call.name: counters.calls for call, counters in snapshots[-1].syscalls.items()},
        "broken": [text for snapshot in snapshots for text in broken(snapshot, None)],
        "exact": snapshots[-1].exact,
        "rows": sum(len(reading.rows) + len(reading.errnos) + len(reading.calls) for reading in readings),
        "tasks": sum(len(reading.tasks) for reading in readings),
        "processes": sum(len(reading.processes) for reading in readings),
    }


def crowded(argv: list[str]) -> dict[str, Any]:
    """What is counted of a command where tables have the sizes that the first word says, a tick every 100 ms."""
    sizes, *argv = argv
    defaults = Loading.__init__.__kwdefaults__ or {}
    defaults["program"] = ("-m", "tests.bpf.small", sizes)
    snapshots, _ = watch(argv, 0.1)
    last = snapshots[-1]
    errnos = {call.name: 0 for call in last.syscalls}
    for (call, _), count in last.errnos.items():
        errnos[call.name] += count
    return {
        "exact": last.exact,
        "lost": {name: count for name, count in last.loss._asdict().items() if count},
        "calls": {call.name: counters.calls for call, counters in last.syscalls.items()},
        "errors": {call.name: counters.errors for call, counters in last.syscalls.items()},
        "errnos": errnos,
        "broken": [text for snapshot in snapshots for text in broken(snapshot, None)],
    }


def quiet(argv: list[str]) -> dict[str, Any]:
    """Ticks until six threads are inside a call and stay there; then the list and the counters say the same."""
    with watching(argv, 0.1) as (session, _):
        session.target.go()
        deadline = time.monotonic() + 4 * NOT_MUCH
        while [each.syscall.name for each in session.tick().in_flight] != ["pause"] * 6:
            if time.monotonic() > deadline:
                break
        snapshot = session.tick()  # the list is a little younger than the counters: only now must they agree
        return {
            "listed": sorted(each.syscall.name for each in snapshot.in_flight),
            "derived": {c.name: counters.in_flight for c, counters in snapshot.syscalls.items() if counters.in_flight},
            "processes": sorted(process.total.in_flight for process in snapshot.processes),
            "children": [process.tgid for process in snapshot.processes if process.tgid != session.target.pid],
        }


def shared(argv: list[str]) -> dict[str, Any]:
    """What is read of a row that is in both tables, as where two CPUs make it at once, and what is left of it."""
    tracer = Tracer(Loading(Request("raw")).receive())
    tracer.read()
    table, half = tracer.maps["hot_rows"], tracer.maps["hot_rows"].max_entries // 2
    found = []
    for place in (half - 1, 0):
        side = tracer.epoch & 1
        key, index = struct.pack("<Ii", 4321 | side << 22, 0), struct.pack("<I", side * half + place)
        tracer.maps["pid_syscall_map"].update(key, struct.pack("<30Q", 7, 6, 0, 1, 600, 6, *[0] * 23, 300))
        tracer.maps["hot_owners"].update(index, key)
        table.update(index, key + struct.pack("<31Q", tracer.epoch + 1, 5, 5, 0, 0, 900, 5, *[0] * 23, 200))
        counted = tracer.read().rows[4321].sum()
        found.append([counted.calls, counted.returns, counted.unreturned, counted.time_ns, counted.max_ns])
    places = [indexes for indexes, _ in tracer.maps["hot_owners"].read()]
    halves = [len(table.lookup_span(side * half, half)) for side in (0, 1)]
    return {"counted": found, "left": len(places), "bytes": halves}


def identities(kernel: Kernel) -> dict[int, list[int]]:
    """Ids of the programs and the maps behind descriptors, by the command that opens them again."""
    programs = [_number(f"/proc/self/fdinfo/{each}", "prog_id") for each in kernel.links.values()]
    tables = [_number(f"/proc/self/fdinfo/{each}", "map_id") for each in kernel.maps.values()]
    return {PROGRAM_BY_ID: programs, MAP_BY_ID: tables}


def living(ids: dict[int, list[int]]) -> list[int]:
    """Those of the ids that the kernel still has; waits a while for it to let go."""
    deadline = time.monotonic() + NOT_MUCH
    while left := [each for command, numbers in ids.items() for each in numbers if _exists(command, each)]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    return left


def cycles(argv: list[str]) -> dict[str, Any]:
    """Load and close ten times in this one process."""
    loaded, left = 0, 0
    for _ in range(10):
        kernel = Loading(Request("raw")).receive()
        ids = identities(kernel)
        loaded += sum(1 for command, numbers in ids.items() for each in numbers if _exists(command, each))
        Tracer(kernel).close()
        left += len(living(ids))
    return {"loaded": loaded, "left": left, "descriptors": sorted(os.listdir("/proc/self/fd"))[:-1]}  # noqa: PTH208


def _number(path: str, name: str) -> int:
    lines = Path(path).read_text(encoding="ascii").splitlines()
    return next(int(line.partition(":")[2]) for line in lines if line.startswith(f"{name}:"))


def _exists(command: int, number: int) -> bool:
    try:
        os.close(maps.bpf(command, number.to_bytes(4, "little") + bytes(8)))
    except FileNotFoundError:
        return False
    return True


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](sys.argv[2:])))
