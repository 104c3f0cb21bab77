"""Whole states within a recording: an `index` of the ticks before it, and a `keyframe`, from which one can go on."""

from __future__ import annotations

import json
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping
from operator import attrgetter
from typing import Any, NamedTuple

from denet_tui.counts import EMPTY, added
from denet_tui.detail import Detail, Programs
from denet_tui.model import NOTHING, Counters, Errnos, ProcessInfo, ProcessKey, RunInfo, Snapshot, Syscall
from denet_tui.record import execs, files, times
from denet_tui.record.denet_lines import amount, ended_usage, or_none, or_text, unix_ms, whole
from denet_tui.record.files import Changes
from denet_tui.record.lines import Lines
from denet_tui.record.marks import Marks
from denet_tui.record.read import DAMAGE, Line, counts_of, damage, first_snapshot, loss_of, rows_of, status_of
from denet_tui.record.text import Json, accounts, key, lists, plain, rows
from denet_tui.system.visible import as_json

INDEX, KEYFRAME = b'{"kind":"index"', b'{"kind":"keyframe"'
"""What the lines begin with."""
LEAST_WORK, TIMES = 1 << 21, 1
"""A keyframe comes after ticks of so much work to read (their bytes, and `_ROW` for each row), and so many times the
bytes of its state, twice that where it is not packed: going on takes no longer, and most of the file is ticks."""
_ROW = 120
"""Bytes that take as long to read as what a row takes beside its own."""
_STRETCH_S = 5.0
_RECENT = attrgetter("recent")
_FIXED = attrgetter(
    "comm", "cmdline", "cut", "cgroup", "end_ns", "status", "execs", "exec_ns", "lost", "ppid", "programs"
)
"""What a process has in a keyframe that can change, besides what it has called and its time."""
_MOST_STATE, _MOST_TIMES = 1 << 28, 100
"""Bytes, unpacked, and so many times what they are packed: 10 to 30 times is usual."""


class Passage(NamedTuple):
    """What was called in some ticks together; times in s since the start."""

    start_s: float
    end_s: float
    syscalls: Mapping[Syscall, Counters]


class Sample(NamedTuple):
    """A tick that is known by its place."""

    elapsed_s: float
    end: int
    """Where the lines of the next tick begin."""
    marks: dict[str, str]


class Keyframes:
    """Writes them among the lines of the ticks."""

    def __init__(self, info: RunInfo, *, as_text: bool = False) -> None:
        """`as_text`: their states are not packed, as that is done better by what all lines go through."""
        self._as_text = as_text
        self._marks, self._last = Marks(), first_snapshot(info)
        self._ticks: list[Json] = []
        self._stretches: list[Passage] = []
        self._size = self._state_size = self._work = 0
        """Bytes of the ticks since the last one, of its state, and how many the ticks are worth as work to read."""
        self._back: int | None = None
        """From the end of the keyframe before to the beginning of its index."""
        self._lead = 0
        """Bytes of what a new part began with."""
        self._texts: dict[ProcessKey, _Written] = {}
        """Processes as they were written last; most have called nothing since, and become no other program."""

    def after(self, snapshot: Snapshot, pieces: Iterable[str]) -> Iterator[str]:
        """The lines of a tick, and where it is time for them, an index and a keyframe."""
        size = 0
        for piece in pieces:
            size += len(piece)
            yield piece
        marks = self._marks.of(self._last, snapshot)
        tick: Json = {"elapsed_ns": snapshot.elapsed_ns, "bytes": size, **({"marks": marks} if marks else {})}
        end_s = snapshot.elapsed_ns / 1e9
        self._ticks.append(tick)
        self._stretches.append(Passage(end_s - snapshot.interval_ns / 1e9, end_s, snapshot.recent))
        called = sum(len(recent) for recent in map(_RECENT, snapshot.processes) if recent is not EMPTY)
        self._last, self._size, self._work = snapshot, self._size + size, self._work + size + _ROW * called
        if self._work >= max(LEAST_WORK, (1 + self._as_text) * TIMES * self._state_size):
            yield from self._lines(self._keyframe(snapshot))

    def end_part(self, first: str) -> tuple[list[str], list[str]]:
        """What a part ends with, and what the next one, whose `first` line is given, begins with."""
        keyframe = self._keyframe(self._last)
        last = list(self._lines(keyframe))
        self._lead = len(first) + len(keyframe)
        self._back = self._lead + sum(map(len, last))
        return last, [first, keyframe]

    def _lines(self, keyframe: str) -> Iterator[str]:
        stretches = ",".join(map(_passage_text, _joined(self._stretches)))
        index: Json = {
            "kind": "index",
            "before": None if self._back is None else self._back + self._size,
            **({"lead_bytes": self._lead} if self._lead else {}),
            "keyframe_bytes": len(keyframe),
            "usual_errors": self._marks.usual,
            "ticks": self._ticks,
        }
        line = f'{as_json(index)[:-1]},"stretches":[{stretches}]}}\n'
        self._back, self._size, self._lead, self._work = len(line) + len(keyframe), 0, 0, 0
        self._ticks, self._stretches = [], []
        yield line
        yield keyframe

    def _keyframe(self, snapshot: Snapshot) -> str:
        keys = [each.key for each in snapshot.processes]
        texts = [_written(each, self._texts.get(key)) for key, each in zip(keys, snapshot.processes, strict=True)]
        self._texts = dict(zip(keys, texts, strict=True))
        state: Json = {
            "time_ns": snapshot.time_ns,
            "wall_ms": snapshot.wall_ms,
            "elapsed_ns": snapshot.elapsed_ns,
            "interval_ns": snapshot.interval_ns,
            "forgotten": snapshot.forgotten,
            "loss": snapshot.loss._asdict(),
            "touched": Changes().item(snapshot),
            "left_out": snapshot.detail.left_out,
        }
        processes = ",".join(f'{fixed[:-1]},"time":{_time(process)},{called}}}' for process, fixed, called in texts)
        all_calls = _calls(snapshot.syscalls, snapshot.errnos)
        text = f'{as_json(state)[:-1]},{all_calls},"processes":[{processes}]}}'
        self._state_size = len(text)
        if not self._as_text:
            text = b64encode(zlib.compress(text.encode("ascii"), 1)).decode("ascii")
        return f'{{"kind":"keyframe","elapsed_ns":{snapshot.elapsed_ns},"state":{as_json(text)}}}\n'


class _Written(NamedTuple):
    """A process in a keyframe, and the texts that it became."""

    process: ProcessInfo
    fixed: str
    rows: str


def _written(process: ProcessInfo, before: _Written | None) -> _Written:
    fixed = before.fixed if before and _FIXED(before.process) == _FIXED(process) else as_json(_process(process))
    if before and before.process.syscalls is process.syscalls:
        return _Written(process, fixed, before.rows)
    return _Written(process, fixed, _calls(process.syscalls, process.errnos))


def _calls(counted: Mapping[Syscall, Counters], errnos: Errnos) -> str:
    failed = ",".join([f"[{key(call.name)},{number},{count}]" for (call, number), count in errnos.items()])
    return f'"errnos":[{failed}],"syscalls":{lists(counted)}'


def _time(process: ProcessInfo) -> str:
    spent = process.time
    if spent and process.end_ns:
        return as_json(times.numbers(spent, times.waits(spent)))
    return f"[{','.join(map(str, times.numbers(spent)))}]" if spent else "null"


def _process(process: ProcessInfo) -> Json:
    """What there is of one besides what it has called, and where its time went."""
    return {
        "tgid": process.tgid,
        "pid": process.pid,
        "ppid": process.ppid,
        "comm": plain(process.comm),
        "cmdline": [plain(word) for word in process.cmdline],
        "cut": process.cut,
        "cgroup": process.cgroup and plain(process.cgroup),
        "start_ns": process.start_ns,
        "end_ns": process.end_ns,
        "status": process.status,
        "execs": process.execs,
        "exec_ns": process.exec_ns,
        "lost": process.lost,
        **({"accounts": accounts(process.usage.accounts)} if process.end_ns else {}),
        "programs": process.programs
        and [[execs.item(each) for each in process.programs.kept], process.programs.dropped],
    }


def _joined(ticks: Iterable[Passage]) -> Iterator[Passage]:
    """Ticks put together to stretches of about 5 s."""
    some: list[Passage] = []
    for tick in ticks:
        some.append(tick)
        if tick.end_s - some[0].start_s >= _STRETCH_S * 0.99:  # ticks are never exactly as long as they should be
            yield _together(some)
            some = []
    if some:
        yield _together(some)


def _together(ticks: list[Passage]) -> Passage:
    return Passage(ticks[0].start_s, ticks[-1].end_s, added(each.syscalls for each in ticks))


def _passage_text(stretch: Passage) -> str:
    return f'{{"start_s":{stretch.start_s!r},"end_s":{stretch.end_s!r},"syscalls":{rows(stretch.syscalls, {})}}}'


# Reading


def state_of(info: RunInfo, raw: bytes) -> Snapshot:
    """The snapshot of a keyframe's line, as far as one goes on from it; raises ValueError where it is damaged."""
    try:
        text = json.loads(raw)["state"]
        if not text.startswith("{"):
            packed = b64decode(text, validate=True)
            text = zlib.decompressobj().decompress(packed, min(_MOST_STATE, _MOST_TIMES * len(packed)))
        state = json.loads(text)
        syscalls, errnos = counts_of(state)
        return first_snapshot(info)._replace(
            time_ns=whole(state["time_ns"]),
            wall_ms=unix_ms(state["wall_ms"]),
            elapsed_ns=whole(state["elapsed_ns"]),
            interval_ns=whole(state["interval_ns"]),
            forgotten=whole(state["forgotten"]),
            loss=loss_of(state["loss"]),
            detail=Detail(
                touched=files.taken(state.get("touched"), None),
                left_out=whole(state.get("left_out", 0)),
                cpus=info.cpus,
            ),
            syscalls=dict(syscalls.items()),
            errnos=errnos,
            total=syscalls.sum(),
            processes=tuple(map(_process_of, state["processes"])),
        )
    except (*DAMAGE, zlib.error, RecursionError, MemoryError) as problem:
        raise ValueError(f"it is damaged: {damage(problem)}") from None


def _process_of(line: Line) -> ProcessInfo:
    syscalls, errnos = counts_of(line)
    programs = line["programs"]
    return ProcessInfo(
        tgid=whole(line["tgid"]),
        pid=whole(line["pid"]),
        ppid=whole(line["ppid"]),
        comm=str(line["comm"]),
        cmdline=tuple(map(str, line["cmdline"])),
        start_ns=whole(line["start_ns"]),
        end_ns=or_none(line["end_ns"]),
        status=status_of(line["status"]),
        execs=whole(line["execs"]),
        exec_ns=or_none(line["exec_ns"]),
        lost=bool(line["lost"]),
        usage=ended_usage(line),
        cut=bool(line["cut"]),
        cgroup=or_text(line.get("cgroup")),
        total=syscalls.sum(),
        delta=NOTHING,
        syscalls=syscalls,
        errnos=errnos,
        programs=programs and Programs(tuple(map(execs.of_item, programs[0])), whole(programs[1])),
        time=times.taken(line["time"]),
    )


class Index(NamedTuple):
    """All ticks up to the last keyframe."""

    samples: list[Sample]
    stretches: list[Passage]
    keyframes: dict[int, int]
    """Where that of a tick begins."""
    usual_errors: float | None

    @classmethod
    def of(cls, lines: Lines, begin: int) -> Index | None:
        """From its lines, the last one first; None if there are none, or they do not fit their place any more.

        `begin` is where the lines of the first tick begin. May raise OSError.
        """
        try:
            return cls._of(list(_chain(lines)), begin)
        except (*DAMAGE, RecursionError):
            return None

    @classmethod
    def _of(cls, chain: list[tuple[int, int, Any]], place: int) -> Index | None:
        found = cls([], [], {}, None)
        for at, end, line in reversed(chain):
            place += whole(line.get("lead_bytes", 0)) if found.keyframes else 0
            for tick in line["ticks"]:
                place += whole(tick["bytes"])
                marks = {str(kind): str(words) for kind, words in tick.get("marks", {}).items()}
                found.samples.append(Sample(whole(tick["elapsed_ns"]) / 1e9, place, marks))
            if place != at:
                return None  # the file was changed since
            for each in line["stretches"]:
                table, _ = rows_of(each["syscalls"])
                start_s, end_s = amount(each["start_s"]), amount(each["end_s"])
                if end_s < start_s:
                    raise ValueError("it ends before it begins")
                found.stretches.append(Passage(start_s, end_s, table))
            found.keyframes[len(found.samples) - 1] = end
            place = end + whole(line["keyframe_bytes"])
            usual = line["usual_errors"]
        return found._replace(usual_errors=None if usual is None else amount(usual)) if chain else None


def _chain(lines: Lines) -> Iterator[tuple[int, int, Any]]:
    """Index lines from the last one to the first, each with where it begins and ends."""
    at = lines.last(INDEX)
    while at is not None:
        raw = lines.line(at)
        if not raw.startswith(INDEX):
            raise ValueError("no index there")
        line = json.loads(raw)
        yield at, at + len(raw), line
        back = or_none(line["before"])
        if back == 0:
            raise ValueError("no place for it")
        at = None if back is None or back > at else at - back  # what it is in may be gone, or another file
