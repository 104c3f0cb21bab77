"""The summary: complete and cumulative, the numbers that exactness is checked on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from denet_tui.counts import Between, percentile
from denet_tui.findings.rules import findings
from denet_tui.model import Counters, Errnos, ProcessInfo, RunInfo, Snapshot, Syscall
from denet_tui.record import about, execs, times
from denet_tui.record.spool import Spool
from denet_tui.record.text import Json, accounts, command_line, ending, notes, plain, wall_ms
from denet_tui.syscalls import errno_name
from denet_tui.visible import as_json


def by_syscall(errnos: Errnos) -> dict[Syscall, dict[str, int]]:
    """Errno counts, {syscall: {"ENOENT": 3}}, the most frequent errno first."""
    grouped: dict[Syscall, dict[str, int]] = {}
    for (syscall, number), count in sorted(errnos.items(), key=lambda item: -item[1]):
        if count:
            grouped.setdefault(syscall, {})[errno_name(number)] = count
    return grouped


def summary_pieces(info: RunInfo, snapshot: Snapshot, processes: Spool) -> Iterator[str]:
    """The summary object as one line, piece by piece; raises OSError where the spool cannot be read."""
    head: Json = {
        "kind": "summary",
        "exact": snapshot.exact,
        "lost": snapshot.loss._asdict(),
        "elapsed_s": snapshot.elapsed_ns / 1e9,
        "asleep_s": snapshot.asleep_ns / 1e9,
        "wall_clock_set_s": snapshot.set_ns / 1e9,
        **ending(snapshot.status),
        **accounts(snapshot.accounts),
        "findings": finding_items(snapshot),
        "time": times.item(snapshot.detail.time),
        "turned_away": dict(snapshot.detail.turned_away),
        **({"processes_left_out": processes.left_out} if processes.left_out else {}),
        **notes(snapshot),
        "syscalls": syscall_items(snapshot),
    }
    yield as_json(head)[:-1]
    yield from about.summary_fields(info, snapshot)
    yield ',"processes":['
    yield from processes.blocks()
    yield "]}\n"


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
        "time": times.item(process.time),
        **execs.of_process(info, process),
        "syscalls": {
            plain(syscall.name): {"calls": counted.calls, "errors": counted.errors, "time_ns": counted.time_ns}
            for syscall, counted in _busiest_first(process.syscalls)
        },
    }
    return as_json(item)


def finding_items(snapshot: Snapshot) -> list[Json]:
    """What stands out, the weightiest first."""
    return [{"rule": each.rule, "text": each.text, "figures": dict(each.figures)} for each in findings(snapshot)]


def syscall_items(snapshot: Snapshot) -> Json:
    """All that the summary says of each syscall."""
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
