"""Packed recordings: found again whole, at every tick, wherever they are cut, and unpacked by the tools of others."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from denet_tui.record import lines
from denet_tui.record.keyframe import Keyframes
from denet_tui.record.lines import MOST_LINE, Lines, open_file
from denet_tui.record.packed import Unpacker, packer
from denet_tui.record.read import UnreadableError
from denet_tui.record.sink import RecordError
from denet_tui.record.totals import Totals
from denet_tui.record.track import Track
from denet_tui.record.writer import Recorder
from tests.person import Person
from tests.record.made import INFO, category, lines_of
from tests.record.test_playback import long_run
from tests.record.test_read import opened, plain, read, recorded, told
from tests.watch.helpers import DENET, PATIENCE, denet

ENDINGS = ["gz", "zst"]
TOOLS = {"gz": ["gzip", "-dc"], "zst": ["zstd", "-dc"]}


@pytest.mark.parametrize("ending", [*ENDINGS, "gz.2"])
def test_it_is_the_same_recording_in_fewer_bytes(tmp_path: Path, ending: str) -> None:
    written = long_run()
    flat, packed = recorded(tmp_path / "rec.jsonl", written), recorded(tmp_path / f"rec.jsonl.{ending}", written)
    assert packed.stat().st_size < flat.stat().st_size / 5
    assert b"".join(Unpacker(packed.read_bytes()).unpack(packed.read_bytes())) == flat.read_bytes()
    assert [plain(each) for each in read(packed)] == [plain(each) for each in read(flat)]
    tool = TOOLS[ending.partition(".")[0]]
    if subprocess.run(["which", tool[0]], capture_output=True).returncode == 0:
        done = subprocess.run([*tool], stdin=packed.open("rb"), capture_output=True)
        assert (done.returncode, done.stdout, done.stderr) == (0, flat.read_bytes(), b"")


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_was_written_so_far_is_whole_at_every_tick(tmp_path: Path, ending: str) -> None:
    """So that kill -9 costs one tick at most."""
    path, snapshots = tmp_path / f"rec.jsonl.{ending}", told()
    recorder = Recorder(INFO, category, path=path)
    recorder.start()
    track = opened(path)
    now, at = track.start(), track.begin
    for number, each in enumerate(snapshots, 1):
        recorder.add(each)
        tick = track.tick(now, at)
        assert tick is not None, "it is read while it grows"
        now, at, _ = tick
        assert len(list(read(path))) == number
    assert track.tick(now, at) is None
    assert "growing" in track.ending()
    recorder.finish(snapshots[-1])
    assert track.tick(now, at) is None
    assert track.complete


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_cut_opens_and_damage_is_one_line(tmp_path: Path, ending: str) -> None:
    whole = recorded(tmp_path / f"rec.jsonl.{ending}", told()).read_bytes()
    cut, counts = tmp_path / "cut", []
    for end in range(1, len(whole), 67):
        cut.write_bytes(whole[:end])
        try:
            track = opened(cut)
        except UnreadableError:
            counts.append(-1)  # not even its first line is there
            continue
        counts.append(len(list(read(cut))))
        assert not track.complete
    assert counts == sorted(counts)
    assert counts[-1] == len(told())
    cut.write_bytes(whole[:400] + bytes(each ^ 0x55 for each in whole[400:800]) + whole[800:])
    with pytest.raises(UnreadableError, match=r"cut, line \d+: it (cannot be unpacked|is not JSON|is damaged)"):
        list(read(cut))


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_packed_stream_is_read_byte_by_byte(tmp_path: Path, ending: str) -> None:
    packed = recorded(tmp_path / f"rec.jsonl.{ending}", told())
    ours, theirs = os.pipe()

    def write() -> None:
        for byte in packed.read_bytes():
            os.write(theirs, bytes([byte]))
        os.close(theirs)

    threading.Thread(target=write).start()
    track = Track(os.fdopen(ours, "rb", buffering=0), "a stream")
    while track.streams:
        track.news.wait(10)
        track.news.clear()
    now, at, count = track.start(), track.begin, 0
    while (tick := track.tick(now, at)) is not None:
        now, at, _ = tick
        count += 1
    assert (count, track.complete) == (len(told()), True)


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_unpacks_to_very_much_is_not_unpacked_further(tmp_path: Path, ending: str) -> None:
    bomb = tmp_path / f"bomb.{ending}"
    pack = packer(bomb)
    assert pack
    with bomb.open("wb") as file:
        for _ in range(80):
            file.write(pack.pack(bytes(1 << 20)))
        file.write(pack.end())
    found = Lines(open_file(str(bomb)))
    assert MOST_LINE < len(found.line(0)) <= MOST_LINE + (1 << 21)
    with pytest.raises(UnreadableError, match="line 1: it is longer than 64 MiB"):
        opened(bomb)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_bomb_is_not_unpacked_to_its_end(tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LITTLE", 4 << 20)
    path = recorded(tmp_path / f"rec.jsonl.{ending}", told()[:1])
    pack = packer(path)
    assert pack
    zeros = bytes(64 << 20)
    path.write_bytes(path.read_bytes() + (gzip.compress(zeros) if ending == "gz" else pack.pack(zeros) + pack.end()))
    track = opened(path)
    assert track.index(lambda: False) is None
    assert track._lines._copy
    assert os.fstat(track._lines._copy.fileno()).st_size <= 24 << 20
    with pytest.raises(UnreadableError, match="it unpacks to more than 200 times its size, which no recording does"):
        Totals.of(track)


@pytest.mark.root
def test_half_of_the_room_is_left(tmp_path: Path) -> None:
    packed, room = tmp_path / "rec.jsonl.gz", tmp_path / "room"
    room.mkdir()
    begun, _, _ = recorded(tmp_path / "flat.jsonl", told()[:1]).read_bytes().rpartition(b'{"kind":"summary"')
    packed.write_bytes(gzip.compress(begun + bytes(12 << 20)))
    script = f"mount -t tmpfs -o size=16m none {room} && TMPDIR={room} exec {' '.join(DENET)} report {packed}"
    words = ["unshare", "-m", "sh", "-c", script]
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (125, "", 1)
    assert f"it takes more than half of what is free in {room}: set TMPDIR" in done.stderr


def test_without_zstd_the_line_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = recorded(tmp_path / "rec.zst", told())
    for name in ("compression", "backports", "backports.zstd", "compression.zstd"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(RecordError, match=r"new\.zst: zstd needs the package backports\.zstd: .* install"):
        Recorder(INFO, category, path=tmp_path / "new.zst").start()
    assert not (tmp_path / "new.zst").exists()
    with pytest.raises(UnreadableError, match=r"rec\.zst: zstd needs the package"):
        opened(packed)


@pytest.mark.root
def test_a_real_run_is_packed_and_reported(tmp_path: Path) -> None:
    done = denet(
        "run",
        "--no-tui",
        "--detail",
        "calls",
        "-o",
        "rec.jsonl.gz",
        "--summary",
        "sum.json.gz",
        "--no-host-name",
        "--",
        "true",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    told = denet("report", str(tmp_path / "rec.jsonl.gz"))
    assert (told.returncode, told.stderr) == (0, "")
    assert "execve" in told.stdout
    flat = subprocess.run(["gzip", "-dc", tmp_path / "sum.json.gz"], capture_output=True, check=True).stdout
    (tmp_path / "flat").write_bytes(flat)
    first = json.loads(gzip.decompress((tmp_path / "rec.jsonl.gz").read_bytes()).partition(b"\n")[0])["denet_tui"]
    assert [first[name] for name in ("host", "kernel", "cwd")] == [None, os.uname().release, str(tmp_path)]
    assert lines_of(tmp_path / "flat")[-1]["kind"] == "summary"


def test_keyframes_of_an_ordinary_machine_are_little_of_a_zst(often: None, tmp_path: Path) -> None:
    """They are alike, and each finds the one before; packed on their own they are most of it."""
    run = list(read(recorded(tmp_path / "first.jsonl", long_run())))
    sizes = {}
    for as_text in (False, True):
        path = tmp_path / f"{as_text}.zst"
        recorder = Recorder(INFO, category, path=path)
        recorder._keyframes = Keyframes(INFO, as_text=as_text)
        recorder.start()
        for each in run:
            recorder.add(each)
        recorder.finish(run[-1])
        sizes[as_text] = path.stat().st_size
        assert [plain(each) for each in read(path)] == [plain(each) for each in run]
    assert sizes[True] < sizes[False] * 0.7, sizes


@pytest.mark.root
def test_the_folder_is_told_under_sudo_too(person: Person) -> None:
    done = person.shell(
        "cd; mkdir -p work; cd work; sudo -n $denet run --no-tui --detail calls -o ../told.jsonl -- true"
    )
    assert done.returncode == 0, done.stderr
    first = json.loads((person.home / "told.jsonl").read_text().partition("\n")[0])
    assert first["denet_tui"]["cwd"] == str(person.home / "work")


@pytest.mark.parametrize("ending", ["bz2", "xz", "lz4", "XZ.2"])
def test_a_name_of_another_packer_is_refused_before_anything_is_emptied(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"rec.jsonl.{ending}"
    path.write_text("mine")
    recorder = Recorder(INFO, category, path=path)
    with pytest.raises(RecordError, match=rf"nothing here packs \.{ending[:2]}.*; end its name in \.gz or \.zst"):
        recorder.start()
    recorder.close()
    assert path.read_text() == "mine"
