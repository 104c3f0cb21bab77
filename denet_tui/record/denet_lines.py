"""Lines that denet wrote: which processes lived and what they used, and, where its eBPF ran, how often the ten most
frequent system calls were made. Which process made them, how they ended and how long they took is not in them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from denet_tui.counts import added
from denet_tui.detail import NO_USAGE, Accounts, Usage
from denet_tui.model import ABI_NATIVE, NO_LOSS, NOTHING, Counters, ProcessInfo, RunInfo, Snapshot, Syscall, added_up
from denet_tui.syscalls import named

MOST = 1 << 63
OTHERS = Syscall(ABI_NATIVE, -1, "other")
"""All calls that are not of the most frequent."""
_KINDS = {"metadata", "tree", "sample", "child", "exit", "process", "more", "index", "keyframe", "summary"}
_ROOT = 1
"""Stands for the id of the first process where no line has it."""


def kind(line: dict[str, Any]) -> str | None:
    """What a line is: `metadata`, `tree`, `sample`, `child`, `process`, `index`, …; None: not of a recording.

    Older files of denet have no `kind`.
    """
    known = line.get("kind")
    if isinstance(known, str):
        return known if known in _KINDS else None
    shapes = {"metadata": {"cmd", "pid"}, "tree": {"parent", "children"}, "sample": {"ts_ms", "cpu_usage"}}
    return next((each for each, fields in shapes.items() if fields <= line.keys()), None)


def whole(value: object, least: int = 0) -> int:
    """A whole number of at most 63 bits; raises ValueError for what is none."""
    if type(value) is not int or not least <= value < MOST:
        raise ValueError("a number that there cannot be")
    return value


def unix_ms(value: object) -> int:
    """A Unix time in ms whose ns have room in 63 bits; raises ValueError for what is none."""
    return whole(whole(value) * 1_000_000) // 1_000_000


def or_none(value: object) -> int | None:
    """A whole number, or None for what is not known."""
    return None if value is None else whole(value)


def or_text(value: object) -> str | None:
    """A text, or None for what is not known."""
    return None if value is None else str(value)


def amount(value: Any) -> float:
    """A number from 0 on; raises TypeError, ValueError or OverflowError for what is none."""
    found = float(value)
    if not 0 <= found < MOST:  # nor is it nan
        raise ValueError("a number that there cannot be")
    return found


def usage(metrics: dict[str, Any]) -> Usage:
    """What a process uses, from denet's fields; zeros may stand there for what is not known."""
    return Usage(
        amount(metrics["cpu_usage"]),
        whole(metrics["mem_rss_kb"]) * 1024,
        whole(metrics["mem_vms_kb"]) * 1024,
        whole(metrics["thread_count"]),
    )


def ended_usage(line: dict[str, Any]) -> Usage:
    """What a process had used when it ended; older recordings have it in their summary alone."""
    return Usage(accounts=accounts(line["accounts"])) if "accounts" in line else NO_USAGE


def accounts(line: dict[str, Any]) -> Accounts:
    """What was used, None for what is not known."""
    return Accounts(*(or_none(line[name]) for name in Accounts._fields))


def run_info(first: dict[str, Any]) -> RunInfo:
    """What the first line says about the run, be it metadata or not."""
    known = kind(first) == "metadata"
    start_ms = unix_ms(first["t0_ms"] if known else first["ts_ms"])
    return RunInfo(
        argv=tuple(map(str, first["cmd"])) if known else ("a command that the recording does not name",),
        executable=str(first["executable"]) if known else "",
        pid=whole(first["pid"] if known else first.get("ppid", _ROOT)),
        method="denet",
        user="",
        interval_s=1.0,
        start_wall_ms=start_ms,
        start_ns=start_ms * 1_000_000,
        notes=("recorded by denet: calls by the most frequent names, if at all; no times, no errors",),
    )


def advance(info: RunInfo, before: Snapshot, events: Iterable[dict[str, Any]], line: dict[str, Any]) -> Snapshot:
    """The snapshot of a `tree` or `sample` line; `events` are the `child` lines before it."""
    metrics = {info.pid: line.get("parent", line)} if line.get("parent", line) else {}
    commands = {info.pid: info.argv[0] if info.argv else ""}
    for child in line.get("children", ()):
        metrics[whole(child["pid"])], commands[whole(child["pid"])] = child["metrics"], str(child["command"])
    summed = line.get("aggregated", line)
    time_ns = max(unix_ms(summed["ts_ms"]) * 1_000_000, before.time_ns)
    born = {whole(event["pid"]): event for event in events if kind(event) == "child"}
    processes = []
    for process in before.processes:
        now = metrics.pop(process.pid, None) if process.alive else None
        if now:
            processes.append(process._replace(usage=usage(now)))
        else:
            processes.append(process._replace(usage=NO_USAGE, end_ns=time_ns) if process.alive else process)
    for pid, now in metrics.items():
        event = born.get(pid, {"ppid": info.pid, "cmd": info.argv if pid == info.pid else ()})
        start_ns = max(time_ns - whole(now["uptime_secs"]) * 10**9, info.start_ns)
        parent = 0 if pid == info.pid else whole(event["ppid"])
        cmdline = tuple(map(str, event["cmd"]))
        processes.append(ProcessInfo(pid, pid, parent, commands[pid], cmdline, start_ns, usage=usage(now)))
    return _with_calls(before, summed, before._replace(
        time_ns=time_ns,
        wall_ms=time_ns // 1_000_000,
        elapsed_ns=time_ns - info.start_ns,
        interval_ns=time_ns - before.time_ns,
        processes=tuple(sorted(processes, key=lambda each: each.start_ns)),
        loss=NO_LOSS._replace(missed=None),
        cpu_percent=usage(summed).cpu_percent,
    ))  # fmt: skip


def _with_calls(before: Snapshot, summed: dict[str, Any], snapshot: Snapshot) -> Snapshot:
    found = summed.get("ebpf", {}).get("syscalls") or {}
    counts = {named(str(each["name"])): whole(each["count"]) for each in found.get("top_syscalls", ())}
    known = {**{call: counters.calls for call, counters in before.syscalls.items()}, **counts}
    known[OTHERS] = max(whole(found.get("total", 0)) - sum(known.values()) + known.get(OTHERS, 0), known.get(OTHERS, 0))
    recent = {
        call: Counters.without_row(count - before.syscalls.get(call, NOTHING).calls)
        for call, count in known.items()
        if count > before.syscalls.get(call, NOTHING).calls
    }
    syscalls = added((before.syscalls, recent))
    return snapshot._replace(
        syscalls=syscalls,
        recent=recent,
        total=added_up(syscalls.values()),
        delta=added_up(recent.values()),
    )
