"""A recording is played: every moment of it is reached in any order, and is what it was."""

from __future__ import annotations

import itertools
import math
import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from denet_tui.counts import added
from denet_tui.model import Counters, Snapshot, Syscall, added_up
from denet_tui.record.playback import Playback
from denet_tui.record.read import UnreadableError
from denet_tui.record.track import Track
from tests.record.made import INFO, OPENAT, READ, counted, process, snapshot
from tests.record.test_read import chained, opened, recorded
from tests.watch.helpers import eventually

TICKS = 150
BURST, EXEC = 40, 90
"""In which ticks errors come in a burst, and a process becomes another program."""


def long_run() -> list[Snapshot]:
    """One process that reads; at one time many of its calls fail, at another a second one comes and goes."""
    found, make = [], process(INFO.pid, {})
    for tick in range(TICKS):
        rows = {READ: counted(tick + 1), **({OPENAT: counted(50, 40)} if tick == BURST else {})}
        make = process(INFO.pid, rows)
        others = ()
        if tick == EXEC:
            others = (process(1001, {}, start_s=tick / 2 + 0.1, end_s=tick / 2 + 0.2),)
        last = tick == TICKS - 1
        found.append(
            snapshot((tick + 1) / 2, [make, *others], ended=others, running=not last, status=0 if last else None)
        )
    return list(summed_up(chained(found)))


def summed_up(ticks: list[Snapshot]) -> Iterator[Snapshot]:
    """With what all ticks so far have counted, as those of a sampler have it."""
    calls: dict[Syscall, Counters] = {}
    errnos = Counter[tuple[Syscall, int]]()
    for each in ticks:
        calls = dict(added((calls, each.recent)))
        errnos.update(each.errnos)
        yield each._replace(syscalls=calls, total=added_up(calls.values()), errnos=dict(errnos))


class Played:
    """A playback in its thread, and what it has published."""

    def __init__(self, playback: Playback) -> None:
        self.playback, self.got, self.stop = playback, [], threading.Event()
        self.failure: Exception | None = None
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.playback.run(self.got.append, self.stop)
        except UnreadableError as problem:
            self.failure = problem

    def comes_to(self, at_s: float) -> Snapshot:
        eventually(lambda: self.got and self.got[-1].elapsed_ns == round(at_s * 1e9), f"it is at {at_s} s")
        return next(each for each in reversed(self.got) if each.elapsed_ns == round(at_s * 1e9))

    def says(self, words: str) -> None:
        eventually(lambda: words in self.playback.state.told, f"it says {words}, not {self.playback.state.told}")


@contextmanager
def played(source: Path | Track) -> Iterator[Played]:
    found = Played(Playback(source if isinstance(source, Track) else opened(source)))
    try:
        yield found
    finally:
        found.stop.set()
        found.thread.join(10)
    assert not found.thread.is_alive()


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recorded(tmp_path_factory.mktemp("long") / "rec.jsonl", long_run())


def test_it_opens_at_the_end_and_every_moment_is_what_it_was(recording: Path) -> None:
    with played(recording) as one:
        one.comes_to(TICKS / 2)
        assert len(one.got) == TICKS, "every tick was published on the way"
        straight = list(one.got)
        eventually(lambda: not one.playback.state.following, "nothing more is waited for")
        assert one.playback.state[:3] == (TICKS / 2, TICKS / 2, 0.0)
        for tick in (3, 149, 0, 77, 148, 20, 21, 12, 100):
            one.playback.seek((tick + 1) / 2)
            assert one.comes_to((tick + 1) / 2) == straight[tick]
            count = min(tick, 20) + 1
            eventually(lambda count=count: gapless(one.got[-count:]), "what comes then is without a gap")


def gapless(some: list[Snapshot]) -> bool:
    """As spark lines need it."""
    return all(after.time_ns - after.interval_ns == before.time_ns for before, after in itertools.pairwise(some))


def test_a_moment_in_between_is_of_the_sample_that_holds_it(recording: Path) -> None:
    with played(recording) as one:
        one.comes_to(TICKS / 2)
        for sought, at in ((0, 0.5), (10.2, 10.5), (10.5, 10.5), (1e9, TICKS / 2)):
            one.playback.seek(sought)
            one.comes_to(at)
        one.playback.step(-1)
        one.comes_to(TICKS / 2 - 0.5)
        one.playback.step(1)
        one.comes_to(TICKS / 2)
        one.playback.seek(3)
        one.comes_to(3)
        one.playback.seek(math.inf)
        one.comes_to(TICKS / 2)


def test_jumps(recording: Path) -> None:
    with played(recording) as one:
        one.comes_to(TICKS / 2)
        one.playback.jump("errors", 1)  # from the end, the first one is the next
        one.comes_to((BURST + 1) / 2)
        one.says("error burst: 40 errors, 40 of them of openat")
        one.playback.jump("errors", 1)
        one.says("no error burst after this")
        one.comes_to((BURST + 1) / 2)
        one.playback.jump("exec", 1)
        one.comes_to((EXEC + 1) / 2)
        one.says("exec: cc1 (1001)")
        one.playback.jump("exit", -1)
        one.says("no exit before this")
        one.playback.jump("exit", 1)
        one.comes_to(TICKS / 2) if one.playback.marked("exit")[-1:] == [TICKS / 2] else one.comes_to((EXEC + 1) / 2)
        one.playback.jump("loss", -1)
        one.says("no loss before this")
        assert one.playback.marked("errors") == [(BURST + 1) / 2]


def test_it_plays_from_the_start_at_any_speed_and_stops(recording: Path) -> None:
    with played(recording) as one:
        one.comes_to(TICKS / 2)
        eventually(lambda: not one.playback.state.following, "the end was met")
        while one.playback.pace(1) < 100:
            pass
        one.got.clear()
        one.playback.play()
        eventually(lambda: len(one.got) > 5, "it plays")
        one.playback.play()
        eventually(lambda: not one.playback.state.playing, "it stops")
        assert one.got[0].elapsed_ns == 500_000_000
        one.playback.play()
        one.comes_to(TICKS / 2)
        eventually(lambda: not one.playback.state.playing, "at the end it stops by itself")
        assert len({each.time_ns for each in one.got}) == TICKS


def test_a_file_that_grows_is_followed_and_left_and_followed_again(recording: Path, tmp_path: Path) -> None:
    whole = recording.read_bytes()
    half = whole.index(b'{"kind":"tree"', len(whole) // 2)
    with (tmp_path / "rec.jsonl").open("wb", buffering=0) as file:
        file.write(whole[: half + 100])  # in the midst of a line
        with played(tmp_path / "rec.jsonl") as one:
            one.says("growing, or cut off")
            assert one.playback.state.following
            known = one.playback.state.known_s
            one.playback.seek(1)
            one.comes_to(1)
            file.write(whole[half + 100 : -1000])
            one.playback.seek(math.inf)
            eventually(lambda: one.playback.state.known_s > known, "it goes on where it was")
            file.write(whole[-1000:])
            one.comes_to(TICKS / 2)
            eventually(lambda: not one.playback.state.following, "the summary ends it")
            assert not one.playback.state.told


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_a_file_that_is_written_anew_is_followed_no_more_and_it_says_so(
    recording: Path, tmp_path: Path, share: float, *, packed: bool
) -> None:
    """Whether the new one is shorter so far than what was read, or longer already."""
    path = tmp_path / f"rec.jsonl{'.gz' * packed}"
    other = recorded(tmp_path / path.name.replace("rec", "other"), long_run(), INFO._replace(start_wall_ms=1))
    old = recorded(path, long_run()).read_bytes()
    path.write_bytes(old[: old.rindex(b'{"kind":"tree"') if not packed else -20])
    with played(path) as one:
        one.says("growing, or cut off")
        new = other.read_bytes()
        path.write_bytes(new[: int(len(new) * share)])
        one.says(f"{path}: it was written anew meanwhile")
        eventually(lambda: not one.playback.state.following, "nothing more is waited for")
        assert one.playback.state.told.count("\n") == 0


@pytest.mark.parametrize("kept", [1.0, 0.5])
def test_a_stream_is_read_to_its_end_and_can_be_gone_back_in(recording: Path, kept: float) -> None:
    reading, writing = os.pipe()
    data = recording.read_bytes()
    data = data[: int(len(data) * kept)]

    def write() -> None:
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(data)

    threading.Thread(target=write).start()
    with played(Track(os.fdopen(reading, "rb"), "a stream")) as one:
        eventually(lambda: one.got and not one.playback.state.following, "it has ended")
        assert one.playback.state.told == ("" if kept == 1 else "the stream ended before the run did")
        one.playback.seek(5)
        one.comes_to(5)


def test_what_is_damaged_ends_it_and_is_said(recording: Path, tmp_path: Path) -> None:
    lines = recording.read_bytes().splitlines(keepends=True)
    bad = tmp_path / "rec.jsonl"
    bad.write_bytes(b"".join(lines[:50]) + b"{no\n" + b"".join(lines[50:]))
    with played(bad) as one:
        one.says("line 51: it is not JSON")
        one.playback.seek(2)
        one.comes_to(2)
    bad.write_bytes(lines[0] + b"{no\n")
    with played(bad) as one:
        eventually(lambda: one.failure, "nothing can be shown of it")
    assert "line 2: it is not JSON" in str(one.failure)
