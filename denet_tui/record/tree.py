"""The line of a tick: denet's field names for who used what, ours beside them for the interval's calls."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from itertools import chain
from typing import Any

from denet_tui import __version__, uname
from denet_tui.counts import new_errnos
from denet_tui.detail import Usage
from denet_tui.model import (
    BUCKETS,
    Counters,
    Errnos,
    InFlight,
    ProcessInfo,
    ProcessKey,
    RunInfo,
    Snapshot,
    Syscall,
    bucket_floor_ns,
)
from denet_tui.record import execs, times
from denet_tui.record.files import Changes
from denet_tui.record.summary import by_syscall
from denet_tui.record.text import Json, accounts, in_lines, key, notes, plain, quoted, rows, wall_ms
from denet_tui.visible import as_json

Category = Callable[[Syscall], str]
"""The class of a syscall: file, memory, process, network, time, ipc, signal, ..., other."""

FORMAT = 2
"""Of the `denet_tui` objects; raised when a reader of the old one could misread the new one."""

_DENET_CLASSES = {"file": "file_io"}
"""Classes that denet calls by another word; its recordings and ours can then be compared."""

_NO_ERRNOS: Mapping[Syscall, Mapping[str, int]] = {}
_TOP = 10
_MANY = 1000
"""Files and failing paths in a line, and processes in a piece of one."""
_INTENSITIES = {
    "io_intensity": ("file_io",),
    "memory_intensity": ("memory",),
    "cpu_intensity": ("process", "time"),
    "network_intensity": ("network",),
}


def metadata(info: RunInfo, *, host_name: bool) -> Json:
    """What the first line says: what was run, by whom, where, and how it is watched."""
    return {
        "kind": "metadata",
        "pid": info.pid,
        "cmd": [plain(argument) for argument in info.argv],
        "executable": plain(info.executable),
        "t0_ms": info.start_wall_ms,
        "denet_tui": {
            "version": __version__,
            "format": FORMAT,
            "way": info.method,
            "interval_ms": round(info.interval_s * 1000),
            "user": plain(info.user),
            "host": os.uname().nodename if host_name else None,
            "kernel": uname.release(),
            "cpus": info.cpus,
            "cwd": info.cwd and plain(info.cwd),
            "start_ns": info.start_ns,
            "bucket_floors_ns": [bucket_floor_ns(index) for index in range(BUCKETS)],
            "notes": [plain(note) for note in info.notes],
        },
    }


class Ticks:
    """Makes `tree` lines; remembers the errnos of the last snapshot, to write only what is new."""

    def __init__(self, info: RunInfo, category: Category) -> None:
        self._info = info
        self._category = category
        self._errnos: dict[ProcessKey, Errnos] = {}
        self._all_errnos: Errnos = {}
        self._changes = Changes()

    def pieces(self, snapshot: Snapshot) -> Iterator[str]:
        """One `tree` line, piece by piece, after lines of what makes it long."""
        touched, begin = self._changes.item(snapshot) or {}, '{"kind":"more","of":"tree","denet_tui":{'
        yield from (f'{begin}"touched":{as_json(some)}}}}}\n' for some in _too_many(touched))
        rest = yield from in_lines(self._processes(snapshot), f'{begin}"processes":{{', "}}}")
        info, ts_ms = self._info, int(wall_ms(self._info, snapshot.time_ns))
        living = [process for process in snapshot.processes if process.alive]
        parent = next((process for process in living if process.pid == info.pid), None)
        metrics = "null" if parent is None else _metrics(parent, snapshot.time_ns, ts_ms)
        yield f'{{"kind":"tree","ts_ms":{ts_ms},"parent":{metrics},"children":['
        children = [process for process in living if process is not parent]
        for at in range(0, len(children), _MANY):
            texts = [
                f'{{"pid":{process.pid},"command":{quoted(process.comm)},'
                f'"metrics":{_metrics(process, snapshot.time_ns, ts_ms)}}}'
                for process in children[at : at + _MANY]
            ]
            yield f"{',' if at else ''}{','.join(texts)}"
        aggregated = self._aggregated(snapshot, living, ts_ms)
        yield f'],"aggregated":{as_json(aggregated)},"denet_tui":{self._interval(snapshot, touched)},"processes":{{'
        yield f"{rest}}}}}}}\n"

    def _aggregated(self, snapshot: Snapshot, living: list[ProcessInfo], ts_ms: int) -> Json:
        used = [process.usage for process in living]
        summed = Usage(
            snapshot.cpu_percent,
            sum(usage.rss_bytes for usage in used),
            sum(usage.vms_bytes for usage in used),
            sum(usage.threads for usage in used),
            snapshot.accounts,
        )
        oldest_ns = min((process.start_ns for process in living), default=snapshot.time_ns)
        return {
            **_usage(summed, ts_ms, snapshot.time_ns - oldest_ns),
            "process_count": len(living),
            "ebpf": {"syscalls": self._ebpf(snapshot)},
        }

    def _ebpf(self, snapshot: Snapshot) -> Json:
        """What denet calls syscalls: cumulative counts, and `analysis`, which is that of the interval."""
        classes = self._classes(snapshot.syscalls)
        recent = self._classes(snapshot.recent)
        calls = recent.total()
        top = sorted(snapshot.syscalls.items(), key=lambda item: (-item[1].calls, item[0]))[:_TOP]
        analysis = {
            word: sum(recent[name] for name in names) / calls if calls else 0.0 for word, names in _INTENSITIES.items()
        }
        seconds = snapshot.interval_ns / 1e9
        analysis["syscall_rate_per_sec"] = calls / seconds if seconds > 0 else 0.0
        return {
            "total": classes.total(),
            "by_category": dict(classes),
            "top_syscalls": [{"name": plain(syscall.name), "count": counted.calls} for syscall, counted in top],
            "analysis": analysis,
        }

    def _classes(self, rows: Mapping[Syscall, Counters]) -> Counter[str]:
        classes: Counter[str] = Counter()
        for syscall, counted in rows.items():
            name = self._category(syscall)
            classes[_DENET_CLASSES.get(name, name)] += counted.calls
        return classes

    def _interval(self, snapshot: Snapshot, touched: object) -> str:
        """Our object, open for its last field, the processes: together all that a Snapshot is made from."""
        new = new_errnos(snapshot.errnos, self._all_errnos)
        self._all_errnos = snapshot.errnos
        ours: Json = {
            "time_ns": snapshot.time_ns,
            "wall_ms": snapshot.wall_ms,
            "elapsed_ns": snapshot.elapsed_ns,
            "interval_ns": snapshot.interval_ns,
            "running": snapshot.running,
            "status": snapshot.status,
            "forgotten": snapshot.forgotten,
            "asleep_ns": snapshot.asleep_ns,
            "wall_clock_set_ns": snapshot.set_ns,
            "loss": snapshot.loss._asdict(),
            "accounts": accounts(snapshot.accounts),
            "turned_away": dict(snapshot.detail.turned_away),
            "execs": execs.items(snapshot),
            "touched": touched or None,
            **notes(snapshot),
            **times.of_tick(snapshot),
        }
        calls = ",".join(map(_in_flight, snapshot.in_flight))
        return f'{as_json(ours)[:-1]},"in_flight":[{calls}],"syscalls":{rows(snapshot.recent.items(), by_syscall(new))}'

    def _processes(self, snapshot: Snapshot) -> Iterator[str]:
        """`"pid":{syscall: row}` of every process that called something in the interval."""
        called = {process.key: process for process in chain(snapshot.processes, snapshot.ended) if process.recent}
        written: set[int] = set()
        for identity, process in called.items():
            new = new_errnos(process.errnos, self._errnos.get(identity, {})) if process.delta.errors else {}
            # Two owners of one pid in one interval: a JSON object cannot hold the same key twice.
            name = f"{process.pid}@{process.start_ns}" if process.pid in written else f"{process.pid}"
            yield f'"{name}":{rows(process.recent.items(), by_syscall(new) if new else _NO_ERRNOS)}'
            written.add(process.pid)
        self._errnos = {process.key: process.errnos for process in snapshot.processes if process.errnos}


def _too_many(touched: dict[str, Any]) -> Iterator[Json]:
    """Takes out of its lists what has no room in one line."""
    for name in [name for name, items in touched.items() if isinstance(items, list)]:
        while len(touched[name]) > _MANY:
            some, touched[name] = touched[name][:_MANY], touched[name][_MANY:]
            yield {name: some}


def _in_flight(call: InFlight) -> str:
    about = f',"about":{as_json(plain(call.about))}' if call.about is not None else ""
    earlier = ',"earlier":true' if call.earlier else ""
    begins = f'{{"tid":{call.tid},"tgid":{call.tgid},"syscall":{key(call.syscall.name)}'
    return f'{begins},"since_ns":{call.since_ns}{about}{earlier}}}'


def _metrics(process: ProcessInfo, now_ns: int, ts_ms: int) -> str:
    uptime_s = max(now_ns - process.start_ns, 0) // 1_000_000_000
    return f'{{"ts_ms":{ts_ms},{_used(process.usage)},"uptime_secs":{uptime_s},"cpu_core":null}}'


@lru_cache(4096)
def _used(usage: Usage) -> str:
    """What does not change while a process rests: most do, and there are hundreds a tick."""
    fields: Json = {**_usage(usage, 0, 0)}
    del fields["ts_ms"], fields["uptime_secs"]
    return as_json(fields)[1:-1]


def _usage(usage: Usage, ts_ms: int, uptime_ns: int) -> dict[str, float]:
    """The fields of denet's Metrics; its readers insist on a number in each: what is not known stands in `accounts`."""
    return {
        "ts_ms": ts_ms,
        "cpu_usage": round(usage.cpu_percent, 2),
        "mem_rss_kb": usage.rss_bytes // 1024,
        "mem_vms_kb": usage.vms_bytes // 1024,
        "disk_read_bytes": usage.accounts.read_bytes or 0,
        "disk_write_bytes": usage.accounts.write_bytes or 0,
        "sys_net_rx_bytes": 0,
        "sys_net_tx_bytes": 0,
        "thread_count": usage.threads,
        "uptime_secs": max(uptime_ns, 0) // 1_000_000_000,
    }
