"""What a recording comes to: the last snapshot, what stood out on the way, and what each program has called."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from denet_tui.model import NOTHING, Counters, ProcessInfo, RunInfo, Snapshot, Syscall, added_up
from denet_tui.record import about
from denet_tui.record.marks import Marks
from denet_tui.record.summary import head
from denet_tui.record.text import Json, plain
from denet_tui.record.track import Track
from denet_tui.system.visible import how_many

TELLING = ("errors", "slow", "loss")
"""The kinds of marks that are told: forks and exits are what happens anyway."""


@dataclass(slots=True)
class Program:
    """All processes that were called so at their end."""

    processes: int = 0
    syscalls: dict[Syscall, Counters] = field(default_factory=dict)

    def add(self, process: ProcessInfo) -> None:
        """One more."""
        self.processes += 1
        for call, counters in process.syscalls.items():
            self.syscalls[call] = self.syscalls.get(call, NOTHING).plus(counters)

    @property
    def total(self) -> Counters:
        """Over all its calls."""
        return added_up(self.syscalls.values())


@dataclass(slots=True)
class Totals:
    """Of a whole recording; `moments` that stood out are (seconds since the start, words)."""

    info: RunInfo
    last: Snapshot
    ending: str
    """Where the run's own end is not in it: why; else empty."""
    left_out: int = 0
    """Processes that ended in parts that are not here: `programs` has none of their calls."""
    astray: list[str] = field(default_factory=list)
    """Files among its parts that are none of them, a line each."""
    moments: list[tuple[float, str]] = field(default_factory=list)
    programs: dict[str, Program] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        track: Track,
        each: Callable[[ProcessInfo], None] = lambda _: None,
        tick: Callable[[Snapshot], None] = lambda _: None,
    ) -> Totals:
        """Reads all of it, and hands over each tick, and each process, once; raises UnreadableError."""
        marks = Marks()
        found, at = cls(track.info, track.start(), "", left_out=_over(track.start())), track.begin
        while True:
            while (read := track.tick(found.last, at)) is None and track.streams:
                track.news.wait()
                track.news.clear()
            if read is None:
                break
            marked = marks.of(found.last, read.snapshot)
            found.moments += [(read.snapshot.elapsed_ns / 1e9, marked[kind]) for kind in TELLING if kind in marked]
            if read.resumed:
                found._pass_over(read.resumed, each)
            found.last, at = read.snapshot, read.end
            tick(found.last)
            found._take(found.last.ended, each)
        last = found.last
        open_ended = (one for one in last.processes if one.alive or (one.end_ns or 0) > last.time_ns)
        found._take(open_ended, each)
        found.ending, found.astray = track.ending(), track.astray(last.detail.gaps)
        return found

    @property
    def doubt(self) -> str:
        """Why its numbers may be too low; empty where they are exact."""
        return "; ".join(filter(None, (self.last.doubt, self.earlier, self.ending)))

    @property
    def earlier(self) -> str:
        """What only parts had that are not here; empty for nothing."""
        if not self.left_out:
            return ""
        are = "is" if self.left_out == 1 else "are"
        return f"{how_many(self.left_out, 'process')} of parts that are not here {are} left out"

    def _pass_over(self, resumed: Snapshot, each: Callable[[ProcessInfo], None]) -> None:
        """From the last tick to where it goes on: of the processes that ended between, some are known there."""
        before = {process.key for process in _final(self.last)}
        known = [process for process in _final(resumed) if process.key not in before]
        self.left_out += max(0, _over(resumed) - _over(self.last) - len(known))
        self._take(known, each)

    def _take(self, processes: Iterable[ProcessInfo], each: Callable[[ProcessInfo], None]) -> None:
        for process in processes:
            each(process)
            self.programs.setdefault(process.comm, Program()).add(process)

    def as_object(self) -> Json:
        """For --json: what the summary has but the processes, and what only the ticks tell."""
        return {
            "cmd": [plain(argument) for argument in self.info.argv],
            **head(self.last, self.left_out),
            "complete": not (self.ending or self.left_out or self.last.detail.lacks),
            **({"missing": lacks} if (lacks := self.last.detail.lacks) else {}),
            **({"astray": self.astray} if self.astray else {}),
            "moments": [{"at_s": at_s, "text": text} for at_s, text in self.moments],
            **{name: list(items) for name, items in about.tables(self.info, self.last)},
            "programs": {
                plain(name): {
                    "processes": program.processes,
                    "syscalls": {
                        plain(call.name): {"calls": each.calls, "errors": each.errors, "time_ns": each.time_ns}
                        for call, each in sorted(program.syscalls.items())
                    },
                }
                for name, program in sorted(self.programs.items())
            },
        }


def _over(start: Snapshot) -> int:
    """Processes that no tick after this one tells of."""
    return start.forgotten + len(_final(start))


def _final(start: Snapshot) -> list[ProcessInfo]:
    """Those of them that it lists."""
    return [each for each in start.processes if not each.alive and (each.lost or (each.end_ns or 0) <= start.time_ns)]
