"""What the calls were about, as the summary and the table at the end have it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import NamedTuple

from denet_tui.model import RunInfo, Snapshot
from denet_tui.record.text import Json, plain, plain_or_none, wall_ms
from denet_tui.syscalls import errno_name
from denet_tui.system.visible import as_json, visible
from denet_tui.touched import FailedPath, File, Touched, Use, called

_SHOWN = 5
"""Files and paths that the table at the end names."""


class Bounds(NamedTuple):
    """Which processes have rows of their own in the summary, and how many bytes each table has; None: all."""

    pids: Collection[int] | None = None
    most: int | None = None

    def within(self, items: Iterable[Json], left_out: Callable[[], object]) -> Iterator[str]:
        """Those for which there is room; `left_out` is called for each of the others."""
        size = 0
        for item in items:
            if self.most is not None and size > self.most:
                left_out()
                continue
            text = as_json(item)
            size += len(text)
            yield text


ALL = Bounds()


def tables(
    info: RunInfo, snapshot: Snapshot, pids: Collection[int] | None = None
) -> tuple[tuple[str, Iterator[Json]], ...]:
    """The lists of the summary, each item by item: in_flight, and where they are watched files, failed_paths, slowest.

    The files of `pids` alone where they are given.
    """
    touched = snapshot.detail.touched
    inside = "in_flight", _in_flight(info, snapshot)
    if touched is None:
        return (inside,)
    return (
        inside,
        ("files", _files(touched, pids)),
        ("failed_paths", _failed(touched)),
        ("slowest", _slowest(info, touched)),
    )


def story(snapshot: Snapshot) -> Iterator[str]:
    """What the table at the end says: the files with most bytes, and the paths with most failures."""
    touched = snapshot.detail.touched
    if touched is None:
        return
    busiest = [(file, use) for file, use in busiest_first(touched) if use.read_bytes + use.write_bytes]
    if busiest:
        yield f"files: {len(touched.files):,}, with most bytes:"
    for file, use in busiest[:_SHOWN]:
        yield f"  {use.read_bytes:,} read, {use.write_bytes:,} written: {visible(called(file))}"
    failed = most_failing(touched)
    if failed:
        yield f"failing paths: {len(failed):,}, most often:"
    for (syscall, number, path), count in failed[:_SHOWN]:
        yield f"  {count:,} x {syscall} {errno_name(number)}: {shown(path)}"


def _files(touched: Touched, pids: Collection[int] | None) -> Iterator[Json]:
    for file, use in busiest_first(touched):
        yield _file(file, None, use)
    for (pid, file), use in touched.by_process.items():
        if pids is None or pid in pids:
            yield _file(file, pid, use)


def _file(file: File, pid: int | None, use: Use) -> Json:
    return {"path": plain_or_none(file.path), "kind": file.kind, "pid": pid, **use._asdict()}


def _failed(touched: Touched) -> Iterator[Json]:
    for (syscall, number, path), count in most_failing(touched):
        yield {"syscall": syscall, "errno": errno_name(number), "path": plain_or_none(path), "count": count}


def _slowest(info: RunInfo, touched: Touched) -> Iterator[Json]:
    for slow in touched.slowest:
        yield {
            "syscall": slow.syscall,
            "pid": slow.pid,
            "time_ns": slow.time_ns,
            "at_ms": wall_ms(info, slow.at_ns),
            "about": plain_or_none(slow.about),
        }


def _in_flight(info: RunInfo, snapshot: Snapshot) -> Iterator[Json]:
    """Of a call that had begun before it was attached to it is not known when, nor how long it has taken."""
    pids = {process.tgid: process.pid for process in snapshot.processes}
    for call in snapshot.in_flight:
        yield {
            "syscall": plain(call.syscall.name),
            "pid": pids.get(call.tgid, call.tgid),
            "tid": call.tid,
            "time_ns": None if call.earlier else max(snapshot.time_ns - call.since_ns, 0),
            "at_ms": None if call.earlier else wall_ms(info, call.since_ns),
            "about": plain_or_none(call.about),
        }


def busiest_first(touched: Touched) -> list[tuple[File, Use]]:
    """Files and peers, those with most bytes first."""
    return sorted(touched.files.items(), key=lambda item: -(item[1].read_bytes + item[1].write_bytes))


def most_failing(touched: Touched) -> list[tuple[FailedPath, int]]:
    """Failing paths, the most frequent first."""
    return sorted(touched.failed.items(), key=lambda item: -item[1])


def shown(path: str | None) -> str:
    """A path as it may stand on a terminal."""
    return "(not known)" if path is None else visible(path)
