"""A recording in parts: each can be read by itself, and all of them as one; the oldest go."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from denet_tui.counts import added
from denet_tui.detail import Detail
from denet_tui.model import Snapshot
from denet_tui.record import keyframe
from denet_tui.record.export import openmetrics
from denet_tui.record.parts import Limits, PartFiles, of_last_run, parts_of
from denet_tui.record.read import UnreadableError
from denet_tui.record.sink import RecordError
from denet_tui.record.totals import Totals
from denet_tui.record.writer import Recorder
from denet_tui.touched import FailedPath, File, Touched, Use
from tests import forked
from tests.record.made import INFO, OPENAT, READ, category, counted, idle, lines_of, process, snapshot
from tests.record.schema import assert_valid
from tests.record.test_playback import TICKS, played
from tests.record.test_read import opened, plain, read, recorded
from tests.watch.helpers import DENET, denet, eventually

SMALL = Limits(max_bytes=400_000)


def written(path: Path, snapshots: list[Snapshot], limits: Limits = SMALL) -> list[Path]:
    recorder = Recorder(INFO, category, path=path, limits=limits)
    recorder.start()
    for each in snapshots:
        recorder.add(each)
    recorder.finish(snapshots[-1])
    assert recorder.failure is None
    return parts_of(path)


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz"])
@pytest.mark.usefixtures("often")
def test_each_part_and_all_of_them_are_read(tmp_path: Path, run: list[Snapshot], ending: str) -> None:
    limits = Limits(max_bytes=400_000 if ending == "jsonl" else 40_000)
    path = tmp_path / f"rec.{ending}"
    found = written(path, run, limits)
    assert not path.exists()
    assert len(found) > 3
    assert [each.name for each in found][:2] == [f"rec.20260921T141320Z.{number:04}.{ending}" for number in (1, 2)]
    at = 0
    for part in found:
        ticks = list(read(part))
        assert ticks
        for mine, theirs in zip(ticks, run[at:], strict=False):
            assert plain(mine) == plain(theirs)
        with played(part) as one:
            assert one.comes_to(ticks[-1].elapsed_ns / 1e9) == ticks[-1]
        at += len(ticks)
    assert at == TICKS
    assert list(read(path)) == run
    index = opened(path).index(lambda: False)
    assert index
    assert len(index.samples) > TICKS - 30
    assert added(each.syscalls for each in index.stretches) == run[len(index.samples) - 1].syscalls
    with played(path) as one:
        assert one.comes_to(TICKS / 2) == run[-1]
        for tick in (0, 77, 20, 149):
            one.playback.seek((tick + 1) / 2)
            assert one.comes_to((tick + 1) / 2) == run[tick]
    assert Totals.of(opened(path)).last == run[-1]
    if ending == "jsonl":
        assert_valid(line for part in found for line in lines_of(part))
        assert lines_of(found[-1])[0]["denet_tui"]["part"] == len(found)


@pytest.mark.usefixtures("often")
def test_the_oldest_go_and_the_rest_is_read_on_from_a_keyframe(tmp_path: Path, run: list[Snapshot]) -> None:
    path, limits = tmp_path / "rec.jsonl", Limits(max_bytes=200_000)
    found = written(path, run, limits)
    assert found[0].name != "rec.20260921T141320Z.0001.jsonl"
    assert sum(each.stat().st_size for each in found) <= 200_000
    rest = list(read(path))
    assert 10 < len(rest) < TICKS
    assert rest == run[-len(rest) :]
    with played(path) as one:
        assert one.comes_to(TICKS / 2) == run[-1]
        one.playback.seek(0)
        assert one.comes_to(rest[0].elapsed_ns / 1e9) == rest[0]


@pytest.mark.usefixtures("often")
def test_processes_of_parts_that_are_gone_are_missed(tmp_path: Path, run: list[Snapshot]) -> None:
    path = tmp_path / "rec.jsonl"
    found = written(path, run)
    assert not Totals.of(opened(path)).doubt
    for each in found[:-1]:
        each.unlink()
    says = "1 process of parts that are not here is left out"
    for whole in (True, False):
        left = Totals.of(opened(path))
        assert (left.doubt, left.as_object()["complete"]) == (says if whole else f"{says}; {left.ending}", False)
        assert "denet_exact 0" in openmetrics(left)
        if whole:
            decided = denet("diff", str(path), str(path), "--fail-on", "read.calls > 10000000")
            assert (decided.returncode, f"{path} is not exact: {says}" in decided.stdout) == (125, True)
            assert f"no rule can be decided: {path} is not exact ({says})" in decided.stderr
            assert denet("report", str(path)).stdout.startswith(f"{says}\n")
            assert denet("report", "--markdown", str(path)).stdout.splitlines()[2] == f"- {says}"
            found[-1].write_bytes(found[-1].read_bytes().partition(b'{"kind":"summary"')[0])


@pytest.mark.usefixtures("often")
def test_a_program_of_parts_that_are_gone_has_not_vanished(tmp_path: Path) -> None:
    rows = {READ: counted(500), OPENAT: counted(100, 50)}
    make, went = process(1000, rows), process(1001, rows, comm="gone", end_s=0.9)
    first = snapshot(0.5, [make])
    rest = [
        snapshot((tick + 2) / 2, [idle(make), idle(went) if tick else went], ended=() if tick else [went])
        for tick in range(300)
    ]
    whole = str(recorded(tmp_path / "whole.jsonl", [first, *rest]))
    for part in written(tmp_path / "rec.jsonl", [first, *rest])[:-1]:
        part.unlink()
    path = str(tmp_path / "rec.jsonl")
    told = [denet("diff", *sides).stdout.splitlines() for sides in ((whole, path), (path, whole))]
    assert all("| gone | | not told: its parts were deleted | |" in lines for lines in told)
    assert not [line for lines in told for line in lines if re.search("vanished|appeared|shrank|grew", line)]


@pytest.mark.usefixtures("often")
def test_a_summary_has_rows_of_what_it_tells_of_and_room_below_the_limit(tmp_path: Path, run: list[Snapshot]) -> None:
    use, long = Use(1, 2, 3, 4, 5, 6, 7), [File("file", f"/{number}{'x' * 200}") for number in range(1000)]
    failed = {FailedPath("stat", 2, file.path): 1 for file in long}
    known = {each.pid for each in run[-1].processes}
    by_process = {(pid, long[0]): use for pid in (4_000_000, *known)}
    last = run[-1]._replace(detail=Detail(touched=Touched(dict.fromkeys(long[:9], use), by_process, failed)))
    found = written(tmp_path / "rec.jsonl", [*run[:-1], last], Limits(max_bytes=400_000))
    assert sum(each.stat().st_size for each in found) <= 400_000
    summary = lines_of(found[-1])[-1]
    assert_valid([summary])
    told = {each["pid"] for each in summary["processes"]}
    assert {row["pid"] for row in summary["files"]} == {None, *(known & told)}
    assert len(summary["failed_paths"]) + summary["failed_paths_left_out"] == 1000
    assert 25_000 < len(json.dumps(summary["failed_paths"], separators=(",", ":"))) < 26_500


@pytest.mark.usefixtures("often")
def test_whoever_follows_comes_to_the_next_part(tmp_path: Path, run: list[Snapshot]) -> None:
    path = tmp_path / "rec.jsonl"
    recorder = Recorder(INFO, category, path=path, limits=SMALL)
    recorder.start()
    recorder.add(run[0])
    with played(path) as one:
        one.comes_to(0.5)
        for each in run[1:]:
            recorder.add(each)
        recorder.finish(run[-1])
        assert len(parts_of(path)) > 3
        assert one.comes_to(TICKS / 2) == run[-1]
        eventually(lambda: not one.playback.state.following, "the summary ends it")


def test_what_is_too_old_goes_of_earlier_runs_too(tmp_path: Path) -> None:
    path = tmp_path / "rec.jsonl"
    old, new, other, foreign = (
        tmp_path / name
        for name in (
            "rec.20250101T000000Z.0001.jsonl", "rec.20250102T000000Z.0001.jsonl", "other.20250101T000000Z.0001.jsonl",
            "rec.20250101T000000Z.0001.jsonl.bak",
        )
    )  # fmt: skip
    for each in (old, new, other, foreign):
        each.write_text("x")
    for each in (old, other, foreign):
        os.utime(each, (time.time() - 90_000,) * 2)
    parts = PartFiles(path, INFO.start_wall_ms, Limits(keep_s=86_400))
    first = tmp_path / "rec.20260921T141320Z.0001.jsonl"
    begun, descriptor = parts.begin()
    os.close(descriptor)
    assert begun == first
    assert sorted(tmp_path.iterdir()) == sorted([new, other, foreign, first])
    assert not parts.full(1 << 60)
    assert of_last_run(path) == [first]


@pytest.mark.slow
def test_too_little_room_is_told_with_how_much_there_should_be(tmp_path: Path) -> None:
    many = [process(1000 + number, {READ: counted(3), OPENAT: counted(2)}) for number in range(1000)]
    ticks = [snapshot((tick + 1) / 2, many) for tick in range(30)]

    def told(room: int) -> str | None:
        path = tmp_path / f"{room}.jsonl"
        recorder = Recorder(INFO, category, path=path, limits=Limits(max_bytes=room << 20))
        recorder.start()
        for each in ticks:
            recorder.add(each)
        recorder.finish(ticks[-1])
        assert recorder.failure is None
        return recorder.warning

    found = re.search(r"are too large for --max-size; give it (\d+)M\Z", told(1) or "")
    assert found
    room = int(found[1])
    assert 10 < room < 50
    assert (told(room), len(list(read(tmp_path / f"{room}.jsonl")))) == (None, 30)
    assert told(room // 3), "it is not far more than what is needed"


def _misled(found: list[Path], other: list[Path], what: str) -> str:
    """Something that is none of its parts stands among those of a recording; returns which file."""
    first, second, third, last = found[0], found[1], found[2], found[-1]
    behind = last.with_name(last.name.replace(f"{len(found):04}", f"{len(found) + 1:04}"))
    where, its = {
        "ahead": (second, third),
        "back": (third, second),
        "first": (second, first),
        "other": (second, other[1]),
        "other first": (first, other[0]),
        "other behind": (behind, other[1]),
    }[what]
    where.write_bytes(its.read_bytes())
    return where.name


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz"])
@pytest.mark.parametrize(
    ("what", "says", "matters"),
    [
        ("ahead", "holds part 3", True),
        ("back", "holds part 2", True),
        ("first", "holds part 1", True),
        ("other", "is of another recording", True),
        ("other first", "is left out: it is of another recording", False),
        ("other behind", "is left out: it is of another recording", False),
    ],
)
@pytest.mark.usefixtures("often")
def test_what_is_no_part_or_a_copy_of_another_is_named_and_passed_over(
    tmp_path: Path, run: list[Snapshot], what: str, says: str, matters: bool, ending: str
) -> None:
    limits = Limits(max_bytes=400_000 if ending == "jsonl" else 40_000)
    path = tmp_path / f"rec.{ending}"
    found = written(path, run, limits)
    info = INFO._replace(start_ns=INFO.start_ns + 1, start_wall_ms=INFO.start_wall_ms - 86_400_000)
    recorder = Recorder(info, category, path=tmp_path / f"other.{ending}", limits=limits)
    recorder.start()
    for each in run:
        recorder.add(each)
    recorder.finish(run[-1])
    name = _misled(found, parts_of(tmp_path / f"other.{ending}"), what)
    totals = Totals.of(opened(path))
    assert (totals.last.syscalls, totals.last.elapsed_ns) == (run[-1].syscalls, run[-1].elapsed_ns)
    (told,) = [*totals.astray, *(gap.words for gap in totals.last.detail.gaps)]
    assert told.startswith(f"{name} {says}")
    assert bool(totals.doubt) is matters
    decided = denet("diff", str(path), str(path), "--fail-on", "read.calls > 10000000")
    assert (decided.returncode, f"{name} {says}" in decided.stdout) == (125 if matters else 0, True)


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz"])
@pytest.mark.usefixtures("often")
def test_zeros_behind_a_part_lose_nothing(tmp_path: Path, run: list[Snapshot], ending: str) -> None:
    path = tmp_path / f"rec.{ending}"
    for each in written(path, run, Limits(max_bytes=400_000 if ending == "jsonl" else 40_000)):
        each.write_bytes(each.read_bytes() + bytes(5000))
    totals = Totals.of(opened(path))
    assert (totals.last, totals.doubt) == (run[-1], "")


@pytest.mark.root
@pytest.mark.usefixtures("often")
def test_what_others_put_there_is_no_part_and_ends_nothing(tmp_path: Path, run: list[Snapshot]) -> None:
    folder, path = tmp_path / "shared", tmp_path / "shared" / "rec.jsonl"
    folder.mkdir()
    folder.chmod(0o1777)
    own, large, taken, later, elsewhere = (
        folder / f"rec.{name}.jsonl"
        for name in (
            "20260101T000000Z.0001", "20260102T000000Z.0001", "20260921T141320Z.0001", "99991231T000000Z.0001",
            "20260103T000000Z.0001",
        )
    )  # fmt: skip
    for each in (own, large, taken, later):
        each.write_text("x")
    for each in (large, taken):
        os.chown(each, 1021, 1021)
    for each in (large, later):
        os.truncate(each, 100 << 30)
    elsewhere.symlink_to(own)
    found = written(path, run, Limits(max_bytes=1 << 20))
    assert {own, large, taken, later, elsewhere} <= set(folder.iterdir())
    assert [each.name[-10:-6] for each in found[:3]] == ["0001", "0002", "0003"]
    assert not {large, taken, later, elsewhere} & set(found)
    assert list(read(path)) == run


@pytest.mark.root
def test_nothing_goes_in_a_folder_that_a_link_of_somebody_else_leads_to(tmp_path: Path) -> None:
    secure, shared = tmp_path / "secure", tmp_path / "shared"
    for each in (secure, shared):
        each.mkdir()
    shared.chmod(0o1777)
    old = secure / "rec.20260101T000000Z.0001.jsonl"
    old.write_text("x")
    os.utime(old, (0, 0))
    (shared / "logs").symlink_to(secure)
    os.lchown(shared / "logs", 1021, 1021)
    with pytest.raises(RecordError, match="behind, a symlink that somebody else can have put there"):
        Recorder(INFO, category, path=shared / "logs" / "rec.jsonl", limits=Limits(keep_s=3600)).start()
    assert list(secure.iterdir()) == [old]


@pytest.mark.usefixtures("often")
def test_a_folder_that_goes_away_is_said_and_what_there_is_stays(tmp_path: Path, run: list[Snapshot]) -> None:
    path = tmp_path / "folder" / "rec.jsonl"
    path.parent.mkdir()
    recorder = Recorder(INFO, category, path=path, limits=SMALL)
    recorder.start()
    recorder.add(run[0])
    shutil.move(path.parent, tmp_path / "moved")
    for each in run[1:]:
        recorder.add(each)
    recorder.finish(run[-1])
    assert "cannot write the recording" in (recorder.failure or "")
    assert 0 < len(list(read(tmp_path / "moved" / "rec.jsonl"))) < TICKS


@pytest.mark.usefixtures("often")
def test_a_damaged_beginning_is_one_line(tmp_path: Path, run: list[Snapshot]) -> None:
    part = written(tmp_path / "rec.jsonl", run)[1]
    lines = part.read_bytes().splitlines(keepends=True)
    for damage in (b"{}\n", b'{"kind":"keyframe","elapsed_ns":1,"state":"AAAA"}\n', b"x"):
        part.write_bytes(lines[0] + damage)
        with pytest.raises(UnreadableError, match=r"line 2: it is damaged"):
            opened(part)


@pytest.mark.root
def test_a_real_run_that_is_killed_loses_a_tick_at_most(tmp_path: Path) -> None:
    words = ["--no-tui", "--interval", "0.1", "-o", "rec.jsonl", "--max-size", "4M", "--keep", "1h"]
    busy = "while :; do ls -d /usr/bin /nonexistent; done"
    command = [*DENET, "run", *words, "--output", "null", "--", "timeout", "30", "sh", "-c", busy]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL) as process:
        eventually(lambda: len(parts_of(tmp_path / "rec.jsonl")) > 2, "there are parts")
        process.kill()
    found = parts_of(tmp_path / "rec.jsonl")
    times = [each.time_ns for each in read(tmp_path / "rec.jsonl")]
    assert len(times) > 2
    apart = [b - a for a, b in itertools.pairwise(times)]
    assert max(apart) < 40 * 10**8
    assert all(list(read(each)) for each in found[:-1])
    done = subprocess.run([*DENET, "report", "rec.jsonl"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "growing, or cut off" in done.stdout
    assert "ENOENT" in done.stdout or "ls" in done.stdout


def test_limits_without_a_file_and_odd_ones_are_one_line() -> None:
    odd = (
        (["--keep", "7d"], "name its file with -o FILE"),
        (["-o", "/nonexistent/x", "--keep", "7"], "is not a whole number and one of s, m, h, d"),
        (["-o", "/nonexistent/x", "--max-size", "200k"], "200k is less than 1M, the least"),
        (["-o", "/nonexistent/x", "--keep", "5S"], "5S is less than 1m, the least"),
    )
    commands = [["run", "--no-tui", *words, "--", "true"] for words, _ in odd]
    for (_, says), done in zip(odd, forked.each(commands), strict=True):
        assert done.returncode in (2, 125)
        (line,) = done.stderr.splitlines()
        assert says in line
    assert keyframe.TIMES
