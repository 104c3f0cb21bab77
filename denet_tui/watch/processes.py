"""CPU, memory and I/O of the watched processes, from /proc through psutil: what the kernel side does not count."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

import psutil

from denet_tui.bpf.tracer import Process
from denet_tui.model import Counters, Syscall, Usage

BUDGET = 200
"""Processes looked at in one tick; the busy ones first, the idle ones in turn."""


class Usages:
    """Looks processes up again and again; keeps what CPU percentages need in between."""

    def __init__(self) -> None:
        self._handles: dict[int, psutil.Process] = {}
        self._spent: dict[int, tuple[float, int]] = {}
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
        for tgid in self._handles.keys() - {process.tgid for process in living}:
            del self._handles[tgid]
            self._spent.pop(tgid, None)
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
        """None where there is no such process; zeros for what this user may not read."""
        try:
            handle = self._handles.get(info.tgid)
            if handle is None:
                handle = self._handles[info.tgid] = psutil.Process(info.pid)
            with handle.oneshot():
                times = handle.cpu_times()
                memory = handle.memory_info()
                threads = handle.num_threads()
                try:
                    disk = handle.io_counters()
                    read, written = disk.read_bytes, disk.write_bytes
                except (psutil.AccessDenied, OSError):
                    read = written = 0
            cpu = self._percent(info, times.user + times.system)
            return Usage(cpu, memory.rss, memory.vms, threads, read, written)
        except psutil.ZombieProcess:
            return Usage()
        except (psutil.NoSuchProcess, ProcessLookupError, FileNotFoundError):
            self._handles.pop(info.tgid, None)
            return None
        except (psutil.Error, OSError):
            return Usage()

    def _percent(self, process: Process, spent_s: float) -> float:
        """CPU since the last look; at the first since the start, for a process that we have seen start."""
        now = time.monotonic_ns()
        before, then = self._spent.get(process.tgid, (0.0, process.start_ns))
        self._spent[process.tgid] = (spent_s, now)
        span_s = (now - then) / 1e9
        used = spent_s - before
        seen_start = before or used <= span_s * (process.threads + 1)
        return 100 * used / span_s if span_s > 0 and seen_start else 0.0


def descendants(pid: int) -> list[tuple[int, int]]:
    """(pid, parent) of all living descendants of a process, parents first."""
    try:
        return [(child.pid, child.ppid()) for child in psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return []


def owner(pid: int) -> int | None:
    """Real uid of a process, None where it does not exist."""
    try:
        return psutil.Process(pid).uids().real
    except psutil.Error:
        return None
