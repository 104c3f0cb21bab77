"""What calls were about, added up: where there is no room the least is told in sums, which stay exact."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection

import pytest

from denet_tui.bpf.files import About
from denet_tui.detail import Detail
from denet_tui.record.files import Changes, taken
from denet_tui.system.visible import as_json
from denet_tui.touched import FOLDED, FOLDED_FILES, FOLDED_PATHS, KEPT, FailedPath, File, Touched, Use
from denet_tui.watch.touches import Touches
from tests.record.made import snapshot

NONE = Use()
Used = list[tuple[int, File, Use]]


class Build:
    """A build that goes on: processes that end within a tick, beside one that lives (1); and what is read of it."""

    def __init__(self) -> None:
        self.touches, self.changes, self.away = Touches(), Changes(), Counter[str]()
        self.touched = Touched()
        self.read: Touched | None = None
        self.files, self.processes, self.failed = Counter[str](), Counter[int](), 0

    def tick(self, used: Used, failed: Collection[tuple[FailedPath, int]] = ()) -> None:
        for pid, file, use in used:
            self.files["bytes"] += use.read_bytes
            self.processes[pid] += use.read_bytes
            self.files[file.path or ""] += use.read_bytes
        self.failed += sum(count for _, count in failed)
        about = About(used, [*failed], [], {})
        self.touched = self.touches.add(about, lambda tgid: tgid, lambda: {1}, self.turn_away)
        line = self.changes.item(snapshot(1, [], detail=Detail(touched=self.touched)))
        self.read = taken(json.loads(as_json(line)), self.read)

    def turn_away(self, table: str, count: int) -> None:
        self.away[table] += count

    def agrees(self) -> None:
        assert self.read is not None
        assert self.read._replace(folds=0) == self.touched._replace(folds=0), "a recording has the same"
        assert sum(use.read_bytes for use in self.touched.files.values()) == self.files["bytes"]
        assert sum(self.touched.failed.values()) == self.failed
        assert max(map(len, (self.touched.files, self.touched.by_process, self.touched.failed))) <= KEPT + 1


def compiled(pid: int, headers: int = 300) -> Used:
    """The headers that all read, and what one process alone has; of these the last takes most time."""
    own = [(pid, File("file", f"/tmp/{pid}.s"), Use(1, 1, 0, 5)), (pid, File("pipe", f"pipe:[{pid}]"), Use(0, 1, 0, 1))]
    return [(pid, File("file", f"/h{at}"), Use(1, 1, 0, 10, 0, at)) for at in range(headers)] + own


@pytest.mark.slow
def test_a_build_of_any_length_has_room() -> None:
    build, service = Build(), (1, File("file", "/var/db"), Use(0, 1, 0, 3, 0, 1))
    for first in range(100, 500, 10):
        build.tick([each for pid in range(first, first + 10) for each in (*compiled(pid), service)])
    build.agrees()
    files, by_process = build.touched.files, build.touched.by_process
    assert all(files[File("file", f"/h{at}")] == Use(400, 400, 0, 4000, 0, 400 * at) for at in range(300)), "exact"
    assert by_process[1, service[1]].reads == 400
    sums = Counter[int]()
    for (pid, _), use in by_process.items():
        sums[pid] += use.read_bytes
    assert sums == build.processes, "a process's sum is exact, folded or not"
    assert {file for pid, file in by_process if pid == 100} == {
        *(File("file", f"/h{at}") for at in range(295, 300)),
        FOLDED,
    }
    assert build.away == {FOLDED_FILES: build.away[FOLDED_FILES]}
    assert build.away[FOLDED_FILES] > 100_000


@pytest.mark.slow
def test_a_process_that_ended_long_ago_goes_before_one_that_lives_is_folded() -> None:
    build = Build()
    lives = [(1, File("file", f"/lives/{at}"), Use(0, 1, 0, 1)) for at in range(9_000)]
    build.tick(lives)
    for first in range(100, 4_000, 100):
        build.tick([each for pid in range(first, first + 100) for each in compiled(pid, 10)])
    build.agrees()
    assert sum(pid == 1 for pid, _ in build.touched.by_process) == 9_000
    assert not any(pid == 100 for pid, _ in build.touched.by_process)


def test_what_lives_is_folded_where_nothing_else_is_left() -> None:
    build = Build()
    build.tick([(1, File("file", f"/lives/{at}"), Use(0, 1, 0, 1, 0, at)) for at in range(KEPT + 1)])
    build.agrees()
    assert {file.path for _, file in build.touched.by_process} == {*(f"/lives/{KEPT - at}" for at in range(5)), None}
    assert sum(use.read_bytes for use in build.touched.by_process.values()) == KEPT + 1


def test_pipes_and_what_is_deleted_go_first_and_what_lives_uses_last() -> None:
    build = Build()
    build.tick([(1, File("file", "/in-use"), Use(0, 1))])
    build.tick([(2, File("pipe", f"pipe:[{at}]"), Use(0, 1, 0, 1, 0, 10**9)) for at in range(7_000)])
    build.tick([(3, File("file", f"/t{at} (deleted)"), Use(0, 1, 0, 1, 0, 10**9)) for at in range(3_000)])
    build.tick([(4, File("file", f"/f{at}"), Use(0, 1, 0, 1, 0, at)) for at in range(10_000)])
    build.agrees()
    assert {file.kind for file in build.touched.files} == {"file", "folded"}
    assert not any((file.path or "").endswith(" (deleted)") for file in build.touched.files)
    assert File("file", "/in-use") in build.touched.files


@pytest.mark.parametrize("ticks", [1, 3])
def test_the_most_frequent_failures_stay(ticks: int) -> None:
    build = Build()
    for tick in range(ticks):
        some = [(FailedPath("openat", 2, f"/{tick}/{at}"), 1 + at) for at in range(KEPT + 1)]
        build.tick([], some)
    build.agrees()
    assert build.touched.failed[FailedPath("openat", 2, f"/0/{KEPT}")] == KEPT + 1
    assert build.away[FOLDED_PATHS] >= KEPT // 2
    assert "/" in build.touched.mounts
