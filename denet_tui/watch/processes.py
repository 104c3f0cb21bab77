"""CPU, memory and I/O of the watched processes, from /proc through psutil: what the kernel side does not count."""

from __future__ import annotations

from collections.abc import Iterable

import psutil

from denet_tui.model import ProcessInfo, Usage

BUDGET = 200
"""Processes looked at in one tick; the busy ones first, the idle ones in turn."""


class Usages:
    """Looks processes up again and again; keeps what CPU percentages need in between."""

    def __init__(self) -> None:
        self._handles: dict[int, psutil.Process] = {}
        self._missing: set[int] = set()
        self._turn = 0

    def look(self, living: list[ProcessInfo]) -> tuple[dict[int, Usage], frozenset[int]]:
        """(usage by tgid, tgids that were not there twice in a row) of processes that the kernel side has as living."""
        usages: dict[int, Usage] = {}
        missing, gone = set(), set()
        for info in self._chosen(living):
            usage = self._look_at(info)
            if usage is not None:
                usages[info.tgid] = usage
            elif info.tgid in self._missing:
                gone.add(info.tgid)
            else:
                missing.add(info.tgid)
        self._missing = missing
        alive = {info.tgid for info in living}
        for tgid in self._handles.keys() - alive:
            del self._handles[tgid]
        return usages, frozenset(gone)

    def _chosen(self, living: list[ProcessInfo]) -> Iterable[ProcessInfo]:
        if len(living) <= BUDGET:
            return living
        suspects = [info for info in living if info.tgid in self._missing]
        busy = sorted(living, key=lambda info: info.delta.calls, reverse=True)[: BUDGET // 2]
        start = self._turn % len(living)
        self._turn += BUDGET // 2
        idle = (living + living)[start : start + BUDGET // 2]
        return {info.tgid: info for info in (*suspects, *busy, *idle)}.values()

    def _look_at(self, info: ProcessInfo) -> Usage | None:
        """None where there is no such process; zeros for what this user may not read."""
        try:
            handle = self._handles.get(info.tgid)
            if handle is None:
                handle = self._handles[info.tgid] = psutil.Process(info.pid)
            with handle.oneshot():
                cpu = handle.cpu_percent(interval=None)
                memory = handle.memory_info()
                threads = handle.num_threads()
                try:
                    disk = handle.io_counters()
                    read, written = disk.read_bytes, disk.write_bytes
                except (psutil.AccessDenied, OSError):
                    read = written = 0
            return Usage(cpu, memory.rss, memory.vms, threads, read, written)
        except psutil.ZombieProcess:
            return Usage()
        except (psutil.NoSuchProcess, ProcessLookupError, FileNotFoundError):
            self._handles.pop(info.tgid, None)
            return None
        except (psutil.Error, OSError):
            return Usage()


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
