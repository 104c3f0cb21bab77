"""The summary: complete and cumulative, the numbers that exactness is checked on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import partial

from denet_tui.counts import Between, percentile
from denet_tui.findings.rules import findings
from denet_tui.model import Counters, Errnos, ProcessInfo, RunInfo, Snapshot, Syscall
from denet_tui.record import about, execs, times
from denet_tui.record.spool import Spool
from denet_tui.record.text import Json, accounts, command_line, ending, in_lines, notes, plain, wall_ms
from denet_tui.syscalls import errno_name
from denet_tui.system.visible import as_json


def by_syscall(errnos: Errnos) -> dict[Syscall, dict[str, int]]:
    """Errno counts, {syscall: {"ENOENT": 3}}, the most frequent errno first."""
    grouped: dict[Syscall, dict[str, int]] = {}
    for (syscall, number), count in sorted(errnos.items(), key=lambda item: -item[1]):
        if count:
            grouped.setdefault(syscall, {})[errno_name(number)] = count
    return grouped


def summary_pieces(
    info: RunInfo, snapshot: Snapshot, processes: Spool, bounds: about.Bounds = about.ALL, *, in_one: bool
) -> Iterator[str]:
    """The summary object, piece by piece; raises OSError where the spool cannot be read.

    In one line, or after lines of what makes it long.
    """
    left_out = Counter[str]()
    lists: dict[str, Iterable[str]] = {
        name: bounds.within(items, partial(left_out.update, (name,)))
        for name, items in about.tables(info, snapshot, bounds.pids)
    }
    rests: dict[str, Iterable[str]] = {}
    for name, items in (*lists.items(), ("processes", processes.items())):
        begin = f'{{"kind":"more","of":"summary","{name}":['
        rests[name] = _with_commas(items) if in_one else [(yield from in_lines(items, begin, "]}"))]
    yield as_json({"kind": "summary", **head(snapshot, processes.left_out)})[:-1]
    for name, rest in rests.items():
        yield f',"{name}":['
        yield from rest
        yield f'],"{name}_left_out":{left_out[name]}' if left_out[name] else "]"
    yield "}\n"


def _with_commas(items: Iterable[str]) -> Iterator[str]:
    for number, item in enumerate(items):
        yield f",{item}" if number else item


def head(snapshot: Snapshot, left_out: int) -> Json:
    """All but the long lists; `left_out` processes are not in these."""
    return {
        "exact": snapshot.exact,
        "lost": snapshot.loss._asdict(),
        "elapsed_s": snapshot.elapsed_ns / 1e9,
        "asleep_s": snapshot.asleep_ns / 1e9,
        "wall_clock_set_s": snapshot.set_ns / 1e9,
        **ending(snapshot.status),
        **accounts(snapshot.accounts),
        "findings": [
            {"rule": each.rule, "text": each.text, "figures": dict(each.figures)} for each in findings(snapshot)
        ],
        "time": times.item(snapshot.detail.time, snapshot.syscalls),
        "turned_away": dict(snapshot.detail.turned_away),
        **({"processes_left_out": left_out} if left_out else {}),
        **notes(snapshot),
        "syscalls": _syscalls(snapshot),
    }


def process_item(info: RunInfo, process: ProcessInfo) -> str:
    """One process of the summary, as JSON; times are Unix ms to the microsecond."""
    item: Json = {
        "pid": process.pid,
        "ppid": process.ppid,
        "comm": plain(process.comm),
        **command_line(process),
        "start_ms": wall_ms(info, process.start_ns),
        "end_ms": None if process.end_ns is None else wall_ms(info, process.end_ns),
        **ending(process.status),
        **accounts(process.usage.accounts),
        **({"lost": True} if process.lost else {}),
        "cgroup": process.cgroup and plain(process.cgroup),
        "time": times.item(process.time, process.syscalls),
        **execs.of_process(info, process),
        "syscalls": {
            plain(syscall.name): {"calls": counted.calls, "errors": counted.errors, "time_ns": counted.time_ns}
            for syscall, counted in _busiest_first(process.syscalls)
        },
    }
    return as_json(item)


def _syscalls(snapshot: Snapshot) -> Json:
    errnos = by_syscall(snapshot.errnos)
    return {
        plain(syscall.name): {
            "calls": counted.calls,
            "returns": counted.returns,
            "errors": counted.errors,
            "unreturned": counted.unreturned,
            "time_ns": counted.time_ns,
            "max_ns": counted.max_ns,
            **_percentile("p50", percentile(counted, 0.50)),
            **_percentile("p99", percentile(counted, 0.99)),
            "errnos": errnos.get(syscall, {}),
        }
        for syscall, counted in _busiest_first(snapshot.syscalls)
    }


def _percentile(name: str, known: Between) -> Json:
    return {f"{name}_at_least_ns": known.least_ns, f"{name}_at_most_ns": known.most_ns}


def _busiest_first(rows: Mapping[Syscall, Counters]) -> list[tuple[Syscall, Counters]]:
    return sorted(rows.items(), key=lambda item: (-item[1].calls, item[0]))
