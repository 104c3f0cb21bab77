"""What calls were about, added up: what finds no room is counted, and stays in the sums."""

from __future__ import annotations

from collections import Counter

from denet_tui.bpf.files import About
from denet_tui.touched import KEPT, FailedPath, File, Use
from denet_tui.watch.touches import Touches


def test_a_full_table_keeps_the_sum_and_says_what_it_turned_away() -> None:
    touches, away = Touches(), Counter[str]()
    more = 7

    def turn_away(table: str) -> None:
        away[table] += 1

    used = [(1, File("tcp", f"tcp {at}"), Use(1, 1, 0, 10)) for at in range(KEPT + more)]
    failed = [(FailedPath("openat", 2, f"/{at}"), 1) for at in range(KEPT + more)]
    touched = touches.add(About(used, failed, [], {}), lambda tgid: tgid + 1, turn_away)
    assert away == {"files": more, "paths": more}
    assert touched.files[File("tcp", None)] == Use(more, more, 0, 10 * more)
    assert sum(use.read_bytes for use in touched.files.values()) == 10 * (KEPT + more)
    assert {pid for pid, _ in touched.by_process} == {2}
    assert len(touched.failed) == len(touched.by_process) == KEPT
    again = touches.add(About(used[:1], failed[:1], [], {}), lambda tgid: tgid + 1, turn_away)
    assert again.files[used[0][1]].opens == 2
    assert away.total() == 2 * more
    assert "/" in touched.mounts
