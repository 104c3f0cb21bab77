"""CPU, memory and I/O of the watched processes, from /proc: what the kernel side does not count."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import psutil

from denet_tui.bpf.tracer import Process
from denet_tui.model import Counters, Syscall, Usage

BUDGET = 400
"""Processes looked at in one tick, at about 25 µs each; the busy ones first, the idle ones in turn."""
_TICKS_S, _PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
_PF_KTHREAD = 0x00200000
"""include/linux/sched.h."""
_SLACK_S = 0.1
"""A process that is older than its record by more than this was there before it was watched."""


class Stat(NamedTuple):
    """What /proc/PID/stat says of a process (man 5 proc_pid_stat); sizes in bytes."""

    comm: str
    parent: int
    flags: int
    """PF_* of include/linux/sched.h."""
    spent_s: float
    """CPU time, user and system."""
    threads: int
    born: int
    """Clock ticks since boot."""
    vms: int
    rss: int
    ended: bool
    """It only waits for its parent to take note."""

    @property
    def kernel(self) -> bool:
        """Whether it is a thread of the kernel: these make no system calls."""
        return bool(self.flags & _PF_KTHREAD)


def stat(pid: int) -> Stat:
    """One read instead of the five files that psutil opens; raises OSError (ProcessLookupError where it is gone)."""
    content = _read(f"/proc/{pid}/stat")
    name, _, rest = content.partition(b"(")[2].rpartition(b")")
    fields = rest.split()
    threads = int(fields[17])
    return Stat(
        name.decode(errors="surrogateescape"),
        int(fields[1]),
        int(fields[6]),
        (int(fields[11]) + int(fields[12])) / _TICKS_S,
        threads,
        int(fields[19]),
        int(fields[20]),
        int(fields[21]) * _PAGE,
        fields[0] in (b"Z", b"X") and threads <= 1,
    )


def _disk(pid: int) -> tuple[int, int]:
    """Bytes read from and written to disks; zeros where this user may not know."""
    try:
        lines = _read(f"/proc/{pid}/io").split(b"\n")
    except OSError:
        return 0, 0
    values = dict(line.split(b": ") for line in lines if line)
    return int(values[b"read_bytes"]), int(values[b"write_bytes"])


def _read(path: str) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        raise ProcessLookupError(path) from None
    try:
        return os.read(descriptor, 4096)
    finally:
        os.close(descriptor)


class Usages:
    """Looks processes up again and again; keeps what CPU percentages need in between."""

    def __init__(self) -> None:
        self._spent: dict[int, tuple[float | None, int]] = {}
        """CPU seconds by tgid, and when that was read (CLOCK_MONOTONIC ns)."""
        self._missing: set[int] = set()
        self._turn = 0

    def look(
        self, living: list[Process], busy: Mapping[int, Mapping[Syscall, Counters]]
    ) -> tuple[dict[int, Usage], frozenset[int]]:
        """(usage by tgid, tgids that were not there twice in a row) of processes that the kernel side has as living.

        `busy` has the rows of those that made calls in this interval.
        """
        usages: dict[int, Usage] = {}
        missing, gone = set(), set()
        for process in self._chosen(living, busy):
            usage = self._look_at(process)
            if usage is not None:
                usages[process.tgid] = usage
            elif process.tgid in self._missing:
                gone.add(process.tgid)
            else:
                missing.add(process.tgid)
        self._missing = missing
        for tgid in self._spent.keys() - {process.tgid for process in living}:
            del self._spent[tgid]
        return usages, frozenset(gone)

    def _chosen(self, living: list[Process], busy: Mapping[int, Mapping[Syscall, Counters]]) -> Iterable[Process]:
        if len(living) <= BUDGET:
            return living
        suspects = [process for process in living if process.tgid in self._missing]
        active = [process for process in living if process.tgid in busy]
        active.sort(key=lambda process: len(busy[process.tgid]), reverse=True)
        start = self._turn % len(living)
        self._turn += BUDGET // 2
        idle = (living + living)[start : start + BUDGET // 2]
        return {process.tgid: process for process in (*suspects, *active[: BUDGET // 2], *idle)}.values()

    def _look_at(self, info: Process) -> Usage | None:
        """None if there is no such process; zeros for what this user may not read."""
        try:
            now = stat(info.pid)
        except ProcessLookupError:
            self._spent.pop(info.tgid, None)
            return None
        except OSError:
            return Usage()
        if now.ended:
            return Usage()
        return Usage(self._percent(info, now), now.rss, now.vms, now.threads, *_disk(info.pid))

    def _percent(self, process: Process, found: Stat) -> float:
        """CPU since the last look; at the first since the start, for a process that we have seen start."""
        now = time.monotonic_ns()
        before, then = self._spent.get(process.tgid, (None, process.start_ns))
        self._spent[process.tgid] = (found.spent_s, now)
        span_s = (now - then) / 1e9
        if before is None:
            age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - found.born / _TICKS_S
            if age_s > span_s + _SLACK_S:
                return 0.0
            before = 0.0
        return 100 * (found.spent_s - before) / span_s if span_s > 0 else 0.0


def descendants(pid: int) -> list[tuple[int, int]]:
    """(pid, parent) of all living descendants of a process, parents first."""
    try:
        return [(child.pid, child.ppid()) for child in psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return []
