"""What of a recording is missing or damaged is named, with its time; what comes after it is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from denet_tui.detail import Detail, Gap
from denet_tui.model import Snapshot
from denet_tui.record.parts import Limits, between
from denet_tui.record.read import UnreadableError
from denet_tui.record.totals import Totals
from denet_tui.widgets.header import facts
from tests.record.made import INFO
from tests.record.test_parts import written
from tests.record.test_playback import TICKS, long_run, played
from tests.record.test_read import opened, read, recorded
from tests.watch.helpers import denet


def _gone(part: Path) -> str:
    part.unlink()
    return f"{part.name} is missing"


def _broken(part: Path) -> str:
    held = part.read_bytes()
    middle = len(held) // 2
    part.write_bytes(held[:middle] + bytes(500) + held[middle + 500 :])
    return part.name


def _cut(part: Path) -> str:
    part.write_bytes(part.read_bytes()[: part.stat().st_size // 2])
    return part.name


def _headless(part: Path) -> str:
    part.write_bytes(b"x" * 100 + part.read_bytes()[100:])
    return f"{part.name} is damaged from line 1 on"


def _empty(part: Path) -> str:
    part.write_bytes(b"")
    return part.name


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz"])
@pytest.mark.parametrize("harm", [_gone, _broken, _cut, _headless, _empty])
@pytest.mark.usefixtures("often")
def test_a_part_that_is_missing_or_damaged_is_named_with_its_time(
    tmp_path: Path, run: list[Snapshot], ending: str, harm: Callable[[Path], str]
) -> None:
    path = tmp_path / f"rec.{ending}"
    found = written(path, run, Limits(max_bytes=400_000 if ending == "jsonl" else 40_000))
    assert len(found) > 4
    lost, after = list(read(found[2])), next(read(found[3]))
    says = harm(found[2])
    left = Totals.of(opened(path))
    assert says in left.doubt
    assert left.doubt.endswith(f" s to {after.elapsed_ns / 1e9 - 0.5:.1f} s")
    assert "known to be missing" not in left.doubt
    (gap,) = left.last.detail.gaps
    assert lost[0].elapsed_ns - 500_000_000 <= gap.from_ns < gap.until_ns == lost[-1].elapsed_ns
    assert (left.last.total, left.last.syscalls, left.last.exact) == (run[-1].total, run[-1].syscalls, False)
    assert {name: each.processes for name, each in left.programs.items()} == {"cc1": 2}
    assert (left.as_object()["complete"], left.as_object()["missing"]) == (False, [gap.words])
    assert gap.words in [text for _, text in left.moments]
    with played(path) as one:
        last = one.comes_to(TICKS / 2)
        one.playback.seek(1)
        assert one.comes_to(1) == run[1]
        one.playback.seek((gap.from_ns + gap.until_ns) / 2e9)
        there = one.comes_to(after.elapsed_ns / 1e9)
        assert one.playback.latest == there
        one.playback.step(-2)
        one.playback.jump("loss", 1)
        one.says(gap.words)
    assert (there.syscalls, there.detail.gaps) == (after.syscalls, (gap,))
    header = facts(INFO, there)
    assert (header.badge, header.exact, header.remarks[0]) == (" has gaps ", False, gap.words)
    assert last.total == run[-1].total
    decided = denet("diff", str(path), str(path), "--fail-on", "read.calls > 1")
    assert (decided.returncode, gap.words in decided.stderr) == (125, True)
    text = denet("report", str(path)).stdout
    assert gap.words in text
    assert "known to be missing" not in text + decided.stdout


@pytest.mark.usefixtures("often")
def test_the_last_part_has_nothing_after_it_and_is_named_with_its_line(tmp_path: Path, run: list[Snapshot]) -> None:
    path = tmp_path / "rec.jsonl"
    part = written(path, run)[-1]
    lines = part.read_bytes().splitlines(keepends=True)
    part.write_bytes(b"".join([*lines[:3], b"{\n", *lines[4:]]))
    with pytest.raises(UnreadableError, match=rf"rec\.jsonl, {part.name}, line 4: it is not JSON"):
        Totals.of(opened(path))


def test_a_tick_that_is_left_out_is_told_by_its_time(tmp_path: Path) -> None:
    path = recorded(tmp_path / "rec.jsonl", long_run())
    lines = path.read_bytes().splitlines(keepends=True)
    trees = [number for number, line in enumerate(lines) if line.startswith(b'{"kind":"tree"')]
    path.write_bytes(b"".join(line for number, line in enumerate(lines) if number not in trees[3:5]))
    assert Totals.of(opened(path)).doubt == "ticks are missing: nothing is known of 1.5 s to 2.5 s"
    lines[trees[5]] = b'{"kind":"tree","left_out":2' + lines[trees[5]].removeprefix(b'{"kind":"tree"')
    path.write_bytes(b"".join(line for number, line in enumerate(lines) if number not in trees[3:5]))
    assert Totals.of(opened(path)).doubt == "the recording lacks 2 ticks: its reader was too slow for them"


def test_of_many_gaps_the_last_stands_for_the_rest() -> None:
    detail = Detail()
    for number in range(1000):
        detail = detail.with_gap(Gap("ticks are missing", number * 10**9, number * 10**9 + 1))
    assert len(detail.gaps) == 5
    assert detail.gaps[-1].words == "more is missing: nothing is known of 4.0 s to 999.0 s"


def test_which_parts_are_missing_is_told_by_their_names() -> None:
    names = [f"a.20260921T141320Z.{number}.jsonl.zst" for number in ("0003", "0004", "0006", "9999", "10001")]
    fifth = "a.20260921T141320Z.0005.jsonl.zst"
    assert between(names[0], names[1], {}) == f"the end of {names[0]} is missing"
    assert between(names[1], names[2], {}) == f"{fifth} is missing"
    assert between(names[0], names[2], {fifth: "is of another recording"}) == f"{names[1]} to {fifth} is missing"
    assert between(names[1], names[2], {fifth: "is of another recording"}) == f"{fifth} is of another recording"
    assert between(*names[3:], {}) == "a.20260921T141320Z.10000.jsonl.zst is missing"
