"""A short recording made long: its ticks over and over, as one run whose sums agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path

from denet_tui.counts import EMPTY, Counts, added
from denet_tui.model import NOTHING, ProcessInfo, RunInfo, Snapshot
from denet_tui.record.writer import Recorder
from denet_tui.syscalls import class_of


def lengthened(info: RunInfo, some: Sequence[Snapshot], ticks: int) -> Iterator[Snapshot]:
    """So many ticks, of the processes that live in all of `some`."""
    keys = set.intersection(*({each.key for each in one.processes if each.alive} for one in some))
    step_ns, now, known = round(info.interval_s * 1e9), some[0], dict[tuple[int, int], ProcessInfo]()
    for number, one in enumerate(islice(cycle(some), ticks), 1):
        known = {each.key: _on(known.get(each.key), each, info) for each in one.processes if each.key in keys}
        recent = added(each.recent for each in known.values())
        delta = Counts(list(recent), [each[0] for each in recent.values()], [each[1] for each in recent.values()]).sum()
        before = now if number > 1 else now._replace(syscalls={}, total=NOTHING, errnos={})
        now = one._replace(
            time_ns=info.start_ns + number * step_ns,
            wall_ms=info.start_wall_ms + number * step_ns // 10**6,
            elapsed_ns=number * step_ns,
            interval_ns=step_ns,
            syscalls=added((before.syscalls, recent)),
            recent=recent,
            errnos=before.errnos,
            processes=tuple(known.values()),
            ended=(),
            total=before.total.plus(delta),
            delta=delta,
            forgotten=0,
            running=number < ticks,
            status=None if number < ticks else 0,
        )
        yield now


def _on(before: ProcessInfo | None, now: ProcessInfo, info: RunInfo) -> ProcessInfo:
    so_far = before.syscalls if before and isinstance(before.syscalls, Counts) else EMPTY
    recent = now.recent if isinstance(now.recent, Counts) else Counts(
        list(now.recent), [each[0] for each in now.recent.values()], [each[1] for each in now.recent.values()]
    )  # fmt: skip
    table = so_far.plus(recent)
    return now._replace(start_ns=info.start_ns, syscalls=table, recent=recent, total=table.sum(), errnos={})


def write(path: Path, info: RunInfo, snapshots: Iterator[Snapshot]) -> None:
    recorder = Recorder(info, class_of, path=path)
    recorder.start()
    for last in snapshots:
        recorder.add(last)
    recorder.finish(last)
    assert recorder.failure is None
