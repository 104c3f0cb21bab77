"""From a keyframe one reads on as from the start; an index that does not fit its file is not believed."""

from __future__ import annotations

import random
import threading
import zlib
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from denet_tui.counts import added
from denet_tui.model import Snapshot
from denet_tui.record import keyframe
from denet_tui.record.keyframe import INDEX, KEYFRAME, Index
from denet_tui.record.marks import Marks
from denet_tui.record.playback import Playback
from denet_tui.record.track import Track
from tests.record.made import INFO, lines_of
from tests.record.schema import assert_valid
from tests.record.test_playback import TICKS, played
from tests.record.test_read import opened, plain, read, recorded, told
from tests.watch.helpers import eventually
from tests.watch.test_sampler import SECOND, play, ticks_with_losses


@pytest.fixture
def recording(often: None, tmp_path: Path, run: list[Snapshot]) -> Path:
    return recorded(tmp_path / "rec.jsonl", run)


def index_of(path: Path) -> Index | None:
    return opened(path).index(lambda: False)


def ends(path: Path) -> list[int]:
    """Where each tick ends."""
    track = opened(path)
    now, at, found = track.start(), track.begin, []
    while (tick := track.tick(now, at)) is not None:
        now, at, _ = tick
        found.append(at)
    return found


def from_keyframes(path: Path) -> Iterator[tuple[int, Snapshot]]:
    """Every tick right after a keyframe."""
    track, index, places = opened(path), index_of(path), ends(path)
    assert index
    for at, place in index.keyframes.items():
        state = track.keyframe(place)
        assert state
        tick = track.tick(state, place)
        assert tick or at == len(places) - 1
        if tick:
            yield at + 1, tick.snapshot


def test_an_index_knows_all_ticks_and_what_stands_out_in_them(recording: Path) -> None:
    straight, index = list(read(recording)), index_of(recording)
    assert index
    assert len(index.keyframes) > 5
    assert max(index.keyframes) == len(index.samples) - 1 < TICKS
    times = [one.elapsed_ns / 1e9 for one in straight]
    assert [each.elapsed_s for each in index.samples] == times[: len(index.samples)]
    marks, before = Marks(), opened(recording).start()
    for sample, now in zip(index.samples, straight, strict=False):
        assert sample.marks == marks.of(before, now)
        before = now
    assert added(each.syscalls for each in index.stretches) == straight[len(index.samples) - 1].syscalls
    assert index.stretches[0].start_s == 0
    assert all(one.end_s == two.start_s for one, two in zip(index.stretches, index.stretches[1:], strict=False))
    assert_valid(lines_of(recording))


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.zst"])
def test_it_opens_at_its_end_and_every_moment_is_what_it_was(
    often: None, tmp_path: Path, run: list[Snapshot], ending: str
) -> None:
    recording = recorded(tmp_path / f"rec.{ending}", run)
    straight, places = list(read(recording)), list(range(TICKS))
    random.Random(7).shuffle(places)
    with played(recording) as one:
        assert one.comes_to(TICKS / 2) == straight[-1]
        eventually(lambda: not one.playback.state.following, "nothing more is waited for")
        assert len(one.got) < 60, "most of it was not read"
        assert added(each.syscalls for each in one.playback.past)
        for tick in places[:40]:
            one.playback.seek((tick + 1) / 2)
            assert one.comes_to((tick + 1) / 2) == straight[tick]
        one.playback.jump("errors", -1)
        one.says("error burst: 40 errors, 40 of them of openat")


def test_what_unpacks_to_very_much_is_damaged() -> None:
    state = b64encode(zlib.compress(b"[" + b"[]," * (1 << 20) + b"0]")).decode()
    with pytest.raises(ValueError, match="damaged"):
        keyframe.state_of(INFO, f'{{"kind":"keyframe","elapsed_ns":1,"state":"{state}"}}\n'.encode())


@settings(max_examples=30)
@given(ticks_with_losses, st.sampled_from(["jsonl", "jsonl.zst"]))
def test_any_history_goes_on_from_a_keyframe(
    tmp_path_factory: pytest.TempPathFactory, script: list[Any], ending: str
) -> None:
    _, written = play(script)
    assume(not written[-1].loss.reused)
    info = INFO._replace(start_ns=SECOND + 1, pid=100)
    written = [written[0]._replace(interval_ns=written[0].time_ns - info.start_ns), *written[1:]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keyframe, "LEAST_WORK", 1)
        patch.setattr(keyframe, "TIMES", 0)
        path = recorded(tmp_path_factory.getbasetemp() / f"any.{ending}", written, info)
    straight = list(read(path))
    assert len(straight) == len(written)
    found = list(from_keyframes(path))
    assert len(found) == len(written) - 1
    for at, mine in found:
        assert plain(mine) == plain(straight[at])


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.zst"])
def test_details_go_on_from_a_keyframe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    written = list(read(recorded(tmp_path / "first.jsonl", told())))
    monkeypatch.setattr(keyframe, "LEAST_WORK", 1)
    monkeypatch.setattr(keyframe, "TIMES", 0)
    path = recorded(tmp_path / f"rec.{ending}", written)
    straight = list(read(path))
    for at, mine in from_keyframes(path):
        assert plain(mine) == plain(straight[at])


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz"])
def test_every_cut_opens_to_its_last_whole_line(often: None, tmp_path: Path, run: list[Snapshot], ending: str) -> None:
    whole = recorded(tmp_path / f"whole.{ending}", run).read_bytes()
    path = tmp_path / f"cut.{ending}"
    for end in range(len(whole) // 2, len(whole) - 100, len(whole) // 25):  # there is more than the last line's end
        path.write_bytes(whole[:end])
        last = list(read(path))[-1]
        with played(path) as one:
            one.comes_to(last.elapsed_ns / 1e9)
            one.says("growing, or cut off")


def _broken(data: bytes) -> dict[str, bytes]:
    last = data.rindex(INDEX)
    first = data.index(KEYFRAME) + 60
    return {
        "a byte more in a tick": data.replace(b'"kind":"tree",', b'"kind":"tree", ', 1),
        "no first index": data[: data.index(INDEX)] + data[data.index(KEYFRAME) :],
        "no JSON": data[:last] + data[last:].replace(b'"before"', b"before", 1),
        "no time": data[:last] + data[last:].replace(b'"start_s":', b'"start_s":NaN,"was":', 1),
        "no such place": data[:last] + data[last:].replace(b'"before":', b'"before":9', 1),
        "no state": data[:first] + b"AAAA" + data[first + 4 :],
        "no base64": data[:first] + b"____" + data[first + 4 :],
    }


@pytest.mark.parametrize("what", list(_broken(INDEX + KEYFRAME + b" " * 99)))
def test_what_does_not_fit_is_not_believed(recording: Path, what: str) -> None:
    straight = list(read(recording))
    recording.write_bytes(_broken(recording.read_bytes())[what])
    assert (index_of(recording) is None) is ("state" not in what and "base64" not in what)
    with played(recording) as one:
        assert one.comes_to(TICKS / 2) == straight[-1]
        eventually(lambda: not one.playback.state.following, "nothing more is waited for")
        for tick in (3, 14, 80):
            one.playback.seek((tick + 1) / 2)
            assert one.comes_to((tick + 1) / 2) == straight[tick]


def test_a_file_that_grows_is_followed_from_its_index_on(recording: Path, tmp_path: Path) -> None:
    whole = recording.read_bytes()
    half = whole.index(KEYFRAME, len(whole) // 2) + 50  # in the midst of one
    with (tmp_path / "rec.jsonl").open("wb", buffering=0) as file:
        file.write(whole[:half])
        with played(tmp_path / "rec.jsonl") as one:
            one.says("growing, or cut off")
            file.write(whole[half:])
            one.comes_to(TICKS / 2)
            one.playback.seek(2)
            one.comes_to(2)


def test_a_short_recording_has_none(tmp_path: Path, run: list[Snapshot]) -> None:
    path = recorded(tmp_path / "rec.jsonl", run)
    assert INDEX not in path.read_bytes()
    assert index_of(path) is None


def test_a_stream_is_read_from_its_start(recording: Path) -> None:
    import os

    reading, writing = os.pipe()
    data = recording.read_bytes()
    threading.Thread(target=lambda: os.fdopen(writing, "wb").write(data)).start()
    with played(Track(os.fdopen(reading, "rb"), "a stream")) as one:
        one.comes_to(TICKS / 2)
        assert isinstance(one.playback, Playback)
        assert len(one.got) == TICKS
