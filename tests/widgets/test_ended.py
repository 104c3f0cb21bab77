"""Ended processes in the tree: folded by name below the living, and opened again."""

from denet_tui.detail import NO_USAGE
from denet_tui.model import ProcessInfo
from denet_tui.widgets.process_rows import Grouping, GroupRow
from denet_tui.widgets.processes import ProcessTree
from denet_tui.widgets.whole_command import whole_command
from tests.screens.live.double import counters
from tests.widgets.test_processes import NOW_NS, drawn, pids, process, shown, snapshot, texts


def build_of(count: int) -> list[ProcessInfo]:
    """A make with a compiler that lives; below it so many that have ended, and two compilers, one of which failed."""
    done = {"end_ns": 99, "status": 0, "usage": NO_USAGE}
    compilers = [process(20 + at, 10, "gcc", **done | {"status": at and 256}) for at in range(2)]
    assemblers = [process(30 + at, 20 + at, "as", **done) for at in range(2)]
    trues = [process(100 + at, 10, "true", **done) for at in range(count)]
    return [process(10, 1, "make"), *compilers, *assemblers, *trues, process(5000, 10, "gcc")]


def said(tree: ProcessTree) -> list[str]:
    return [line[1:].rstrip() for line in texts(tree)[1:]]


def test_ended_processes_are_folded_by_name_below_the_living() -> None:
    tree = drawn(60, build_of(118))
    assert [line.split("  ")[0] for line in said(tree)] == [
        "make",
        "├─gcc",
        "├─2 \u00d7 gcc with 2 below, ended, 1 failed, 4,936 calls",
        "└─118 \u00d7 true, ended, 145,612 calls",
    ]
    tree.toggle_ended()
    assert len(tree.rows) == 1 + 4 + 118 + 1
    assert pids(tree)[:2] == [10, 5000]
    tree.toggle_ended()
    assert len(tree.rows) == 4


def test_a_line_of_ended_processes_is_opened_where_it_stands() -> None:
    tree = drawn(60, build_of(3))
    tree.action_move(2)
    assert whole_command(tree.current)[1].startswith("2 \u00d7 gcc with 2 below, ended, 1 failed, 4,936 calls")
    tree.action_narrow()
    assert pids(tree) == [10, 5000, 20, 30, 21, 31]
    assert tree.cursor == 2
    tree.action_group("name")
    assert isinstance(tree.current, GroupRow)
    assert tree.current.title == "gcc"
    tree.action_group("name")
    tree.action_edge(-1)
    tree.action_group("name")
    assert tree.current.title == "true"


def test_who_has_just_ended_or_has_somebody_alive_below_keeps_a_line() -> None:
    just = [process(pid, 10, "true", end_ns=NOW_NS - 1_000, status=0) for pid in (40, 41)]
    tree = drawn(60, [process(10, 1, "make"), *just, process(50, 10, "sh", end_ns=99), process(60, 50, "sleep")])
    assert shown(tree) == ["make", "├─sh", "│ └─sleep", "├─true", "└─true"]
    later = snapshot(tree._processes)._replace(time_ns=NOW_NS + 4_000_000_000)
    tree.take(later, lambda _: ())
    assert [line.split("  ")[0] for line in said(tree)] == [
        "make",
        "├─sh",
        "│ └─sleep",
        "└─2 \u00d7 true, ended, 2,468 calls",
    ]
    tree.filter("true")
    assert pids(tree) == [10, 40, 41]


def test_what_ended_last_is_folded_once_the_run_has_ended() -> None:
    done = [process(pid, 10, "true", end_ns=NOW_NS, status=pid << 8 & 256) for pid in (40, 41)]
    tree = drawn(60, [process(10, 1, "make"), *done])
    assert len(tree.rows) == 3
    made = process(10, 1, "make", end_ns=NOW_NS, status=0)
    tree.take(snapshot([made, *done])._replace(status=0, running=False), lambda _: ())
    assert said(tree)[1] == "└─2 \u00d7 true, ended, 1 failed, 2,468 calls"
    assert len(tree.rows) == 2


def test_a_line_below_the_last_row_has_those_that_are_no_longer_in_the_list() -> None:
    tree = drawn(60, build_of(3))
    assert len(tree.rows) == 4
    assert tree.render_line(5).text.strip() == ""
    listed = sum(process.total.calls for process in tree._processes)
    whole = snapshot(tree._processes)._replace(forgotten=1425)
    whole = whole._replace(total=counters(listed + 37_962, errors=3))
    views: tuple[tuple[Grouping | None, int], ...] = ((None, 4), ("name", 4), ("cgroup", 1))
    for view, count in views:
        tree.grouped = view
        tree.take(whole, lambda _: ())
        assert len(tree.rows) == count
        assert tree.render_line(count + 1).text.rstrip() == " + 1,425 ended, 37,962 calls, no longer in the list"
        tree.action_edge(-1)
        tree.action_move(1)
        assert tree.cursor == count - 1
    tree.take(whole, lambda _: (), errors=True)
    assert tree.render_line(2).text.rstrip() == " + 1,425 ended, 3 errors, no longer in the list"
    tree.take(whole._replace(forgotten=0), lambda _: ())
    assert tree.render_line(2).text.strip() == ""
