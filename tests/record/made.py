"""Snapshots made by hand, whose sums agree as those of the sampler do."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterable, Mapping
from pathlib import Path

from denet_tui.detail import NOTHING_USED, Accounts, Usage
from denet_tui.model import NO_LOSS, NOTHING, Counters, Loss, ProcessInfo, RunInfo, Snapshot, Syscall

READ, WRITE, OPENAT, MMAP = (
    Syscall(0, nr, name) for nr, name in ((0, "read"), (1, "write"), (257, "openat"), (9, "mmap"))
)
SOCKET, EXIT_GROUP, FOREIGN = Syscall(0, 41, "socket"), Syscall(0, 231, "exit_group"), Syscall(1, 3, "ia32:read")
START_NS, START_MS = 5_000_000_000_000, 1_790_000_000_000
KILLED, EXITED_3 = int(signal.SIGKILL), 3 << 8
INFO = RunInfo(("make", "-j4"), "/usr/bin/make", 1000, "raw", "someone", 0.5, START_MS, START_NS, ("a note",))
Rows = Mapping[Syscall, Counters]


def category(syscall: Syscall) -> str:
    classes = {"read": "file", "write": "file", "openat": "file", "mmap": "memory", "socket": "network"}
    return classes.get(syscall.name.removeprefix("ia32:"), "other")


def counted(calls: int, errors: int = 0, each_ns: int = 1000, unreturned: int = 0) -> Counters:
    returns = calls - unreturned
    bucket = max(each_ns.bit_length() - 8, 0)
    return Counters(
        calls, returns, errors, unreturned, returns * each_ns, each_ns if returns else 0, returns << (64 * bucket)
    )


def summed(counters: Iterable[Counters]) -> Counters:
    total = NOTHING
    for one in counters:
        total = total.plus(one)
    return total


def merged(many: Iterable[Rows]) -> dict[Syscall, Counters]:
    rows: dict[Syscall, Counters] = {}
    for one in many:
        for syscall, counters in one.items():
            rows[syscall] = rows.get(syscall, NOTHING).plus(counters)
    return rows


def process(pid: int, rows: Rows, *, start_s: float = 0.0, end_s: float | None = None, **more: object) -> ProcessInfo:
    values: dict[str, object] = {
        "ppid": 1000 if pid != 1000 else 999,
        "comm": "cc1",
        "cmdline": ("cc1", "-O2", f"{pid}.c"),
        "status": None if end_s is None else 0,
        "execs": 1,
        "exec_ns": START_NS + int(start_s * 1e9) + 100_000,
        "usage": Usage(12.5, 4096 * 1024, 8192 * 1024, 2, Accounts(10**8, 70, 1, 1000, 2000, 5000 * 1024)),
        "errnos": {(syscall, 2): counters.errors for syscall, counters in rows.items() if counters.errors},
        "recent": rows,
    }
    values |= more
    total = summed(rows.values())
    return ProcessInfo(
        tgid=pid, pid=pid, start_ns=START_NS + int(start_s * 1e9),
        end_ns=None if end_s is None else START_NS + int(end_s * 1e9),
        syscalls=rows, total=total, delta=total, **values,
    )  # fmt: skip


def idle(one: ProcessInfo) -> ProcessInfo:
    """The process as the next snapshot shows it when it has called nothing since."""
    return one._replace(recent={}, delta=NOTHING)


def snapshot(
    at_s: float, processes: Iterable[ProcessInfo], *, ended: Iterable[ProcessInfo] = (),
    gone: Rows | None = None, loss: Loss = NO_LOSS, **more: object,
) -> Snapshot:  # fmt: skip
    """A snapshot whose totals are those of `processes` and of the forgotten ones (`gone`)."""
    shown, ended = tuple(processes), tuple(ended)
    everybody = [*{(one.tgid, one.start_ns): one for one in (*shown, *ended)}.values()]
    rows = merged([*(one.syscalls for one in everybody), gone or {}])
    recent = merged(one.recent for one in everybody)
    errnos = {(syscall, 2): counters.errors for syscall, counters in rows.items() if counters.errors}
    return Snapshot(
        time_ns=START_NS + int(at_s * 1e9), wall_ms=START_MS + int(at_s * 1e3), elapsed_ns=int(at_s * 1e9),
        interval_ns=500_000_000, syscalls=rows, recent=recent, errnos=errnos, processes=shown, ended=ended,
        total=summed(rows.values()), delta=summed(recent.values()), loss=loss,
        accounts=Accounts.together([NOTHING_USED, *(one.usage.accounts for one in everybody)]),
        cpu_percent=sum(one.usage.cpu_percent for one in shown if one.alive), **more,
    )  # fmt: skip


def story() -> list[Snapshot]:
    """make starts, forks three compilers, one is killed, one fails, one outlives it."""
    make = process(
        1000, {READ: counted(40), OPENAT: counted(12, 3, 20_000), EXIT_GROUP: counted(1, unreturned=1)}, comm="make"
    )
    begun = make._replace(syscalls={READ: counted(40)}, recent={READ: counted(40)}, total=counted(40), errnos={})
    begun = begun._replace(delta=begun.total)
    fails = process(1001, {READ: counted(7), FOREIGN: counted(5, 5)}, start_s=0.6, end_s=0.8, status=EXITED_3)
    killed = process(1002, {WRITE: counted(900_000, each_ns=150)}, start_s=0.7, end_s=0.9, status=KILLED, execs=0)
    outlives = process(1003, {MMAP: counted(2), SOCKET: counted(1)}, start_s=1.2)
    over = make._replace(end_ns=START_NS + 1_900_000_000, status=EXITED_3)
    over = over._replace(recent={**make.syscalls, READ: NOTHING}, delta=make.total)
    return [
        snapshot(0.5, [begun]),
        snapshot(1.0, [idle(begun), fails, killed], ended=[fails, killed]),
        snapshot(1.5, [idle(begun), idle(fails), idle(killed), outlives]),
        snapshot(
            2.0, [over, idle(fails), idle(killed), idle(outlives)], ended=[over], running=False, status=EXITED_3
        ),
    ]  # fmt: skip


def lines_of(path: Path) -> list[dict[str, object]]:
    """Every line of a recording, each of which must be whole."""
    text = path.read_bytes()
    assert text.endswith(b"\n")
    return [json.loads(line) for line in text.splitlines()]
