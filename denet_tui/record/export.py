"""A recording as other tools take it: stacks for flame graphs, and OpenMetrics."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from denet_tui.model import BUCKETS, Counters, ProcessInfo, bucket_floor_ns, unpack_buckets
from denet_tui.record.totals import Totals
from denet_tui.system.visible import visible

_MOST_DEEP = 100
"""Frames of processes in a stack."""


class _Node(NamedTuple):
    """A process, as far as a stack has it; `place` tells those of one start apart."""

    start_ns: int
    place: int
    ppid: int
    comm: str
    times: dict[str, int]


class Stacks:
    """Collects processes, and makes of them lines as flamegraph.pl and speedscope read them."""

    def __init__(self) -> None:
        self._by_pid: dict[int, list[_Node]] = defaultdict(list)
        self._count = 0

    def add(self, process: ProcessInfo) -> None:
        """One that has ended, or that lives at the end."""
        times = {call.name: counters.time_ns for call, counters in process.syscalls.items() if counters.time_ns}
        node = _Node(process.start_ns, self._count, process.ppid, visible(process.comm).replace(";", ":"), times)
        self._count += 1
        self._by_pid[process.pid].append(node)

    def lines(self) -> Iterator[str]:
        """`make;sh;cc1;openat 1234`: names from the first process on, the call, and the time in it, in us."""
        for nodes in self._by_pid.values():
            nodes.sort(key=lambda node: node[:2])
        sums = Counter[str]()
        for nodes in self._by_pid.values():
            for node in nodes:
                stack = ";".join(self._ancestors(node))
                for call, time_ns in node.times.items():
                    sums[f"{stack};{visible(call)}"] += time_ns
        yield from (f"{stack} {time_ns // 1000}" for stack, time_ns in sorted(sums.items()) if time_ns >= 1000)

    def _ancestors(self, node: _Node) -> list[str]:
        names = [node.comm]
        while len(names) < _MOST_DEEP:
            older = self._by_pid.get(node.ppid, ())
            at = bisect_left(older, node[:2], key=lambda each: each[:2])  # a later owner of the id is no parent
            if not at:
                break
            node = older[at - 1]
            names.append(node.comm)
        return names[::-1]


def openmetrics(totals: Totals) -> Iterator[str]:
    """Lines as https://openmetrics.io has them: what was called by program and call, latencies, and what was lost."""
    rows = sorted(
        ((name, call, each) for name, program in totals.programs.items() for call, each in program.syscalls.items()),
        key=lambda row: row[:2],
    )
    yield from _counter("denet_calls", "Calls entered.")
    for name, call, each in rows:
        yield f"denet_calls_total{_labels(comm=name, syscall=call.name)} {each.calls}"
    yield from _counter("denet_errors", "Calls that failed.")
    for name, call, each in rows:
        yield f"denet_errors_total{_labels(comm=name, syscall=call.name)} {each.errors}"
    yield "# TYPE denet_call_seconds histogram"
    yield "# UNIT denet_call_seconds seconds"
    yield "# HELP denet_call_seconds Time in calls that returned."
    for call, each in sorted(totals.last.syscalls.items()):
        yield from _histogram(call.name, each)
    yield from _counter("denet_lost", "Events that could not be counted; what cannot be known is left out.")
    for what, count in totals.last.loss._asdict().items():
        if count is not None:
            yield f"denet_lost_total{_labels(what=what)} {count}"
    yield "# TYPE denet_exact gauge"
    yield "# HELP denet_exact 1 where nothing was lost and the recording is whole."
    yield f"denet_exact {int(not totals.doubt)}"
    yield "# EOF"


def _counter(name: str, about: str) -> Iterable[str]:
    return f"# TYPE {name} counter", f"# HELP {name} {about}"


def _histogram(call: str, counted: Counters) -> Iterator[str]:
    """A time is a whole number of ns: what is in a bucket is at most 1 ns below the floor of the next one."""
    so_far = 0
    for index, count in enumerate(unpack_buckets(counted.buckets)):
        so_far += count
        most = "+Inf" if index == BUCKETS - 1 else repr((bucket_floor_ns(index + 1) - 1) / 1e9)
        yield f"denet_call_seconds_bucket{_labels(syscall=call, le=most)} {so_far}"
    yield f"denet_call_seconds_count{_labels(syscall=call)} {counted.returns}"
    yield f"denet_call_seconds_sum{_labels(syscall=call)} {counted.time_ns / 1e9!r}"


def _labels(**values: str) -> str:
    escaped = {name: visible(value).replace("\\", "\\\\").replace('"', '\\"') for name, value in values.items()}
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped.items()) + "}"
