"""The table at the end, as strace -c prints one, and what must be known about the run below it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from denet_tui.counts import percentile
from denet_tui.model import Counters, RunInfo, Snapshot, Syscall
from denet_tui.record import about
from denet_tui.spent import in_words, most_kernel_in, used_in_words
from denet_tui.syscalls import how_ended
from denet_tui.system.clock import off_the_clock
from denet_tui.system.visible import how_many, shortened, visible, wrapped
from denet_tui.touched import turned_away

_SHOWN = 3
"""How many survivors and unreturned calls are named; the rest is counted."""
_LONGEST_COMMAND = 400
"""Characters of it that are told; a recording has all."""
_USE_UNKNOWN = "not known: a process ran before it was watched, was still ending, or this kernel does not tell"


class _Column(NamedTuple):
    head: str
    drop: int
    """Dropped earlier than a larger one where the terminal is narrow; 0 is kept always."""


_COLUMNS = (
    _Column("% time", 4),
    _Column("seconds", 5),
    _Column("usecs/call", 3),
    _Column("calls", 0),
    _Column("errors", 6),
    _Column("p99<=", 2),
    _Column("max", 1),
    _Column("syscall", 0),
)


def exactness(snapshot: Snapshot, ending: str = "") -> str:
    """Whether anything is short, in words; `ending` says why a recording has no end."""
    if not snapshot.exact:
        return f"not exact: {snapshot.doubt}"
    if not ending:
        return "exact: no call lost"
    return f"exact as far as it goes: {ending}" if snapshot.elapsed_ns else f"it holds no counts: {ending}"


def render_table(
    info: RunInfo, snapshot: Snapshot, width: int = 80, more: Iterable[str] = (), *, ending: str = ""
) -> str:
    """All syscalls, the longest total time first, a total, the run's fate and `more` sentences.

    No line is wider than `width`. Times are those between entering and leaving the kernel, waiting included.
    """
    width = max(width, 1)
    lines: list[str] = []
    rows = sorted(snapshot.syscalls.items(), key=lambda item: (-item[1].time_ns, -item[1].calls, item[0]))
    called = [(syscall, counted) for syscall, counted in rows if counted.calls]
    if called:
        cells = [_cells(syscall.name, counted, snapshot.total.time_ns) for syscall, counted in called]
        lines += _layout(cells, _cells("total", snapshot.total, snapshot.total.time_ns), width)
    else:
        lines.append("no syscalls were seen")
    for sentence in (*_story(info, snapshot, ending), *about.story(snapshot), *more):
        lines += wrapped(sentence, width, subsequent_indent="  " if width > 20 else "") or [""]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def duration(time_ns: float) -> str:
    """A time with three digits and its unit: 812ns, 3.25us, 15.0ms, 2.10s."""
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if time_ns >= size * 0.9995:
            value = time_ns / size
            return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}{unit}"
    return f"{time_ns:.0f}ns"


def at_most(bound_ns: int, longest_ns: int) -> str:
    """A bound as `duration`, rounded up, so that it still is one; that of the longest call reads as that call."""
    if bound_ns >= longest_ns:
        return duration(longest_ns)
    step = int(10 ** max(len(str(bound_ns)) - 3, 0))
    return duration(-(-bound_ns // step) * step)


def _cells(name: str, counted: Counters, whole_ns: int) -> list[str]:
    return [
        f"{100 * counted.time_ns / whole_ns if whole_ns else 0.0:.2f}",
        f"{counted.time_ns / 1e9:.6f}",
        f"{counted.mean_ns / 1e3:.1f}",
        f"{counted.calls}",
        f"{counted.errors or ''}",
        at_most(percentile(counted, 0.99).most_ns, counted.max_ns) if counted.returns else "",
        duration(counted.max_ns) if counted.returns else "",
        visible(name),
    ]


def _layout(rows: list[list[str]], total: list[str], width: int) -> list[str]:
    """Right-align everything but the name; leave out columns, then cut names, until `width` is kept."""
    heads = [column.head for column in _COLUMNS]
    sizes = [max(map(len, cells)) for cells in zip(heads, *rows, total, strict=True)]
    kept = list(range(len(_COLUMNS)))
    for index in sorted((i for i, column in enumerate(_COLUMNS) if column.drop), key=lambda i: _COLUMNS[i].drop):
        if sum(sizes[i] + 1 for i in kept) - 1 > width:
            kept.remove(index)
    room = max(width - sum(sizes[i] + 1 for i in kept[:-1]), 1)
    sizes[-1] = min(sizes[-1], room)

    def line(cells: list[str]) -> str:
        name = cells[-1] if len(cells[-1]) <= room else cells[-1][: max(room - 2, 0)] + ".."[:room]
        return " ".join([*(cells[i].rjust(sizes[i]) for i in kept[:-1]), name])[:width]

    rule = " ".join("-" * sizes[i] for i in kept)[:width]
    return [line(heads), rule, *map(line, rows), rule, line(total)]


def _story(info: RunInfo, snapshot: Snapshot, ending: str) -> Iterable[str]:
    what = shortened(visible(" ".join(info.argv)), _LONGEST_COMMAND)
    yield f"command: {what} ({info.pid})" if info.pid else f"watched: {what}"
    yield exactness(snapshot, ending)
    yield f"elapsed: {snapshot.elapsed_ns / 1e9:.3f} s, {_fate(snapshot)}"
    yield f"used: {_used(snapshot)}"
    if (time := snapshot.detail.time) is not None:
        yield f"time of all threads: {in_words(time, most_kernel_in(time, snapshot.syscalls))}"
    survivors = [process for process in snapshot.processes if process.alive]
    count = snapshot.forgotten + len(snapshot.processes)
    running = f", {len(survivors):,} still running" if survivors else ""
    unknown = ", of some the end is not known" if any(process.lost for process in snapshot.processes) else ""
    yield f"processes: {count:,}{running}{unknown}"
    if survivors:
        yield "still running: " + _first(f"{visible(process.comm)} ({process.pid})" for process in survivors)
    if snapshot.total.unreturned:
        yield f"unreturned calls: {snapshot.total.unreturned:,} " + _named(snapshot.syscalls, "unreturned")
    yield from _inside(snapshot)
    for what, count in snapshot.detail.turned_away.items():
        yield visible(turned_away(what, count))
    for note in (*info.notes, *snapshot.detail.notes, *filter(None, [off_the_clock(snapshot)])):
        yield f"note: {visible(note)}"


def _inside(snapshot: Snapshot) -> Iterable[str]:
    if snapshot.total.in_flight > 0:
        yield f"still in a call: {snapshot.total.in_flight:,} " + _named(snapshot.syscalls, "in_flight")
    if earlier := [each for each in snapshot.in_flight if each.earlier]:
        calls = (f"{visible(each.syscall.name)} {visible(each.about or '')}".rstrip() for each in earlier)
        yield f"in a call since before the attach: {how_many(len(earlier), 'thread')} ({_first(sorted(calls))})"


def _used(snapshot: Snapshot) -> str:
    """CPU time, memory and disks, over all processes."""
    cpu, memory, faults, disks = used_in_words(snapshot.accounts)
    if cpu and snapshot.elapsed_ns:
        cpu += f" ({100 * (snapshot.accounts.cpu_ns or 0) / snapshot.elapsed_ns:.0f} %)"
    return ", ".join(filter(None, (cpu, memory and f"{memory} in a process", faults, disks))) or _USE_UNKNOWN


def _fate(snapshot: Snapshot) -> str:
    if snapshot.status is None:
        return "still running" if snapshot.running else "exit status not known"
    return how_ended(os.waitstatus_to_exitcode(snapshot.status))


def _named(rows: Mapping[Syscall, Counters], field: str) -> str:
    counts = [(getattr(counted, field), visible(syscall.name)) for syscall, counted in rows.items()]
    most = sorted((count for count in counts if count[0] > 0), key=lambda count: (-count[0], count[1]))
    return f"({_first(f'{name} {count:,}' for count, name in most)})"


def _first(words: Iterable[str]) -> str:
    named = list(words)
    more = len(named) - _SHOWN
    return ", ".join(named[:_SHOWN]) + (f" and {more:,} more" if more > 0 else "")
