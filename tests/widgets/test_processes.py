"""The process tree, line by line, without an app."""

import dataclasses

import pytest

from denet_tui.model import ProcessInfo, Usage
from denet_tui.widgets.processes import ProcessRow, ProcessTree, parents, process_rows
from tests.screens.double import counters


class Tree(ProcessTree):
    """A tree that is `width` cells wide without a screen."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width_now = width

    @property
    def line_width(self) -> int:
        return self.width_now


def process(pid: int, ppid: int, comm: str, **more: object) -> ProcessInfo:
    made = ProcessInfo(
        pid, pid, ppid, comm, (), start_ns=pid, usage=Usage(12.0, 5_000_000, threads=2), delta=counters(50)
    )
    return dataclasses.replace(made, **more)


FAMILY = (
    process(10, 1, "make"),
    process(11, 10, "sh"),
    process(12, 10, "cc", end_ns=99, status=3 << 8, delta=counters(0)),
    process(13, 11, "awk", end_ns=99, status=9),
    process(14, 10, "ld", cmdline=("/usr/bin/ld", "-o", "a.out")),
)


def rows(processes: tuple[ProcessInfo, ...] = FAMILY) -> list[ProcessRow]:
    return process_rows(processes, 500_000_000, lambda _: (1, 2))


def test_children_stand_under_their_parent_in_the_order_of_their_start() -> None:
    assert [row.guide + row.name for row in rows()] == ["make", "├─sh", "│ └─awk", "├─cc", "└─ld -o a.out"]


def test_a_used_again_pid_has_its_own_children() -> None:
    again = (process(10, 1, "a"), process(11, 10, "b"), process(10, 1, "c", start_ns=50), process(12, 10, "d"))
    assert parents(again) == [-1, 0, -1, 2]


def test_who_has_lost_its_parent_is_a_root() -> None:
    assert [row.guide + row.name for row in rows(FAMILY[1:])] == ["sh", "└─awk", "cc", "ld -o a.out"]


def test_lines() -> None:
    tree = Tree(52)
    tree.show(rows())
    assert [tree.render_line(y).text for y in range(6)] == [
        "  pid process         cpu%  rss  thr calls/s trend  ",
        "▸  10 make              12 4.8M    2     100      ▄▇",
        "   11 ├─sh              12 4.8M    2     100      ▄▇",
        "   13 │ └─awk           SIGKILL            -      ▄▇",
        "   12 ├─cc               exit 3            -      ▄▇",
        "   14 └─ld -o a.out     12 4.8M    2     100      ▄▇",
    ]


def test_the_dead_say_how_they_ended_and_have_no_rate() -> None:
    tree = Tree(60)
    tree.show(rows())
    awk, cc = tree.render_line(3).text, tree.render_line(4).text
    assert "SIGKILL" in awk
    assert "exit 3" in cc
    assert "4.8M" not in awk
    assert rows()[2].rate == 0


def test_rates_are_of_the_process_alone() -> None:
    assert [row.rate for row in rows()] == [100, 100, 0, 0, 100]


@pytest.mark.parametrize("width", [30, 38, 46, 60, 110])
def test_every_line_is_as_wide_as_the_tree(width: int) -> None:
    tree = Tree(width)
    tree.show(rows())
    assert {tree.render_line(y).cell_length for y in range(8)} == {width}


def test_a_deep_tree_keeps_room_for_names() -> None:
    chain = tuple(process(pid, pid - 1, f"p{pid}") for pid in range(100, 160))
    guides = [row.guide for row in rows(chain)]
    assert max(map(len, guides)) == 24
    assert len(guides) == 60


def test_long_process_ids_get_their_room() -> None:
    tree = Tree(50)
    tree.show(rows((process(4_194_303, 1, "x"),)))
    assert "4194303 x" in tree.render_line(1).text


def test_hostile_names_are_shown_harmlessly() -> None:
    tree = Tree(50)
    tree.show(rows((process(1, 0, "a\x1b]0;x\x07b"),)))
    assert "a\ufffd]0;x\ufffdb" in tree.render_line(1).text
