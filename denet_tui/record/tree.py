"""The line of a tick: denet's field names for what each process used, ours beside them for the interval's calls."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from itertools import compress, count, repeat
from operator import attrgetter, is_not, itemgetter, ne
from typing import Any

from denet_tui import __version__
from denet_tui.counts import EMPTY, new_errnos
from denet_tui.detail import Usage
from denet_tui.model import (
    BUCKETS,
    LANE,
    Counters,
    Errnos,
    InFlight,
    ProcessKey,
    RunInfo,
    Snapshot,
    Syscall,
    bucket_floor_ns,
)
from denet_tui.record import execs, times
from denet_tui.record.files import Changes
from denet_tui.record.places import Living, placed
from denet_tui.record.text import Json, accounts, in_lines, key, notes, plain, quoted, rows, wall_ms
from denet_tui.system import uname
from denet_tui.system.visible import as_json

Category = Callable[[Syscall], str]
"""The class of a syscall: file, memory, process, network, time, ipc, signal, ..., other."""

FORMAT = 2
"""Of the `denet_tui` objects; raised when a reader of the old one could misread the new one."""

_DENET_CLASSES = {"file": "file_io"}
"""Classes that denet calls by another word; its recordings and ours can then be compared."""

_RECENT, _TID = attrgetter("recent"), attrgetter("tid")
_NO_ERRNOS: Errnos = {}
_SUMMED = itemgetter(1), itemgetter(2), itemgetter(3)
"""Resident memory, address space and threads of a Usage."""
_TOP = 10
_MANY = 1000
"""Files and failing paths in a line, and processes in a piece of one."""
_NO_PARTS = "", ""
_TURNS = 8
"""Of so many of the living that rest the text of one is renewed in a tick."""
_NO_CORE = '"cpu_core":null}'
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
        self._changes, self._times = Changes(), times.Times()
        self._children, self._in_flight = _Children(), _InFlight()
        self._living: Living | None = None

    def pieces(self, snapshot: Snapshot) -> Iterator[str]:
        """One `tree` line, piece by piece, after lines of what makes it long."""
        touched, begin = self._changes.item(snapshot) or {}, '{"kind":"more","of":"tree","denet_tui":{'
        yield from (f'{begin}"touched":{as_json(some)}}}}}\n' for some in _too_many(touched))
        rest = yield from in_lines(self._processes(snapshot), f'{begin}"processes":{{', "}}}")
        info, ts_ms = self._info, int(wall_ms(self._info, snapshot.time_ns))
        living = self._living = Living.of(snapshot.processes, self._living)
        first = next((at for at, each in enumerate(living.processes) if each.pid == info.pid), len(living.keys))
        texts, metrics = self._children.texts(living, snapshot.time_ns, ts_ms), "null"
        for parent in living.processes[first : first + 1]:
            metrics = f"{_metrics(parent.usage, ts_ms, _seconds(parent.start_ns, snapshot.time_ns))},{_NO_CORE}"
        yield f'{{"kind":"tree","ts_ms":{ts_ms},"parent":{metrics},"children":['
        texts = texts[:first] + texts[first + 1 :]
        for at in range(0, len(texts), _MANY):
            yield f"{',' if at else ''}{','.join(texts[at : at + _MANY])}"
        aggregated = self._aggregated(snapshot, living, ts_ms)
        yield f'],"aggregated":{aggregated},"denet_tui":{self._interval(snapshot, living, touched)},"processes":{{'
        yield f"{rest}}}}}}}\n"

    def _aggregated(self, snapshot: Snapshot, living: Living, ts_ms: int) -> str:
        rss, vms, threads = (sum(map(part, living.usages)) for part in _SUMMED)
        summed = Usage(snapshot.cpu_percent, rss, vms, threads, snapshot.accounts)
        oldest_ns = living.processes[0].start_ns if living.processes else snapshot.time_ns
        metrics = _metrics(summed, ts_ms, _seconds(oldest_ns, snapshot.time_ns))
        calls = as_json(self._ebpf(snapshot))
        return f'{metrics},"process_count":{len(living.keys)},"ebpf":{{"syscalls":{calls}}}}}'

    def _ebpf(self, snapshot: Snapshot) -> Json:
        """What denet calls syscalls: cumulative counts, and `analysis`, which is that of the interval."""
        classes, recent = self._classes(snapshot.syscalls), self._classes(snapshot.recent)
        calls = sum(recent.values())
        top = sorted([(-(each[0] & LANE), call) for call, each in snapshot.syscalls.items()])[:_TOP]
        analysis = {
            word: sum(recent.get(name, 0) for name in names) / calls if calls else 0.0
            for word, names in _INTENSITIES.items()
        }
        seconds = snapshot.interval_ns / 1e9
        analysis["syscall_rate_per_sec"] = calls / seconds if seconds > 0 else 0.0
        return {
            "total": sum(classes.values()),
            "by_category": classes,
            "top_syscalls": [{"name": plain(call.name), "count": -less} for less, call in top],
            "analysis": analysis,
        }

    def _classes(self, counted: Mapping[Syscall, Counters]) -> dict[str, int]:
        classes = dict[str, int]()
        for call, counters in counted.items():
            name = self._category(call)
            name = _DENET_CLASSES.get(name, name)
            classes[name] = classes.get(name, 0) + (counters[0] & LANE)
        return classes

    def _interval(self, snapshot: Snapshot, living: Living, touched: object) -> str:
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
            **self._times.of_tick(snapshot, living),
        }
        calls = ",".join(self._in_flight.texts(snapshot.in_flight))
        return f'{as_json(ours)[:-1]},"in_flight":[{calls}],"syscalls":{rows(snapshot.recent, new)}'

    def _processes(self, snapshot: Snapshot) -> Iterator[str]:
        """`"pid":{syscall: row}` of every process that called something in the interval."""
        both = *snapshot.processes, *snapshot.ended
        some = compress(both, map(is_not, map(_RECENT, both), repeat(EMPTY)))
        called = {each.key: each for each in some if each.recent}
        written: set[int] = set()
        for identity, process in called.items():
            new = _NO_ERRNOS
            if process.delta.errors:
                new = new_errnos(process.errnos, self._errnos.get(identity, _NO_ERRNOS))
                self._errnos[identity] = process.errnos
            # Two owners of one pid in one interval: a JSON object cannot hold the same key twice.
            name = f"{process.pid}@{process.start_ns}" if process.pid in written else f"{process.pid}"
            yield f'"{name}":{rows(process.recent, new)}'
            written.add(process.pid)
        if len(self._errnos) > 2 * len(snapshot.processes):  # what is no longer there fails no more
            shown = {each.key for each in snapshot.processes}
            self._errnos = {identity: errnos for identity, errnos in self._errnos.items() if identity in shown}


def _too_many(touched: dict[str, Any]) -> Iterator[Json]:
    """Takes out of its lists what has no room in one line."""
    for name in [name for name, items in touched.items() if isinstance(items, list)]:
        while len(touched[name]) > _MANY:
            some, touched[name] = touched[name][:_MANY], touched[name][_MANY:]
            yield {name: some}


class _Children:
    """Remembers how the living were written: most rest, and there are hundreds a tick."""

    def __init__(self) -> None:
        self._keys: list[tuple[int, int, str]] = []
        self._usages: list[Usage | None] = []
        self._parts: list[tuple[str, str]] = []
        """Of each text what comes before the moment, and what between that and the age."""
        self._texts: list[str] = []
        self._turn = 0

    def texts(self, living: Living, now_ns: int, ts_ms: int) -> list[str]:
        """Of each what it uses; of one that rests as of a moment that is _TURNS ticks ago at most."""
        processes, keys, usages = living
        before = placed(keys, self._keys, self._usages, None)
        parts, texts = placed(keys, self._keys, self._parts, _NO_PARTS), placed(keys, self._keys, self._texts, "")
        self._keys, self._usages, self._parts, self._texts = keys, [*usages], parts, texts
        self._turn = (self._turn + 1) % _TURNS
        changed = list(compress(count(), map(is_not, usages, before)))
        for at in changed:
            begin, _ = parts[at]
            begin = begin or f'{{"pid":{processes[at].pid},"command":{quoted(keys[at][2])},"metrics":{{"ts_ms":'
            parts[at] = begin, _used(usages[at])
        for at in {*changed, *range(self._turn, len(keys), _TURNS)}:
            begin, used = parts[at]
            texts[at] = f"{begin}{ts_ms}{used}{_seconds(keys[at][1], now_ns)},{_NO_CORE}}}"
        return texts


class _InFlight:
    """Remembers how the calls in flight were written, by thread: most threads are in the same call as a tick ago."""

    def __init__(self) -> None:
        self._tids: list[int] = []
        self._calls: list[InFlight | None] = []
        self._texts: list[str] = []

    def texts(self, calls: tuple[InFlight, ...]) -> list[str]:
        """Of each."""
        tids = list(map(_TID, calls))
        before = placed(tids, self._tids, self._calls, None)
        texts = placed(tids, self._tids, self._texts, "")
        for at in compress(count(), map(ne, calls, before)):
            texts[at] = _call_text(calls[at])
        self._tids, self._calls, self._texts = tids, [*calls], texts
        return texts


def _call_text(call: InFlight) -> str:
    about = f',"about":{as_json(plain(call.about))}' if call.about is not None else ""
    earlier = ',"earlier":true' if call.earlier else ""
    begins = f'{{"tid":{call.tid},"tgid":{call.tgid},"syscall":{key(call.syscall.name)}'
    return f'{begins},"since_ns":{call.since_ns}{about}{earlier}}}'


def _seconds(from_ns: int, until_ns: int) -> int:
    return max(until_ns - from_ns, 0) // 1_000_000_000


def _metrics(usage: Usage, ts_ms: int, uptime_s: int) -> str:
    """Metrics as denet has them, open: it insists on a number in each, and what is not known stands in `accounts`."""
    return f'{{"ts_ms":{ts_ms}{_used(usage)}{uptime_s}'


def _used(usage: Usage) -> str:
    """What is between the moment and the age."""
    cpu_percent, rss, vms, threads, accounts = usage
    return (
        f',"cpu_usage":{round(cpu_percent, 2)},"mem_rss_kb":{rss // 1024},'
        f'"mem_vms_kb":{vms // 1024},"disk_read_bytes":{accounts[3] or 0},'
        f'"disk_write_bytes":{accounts[4] or 0},"sys_net_rx_bytes":0,"sys_net_tx_bytes":0,'
        f'"thread_count":{threads},"uptime_secs":'
    )
