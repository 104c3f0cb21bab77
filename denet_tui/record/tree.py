"""The line of a tick: denet's field names for what each process used, ours beside them for the interval's calls."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from heapq import nsmallest
from itertools import chain, compress, count
from operator import attrgetter, is_not, itemgetter
from typing import Any

from denet_tui import __version__
from denet_tui.counts import EMPTY, new_errnos
from denet_tui.detail import Usage
from denet_tui.model import (
    BUCKETS,
    LANE,
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
from denet_tui.record.text import Json, accounts, in_lines, key, notes, plain, quoted, rows, wall_ms
from denet_tui.system import uname
from denet_tui.system.visible import as_json

Category = Callable[[Syscall], str]
"""The class of a syscall: file, memory, process, network, time, ipc, signal, ..., other."""

FORMAT = 2
"""Of the `denet_tui` objects; raised when a reader of the old one could misread the new one."""

_DENET_CLASSES = {"file": "file_io"}
"""Classes that denet calls by another word; its recordings and ours can then be compared."""

_USAGE, _START, _KEY = attrgetter("usage"), attrgetter("start_ns"), attrgetter("tgid", "start_ns", "comm")
_NO_ERRNOS: Errnos = {}
_SUMMED = itemgetter(1), itemgetter(2), itemgetter(3)
"""Resident memory, address space and threads of a Usage."""
_TOP = 10
_MANY = 1000
"""Files and failing paths in a line, and processes in a piece of one."""
_UNKNOWN: tuple[Usage | None, tuple[str, str], str] = None, ("", ""), ""
_NO_CALL = None, ""
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

    def pieces(self, snapshot: Snapshot) -> Iterator[str]:
        """One `tree` line, piece by piece, after lines of what makes it long."""
        touched, begin = self._changes.item(snapshot) or {}, '{"kind":"more","of":"tree","denet_tui":{'
        yield from (f'{begin}"touched":{as_json(some)}}}}}\n' for some in _too_many(touched))
        rest = yield from in_lines(self._processes(snapshot), f'{begin}"processes":{{', "}}}")
        info, ts_ms = self._info, int(wall_ms(self._info, snapshot.time_ns))
        living = [each for each in snapshot.processes if each.alive]
        parent = next((process for process in living if process.pid == info.pid), None)
        metrics = "null"
        if parent is not None:
            metrics = f"{_metrics(parent.usage, ts_ms, _seconds(parent.start_ns, snapshot.time_ns))},{_NO_CORE}"
        yield f'{{"kind":"tree","ts_ms":{ts_ms},"parent":{metrics},"children":['
        children = [each for each in living if each is not parent]
        texts = self._children.texts(children, snapshot.time_ns, ts_ms)
        for at in range(0, len(texts), _MANY):
            yield f"{',' if at else ''}{','.join(texts[at : at + _MANY])}"
        aggregated = self._aggregated(snapshot, living, ts_ms)
        yield f'],"aggregated":{aggregated},"denet_tui":{self._interval(snapshot, living, touched)},"processes":{{'
        yield f"{rest}}}}}}}\n"

    def _aggregated(self, snapshot: Snapshot, living: list[ProcessInfo], ts_ms: int) -> str:
        usages = list(map(_USAGE, living))
        rss, vms, threads = (sum(map(part, usages)) for part in _SUMMED)
        summed = Usage(snapshot.cpu_percent, rss, vms, threads, snapshot.accounts)
        oldest_ns = min(map(_START, living), default=snapshot.time_ns)
        metrics = _metrics(summed, ts_ms, _seconds(oldest_ns, snapshot.time_ns))
        calls = as_json(self._ebpf(snapshot))
        return f'{metrics},"process_count":{len(living)},"ebpf":{{"syscalls":{calls}}}}}'

    def _ebpf(self, snapshot: Snapshot) -> Json:
        """What denet calls syscalls: cumulative counts, and `analysis`, which is that of the interval."""
        all_calls = [(packed & LANE, call) for call, (packed, _) in snapshot.syscalls.items()]
        classes = self._classes(all_calls)
        recent = self._classes([(packed & LANE, call) for call, (packed, _) in snapshot.recent.items()])
        calls = recent.total()
        top = nsmallest(_TOP, [(-count, call) for count, call in all_calls])
        analysis = {
            word: sum(recent[name] for name in names) / calls if calls else 0.0 for word, names in _INTENSITIES.items()
        }
        seconds = snapshot.interval_ns / 1e9
        analysis["syscall_rate_per_sec"] = calls / seconds if seconds > 0 else 0.0
        return {
            "total": classes.total(),
            "by_category": dict(classes),
            "top_syscalls": [{"name": plain(call.name), "count": -less} for less, call in top],
            "analysis": analysis,
        }

    def _classes(self, counted: Iterable[tuple[int, Syscall]]) -> Counter[str]:
        classes: Counter[str] = Counter()
        for calls, call in counted:
            name = self._category(call)
            classes[_DENET_CLASSES.get(name, name)] += calls
        return classes

    def _interval(self, snapshot: Snapshot, living: list[ProcessInfo], touched: object) -> str:
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
        both = chain(snapshot.processes, snapshot.ended)
        called = {each.key: each for each in both if each.recent is not EMPTY and each.recent}
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

    def texts(self, living: list[ProcessInfo], now_ns: int, ts_ms: int) -> list[str]:
        """Of each what it uses; of one that rests as of a moment that is _TURNS ticks ago at most."""
        keys, usages = list(map(_KEY, living)), list(map(_USAGE, living))
        if keys != self._keys:
            known = dict(zip(self._keys, zip(self._usages, self._parts, self._texts, strict=True), strict=True))
            before = [known.get(each, _UNKNOWN) for each in keys]
            self._usages = [usage for usage, _, _ in before]
            self._parts = [parts for _, parts, _ in before]
            self._keys, self._texts = keys, [text for _, _, text in before]
        self._turn = (self._turn + 1) % _TURNS
        changed = list(compress(count(), map(is_not, usages, self._usages)))
        for at in changed:
            each = living[at]
            begin = f'{{"pid":{each.pid},"command":{quoted(each.comm)},"metrics":{{"ts_ms":'
            self._parts[at] = begin, _used(each.usage)
        for at in {*changed, *range(self._turn, len(living), _TURNS)}:
            begin, used = self._parts[at]
            self._texts[at] = f"{begin}{ts_ms}{used}{_seconds(keys[at][1], now_ns)},{_NO_CORE}}}"
        self._usages = list[Usage | None](usages)
        return self._texts


class _InFlight:
    """Remembers how the calls in flight were written, by thread: most threads are in the same call as a tick ago."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[InFlight | None, str]] = {}

    def texts(self, calls: tuple[InFlight, ...]) -> list[str]:
        """Of each."""
        known = self._known
        found = [
            before if (before := known.get(call[0], _NO_CALL))[0] == call else (call, _call_text(call))
            for call in calls
        ]
        self._known = {call[0]: each for call, each in zip(calls, found, strict=True)}
        return [text for _, text in found]


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
    used = usage.accounts
    return (
        f',"cpu_usage":{round(usage.cpu_percent, 2)},"mem_rss_kb":{usage.rss_bytes // 1024},'
        f'"mem_vms_kb":{usage.vms_bytes // 1024},"disk_read_bytes":{used.read_bytes or 0},'
        f'"disk_write_bytes":{used.write_bytes or 0},"sys_net_rx_bytes":0,"sys_net_tx_bytes":0,'
        f'"thread_count":{usage.threads},"uptime_secs":'
    )
