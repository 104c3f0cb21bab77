"""The process tree, line by line, without an app."""

from collections.abc import Sequence

import pytest

from denet_tui.detail import NO_USAGE, Time, Usage, Wait
from denet_tui.model import InFlight, ProcessInfo, Snapshot, Syscall
from denet_tui.widgets.narrowing import InCgroup
from denet_tui.widgets.process_rows import Blocked, Grouping, GroupRow, ProcessRow, blocked, group_rows, parents
from denet_tui.widgets.processes import ProcessTree
from denet_tui.widgets.whole_command import whole_command
from tests.screens.live.double import Build, counters
from tests.widgets.still import Tree

FUTEX, WAIT, SOCKET = Syscall(0, 202, "futex"), Syscall(0, 61, "wait4"), Syscall(0, 41, "socket")
NOW_NS = 90_000_000_000


def process(pid: int, ppid: int, comm: str, **more: object) -> ProcessInfo:
    made = ProcessInfo(
        pid, pid, ppid, comm, (), start_ns=pid, usage=Usage(12.0, 5_000_000, threads=2), delta=counters(50),
        total=counters(1234),
    )  # fmt: skip
    return made._replace(**more)


FAMILY = (
    process(10, 1, "make"),
    process(11, 10, "sh", delta=counters(0)),
    process(12, 10, "cc", end_ns=99, status=3 << 8, delta=counters(0), usage=NO_USAGE),
    process(13, 11, "awk", end_ns=99, status=9, usage=NO_USAGE, errnos={(SOCKET, 2): 1}),
    process(14, 10, "ld", cmdline=("/usr/bin/ld", "-o", "a.out"), delta=counters(90, errors=3), syscalls={SOCKET: 1}),
)


def snapshot(processes: Sequence[ProcessInfo] = FAMILY, in_flight: Sequence[InFlight] = ()) -> Snapshot:
    return Build(1, 0).step()._replace(processes=tuple(processes), in_flight=tuple(in_flight), time_ns=NOW_NS)


def drawn(width: int, processes: Sequence[ProcessInfo] = FAMILY, in_flight: Sequence[InFlight] = ()) -> ProcessTree:
    tree = Tree(width)
    tree.take(snapshot(processes, in_flight), lambda _: (1, 2))
    return tree


def texts(tree: ProcessTree) -> list[str]:
    return [tree.render_line(y).text for y in range(len(tree.rows) + 1)]


def shown(tree: ProcessTree) -> list[str]:
    """Guide and command of every line."""
    return [row.guide + row.name for row in tree.rows if isinstance(row, ProcessRow)]


def pids(tree: ProcessTree) -> list[int]:
    return [row.process.pid for row in tree.rows if isinstance(row, ProcessRow)]


def inside(pid: int, call: Syscall, seconds: float) -> InFlight:
    return InFlight(pid, pid, call, int(NOW_NS - seconds * 1e9))


def test_children_stand_under_their_parent_in_the_order_of_their_start() -> None:
    assert shown(drawn(60)) == ["make", "├─sh", "│ └─awk", "├─ld -o a.out", "└─cc"]


def test_a_used_again_pid_has_its_own_children() -> None:
    again = (process(10, 1, "a"), process(11, 10, "b"), process(10, 1, "c", start_ns=50), process(12, 10, "d"))
    assert parents(again) == [-1, 0, -1, 2]


def test_deep_in_the_tree_there_is_room_for_the_name() -> None:
    chain = [process(pid, pid - 1, f"name{pid}") for pid in range(100, 112)]
    tree = drawn(44, chain)
    assert [line[1:20].rstrip() for line in texts(tree)[1:8]] == [
        "name100", "└─name101", "  └─name102", "    └─name103", "      └─name104", "…     └─name105", "…     └─name106"
    ]  # fmt: skip
    tree.action_edge(-1)
    assert tree.copied().startswith("name111  pid 111  ")


def test_who_has_lost_its_parent_is_a_root() -> None:
    assert shown(drawn(60, FAMILY[1:])) == ["sh", "└─awk", "ld -o a.out", "cc"]


def test_lines() -> None:
    tree = drawn(46, in_flight=[inside(11, WAIT, 3.2)])
    assert texts(tree) == [
        " process                 end      cpu% calls/s",
        "▸make                               12     100",
        " ├─sh                               12   wait4",
        " │ └─awk                 SIGKILL             -",
        " ├─ld -o a.out                      12     180",
        " └─cc                    exit 3              -",
    ]


def test_columns_that_say_nothing_in_any_line_are_not_there() -> None:
    idle = [process(pid, 1, "idle", usage=NO_USAGE, delta=counters(0)) for pid in (10, 11)]
    tree = drawn(200, idle)
    assert texts(tree)[0].split() == ["process", "pid", "calls/s", "trend", "calls"]
    tree.take(snapshot([*idle, process(12, 1, "busy", delta=counters(9, errors=2))]), lambda _: ())
    busy = ["process", "pid", "cpu%", "rss", "thr", "calls/s", "trend", "err/s", "calls"]
    assert texts(tree)[0].split() == busy
    tree.take(snapshot(idle), lambda _: ())
    assert texts(tree)[0].split() == busy


def test_a_command_line_that_is_too_long_keeps_what_tells_it_from_its_like() -> None:
    argv = ("/usr/bin/gcc", "-O2", "-I/home/a/project/include", "-c", "-o", "src/lexer/parse.o", "src/lexer/parse.c")
    tree = drawn(60, [process(10, 1, "gcc", cmdline=argv)])
    assert texts(tree)[1].split()[:3] == ["▸gcc", "…", "src/lexer/parse.c"]
    assert whole_command(tree.current) == ("10 ", " ".join(argv))


def test_lines_where_there_is_room_for_everything() -> None:
    tree = drawn(120, in_flight=[inside(11, WAIT, 3.2)])
    first = [line.split() for line in texts(tree)]
    assert first[0] == [
        "process", "pid", "end", "cpu%", "rss", "thr", "calls/s", "trend", "blocked", "in", "err/s", "calls"
    ]  # fmt: skip
    assert first[2] == ["├─sh", "11", "12", "4.8M", "2", "0", "▄▇", "wait4", "3.2s", "0", "1,234"]
    assert first[5] == ["└─cc", "12", "exit", "3", "-", "1,234"]
    assert first[4] == ["├─ld", "-o", "a.out", "14", "12", "4.8M", "2", "180", "▄▇", "6.0", "1,234"]


def test_the_dead_have_no_rate() -> None:
    assert [row.rate for row in drawn(60).rows] == [100, 0, 0, 180, 0]


@pytest.mark.parametrize("width", [30, 38, 46, 60, 75, 110, 200])
@pytest.mark.parametrize("grouped", [None, "name", "cgroup"])
def test_every_line_is_as_wide_as_the_tree(width: int, grouped: Grouping | None) -> None:
    tree = drawn(width, in_flight=[inside(11, Syscall(0, 230, "clock_nanosleep"), 72)])
    tree.grouped = grouped
    tree.renew()
    assert {tree.render_line(y).cell_length for y in range(8)} == {width}


def test_long_process_ids_get_their_room() -> None:
    assert " 4194303 " in drawn(75, (process(4_194_303, 1, "x"),)).render_line(1).text


def test_hostile_names_are_shown_harmlessly() -> None:
    assert "a\\x1b]0;x\\x07b" in drawn(50, (process(1, 0, "a\x1b]0;x\x07b"),)).render_line(1).text


# Blocked


def test_blocked_is_the_longest_call_and_only_a_long_one() -> None:
    calls = [inside(10, FUTEX, 5), inside(10, WAIT, 9), inside(11, FUTEX, 0.9), inside(12, FUTEX, -0.1)]
    assert blocked(calls, NOW_NS) == {10: Blocked("wait4", 9_000_000_000)}


def test_a_process_that_calls_something_shows_its_rate_in_place_of_what_a_thread_waits_in() -> None:
    line = drawn(46, in_flight=[inside(10, FUTEX, 30)]).render_line(1).text
    assert "futex" not in line
    assert "100" in line


def test_the_dead_are_not_blocked() -> None:
    assert not any("futex" in line for line in texts(drawn(110, in_flight=[inside(12, FUTEX, 30)])))


# The end


def test_the_dead_say_how_many_calls_failed() -> None:
    ended = process(10, 1, "make", end_ns=99, status=0, total=counters(1234, errors=7))
    assert texts(drawn(110, [ended]))[1].split() == ["▸make", "10", "exit", "0", "-", "1,234", "7"]


def test_after_the_end_there_are_totals_and_no_rates() -> None:
    tree = Tree(75)
    ended = [each._replace(end_ns=99, status=0) for each in FAMILY]
    tree.take(snapshot(ended)._replace(running=False, status=0), lambda _: (1, 2))
    for _ in range(2):
        assert [row.rate for row in tree.rows] == [0] * 5
        assert all("1,234" in line for line in texts(tree)[1:])
        tree.action_group("name")


# Order


@pytest.mark.parametrize(
    ("key", "order"),
    [("", [10, 11, 13, 14, 12]), ("pid", [10, 11, 12, 13, 14]), ("name", [13, 12, 14, 10, 11]),
     ("rate", [14, 10, 11, 12, 13]), ("errors", [14, 10, 11, 12, 13]), ("cpu", [10, 11, 14, 12, 13])],
)  # fmt: skip
def test_sorted_by_a_column_it_is_a_list(key: str, order: list[int]) -> None:
    tree = drawn(110)
    tree.sort_by(key)
    assert pids(tree) == order
    assert any(row.guide for row in tree.rows if isinstance(row, ProcessRow)) == (not key)


def test_reversed_the_tree_has_the_newest_first() -> None:
    tree = drawn(60)
    tree.action_reverse()
    assert pids(tree) == [10, 14, 11, 13, 12]


def test_sorting_begins_and_ends_with_the_tree() -> None:
    tree = drawn(110)
    texts(tree)
    seen = []
    for _ in range(10):
        tree.action_sort()
        seen.append(tree.sort_key)
    assert seen == ["name", "pid", "end", "cpu", "rss", "threads", "rate", "errors", "calls", ""]


# Folding


def test_folding_says_how_many_it_hides_and_stays_through_snapshots() -> None:
    tree = drawn(60)
    tree.action_move(1)
    tree.action_fold()
    assert pids(tree) == [10, 11, 14, 12]
    assert "├─[+1] sh" in tree.render_line(2).text
    tree.take(snapshot((*FAMILY, process(15, 11, "new"))), lambda _: ())
    assert pids(tree) == [10, 11, 14, 12]
    assert "├─[+2] sh" in tree.render_line(2).text
    tree.action_unfold()
    assert pids(tree) == [10, 11, 15, 13, 14, 12]


def test_what_cannot_be_folded_goes_up_and_what_is_unfolded_goes_down() -> None:
    tree = drawn(60)
    tree.action_edge(-1)
    tree.action_fold()
    assert tree.cursor == 0
    tree.action_unfold()
    assert tree.cursor == 1
    tree.action_unfold()
    assert tree.cursor == 2
    tree.action_unfold()
    assert tree.cursor == 2


def test_the_parent_of_a_root_is_itself() -> None:
    tree = drawn(60)
    tree.action_move(2)
    for cursor in (1, 0, 0):
        tree.action_parent()
        assert tree.cursor == cursor


def test_the_parent_is_found_in_a_list_as_well() -> None:
    tree = drawn(110)
    tree.sort_by("pid")
    tree.action_edge(-1)
    tree.action_parent()
    assert tree.cursor == 0


# Filter


@pytest.mark.parametrize(
    ("text", "left"),
    [("awk", [10, 11, 13]), ("ld", [10, 14]), ("a.out", [10, 14]), ("ENOENT", [10, 11, 13]), ("%network", [10, 14]),
     ("ld %network", [10, 14]), ("awk %network", []), ("12", [10, 12])],
)  # fmt: skip
def test_a_filtered_tree_keeps_what_stands_above(text: str, left: list[int]) -> None:
    tree = drawn(110)
    tree.filter(text)
    assert pids(tree) == left
    if left:
        assert tree.cursor == len(left) - 1
    tree.sort_by("pid")
    assert pids(tree) == left[-1:]


def test_the_next_match_is_not_one_that_only_stands_above() -> None:
    tree = drawn(110)
    tree.filter("1")
    tree.filter("s")
    tree.filter("c")
    tree.filter("awk")
    tree.action_edge(0)
    tree.action_match(1)
    assert tree.cursor == 2
    tree.action_match(1)
    assert tree.cursor == 2


# Groups


def test_groups_count_calls_of_all_and_use_of_the_living() -> None:
    ended = process(16, 10, "sh", end_ns=99, usage=NO_USAGE)
    found = group_rows((*FAMILY, process(15, 10, "sh"), ended), 0.5, {15: Blocked("x", 1)}, "name")
    groups = {group.group: group for group in found}
    shell = groups["sh"]
    assert (shell.living, len(shell.members), shell.rate, shell.calls) == (2, 3, 200.0, 3 * 1234)
    assert (shell.cpu, shell.rss, shell.threads, shell.blocked) == (24.0, 10_000_000, 4, Blocked("x", 1))
    assert sum(group.calls for group in groups.values()) == 7 * 1234


def test_a_line_for_every_command_name() -> None:
    tree = drawn(75, (*FAMILY, process(15, 10, "sh", end_ns=99)))
    tree.action_group("name")
    assert [line.split()[:2] for line in texts(tree)] == [
        ["process", "n"], ["▸awk", "0/1"], ["cc", "0/1"], ["ld", "1"], ["make", "1"], ["sh", "1/2"]
    ]  # fmt: skip
    assert tree.everything() == 5
    tree.sort_by("rate")
    assert [row.group for row in tree.rows if isinstance(row, GroupRow)] == ["ld", "awk", "make", "sh", "cc"]
    tree.filter("%network")
    assert [row.group for row in tree.rows if isinstance(row, GroupRow)] == ["ld"]
    # What only a single process has does nothing here.
    for action in (tree.action_fold, tree.action_unfold, tree.action_parent):
        action()


def test_a_line_for_every_cgroup() -> None:
    web, shell = "/system.slice/nginx.service", "/user.slice/user-1000.slice/session-3.scope"
    other = f"/system.slice/docker-{'0123456789abcdef' * 4}.scope"
    some = (
        process(10, 1, "nginx", cgroup=web),
        process(11, 10, "gone", end_ns=99),  # too soon for its own to be seen
        process(12, 1, "sh", cgroup=shell),
        process(13, 12, "job", cgroup=other),
        process(14, 1, "kept"),
    )
    tree = drawn(75, some)
    tree.action_group("cgroup")
    assert [line[1:24].split() for line in texts(tree)] == [
        ["cgroup"], ["cgroup", "not", "known"], ["docker-0123456789ab"], ["nginx.service"], ["session-3.scope"]
    ]  # fmt: skip
    assert [len(row.members) for row in tree.rows if isinstance(row, GroupRow)] == [1, 1, 2, 1]
    assert tree.everything() == 4
    assert InCgroup(web, "nginx.service").inside(some) == [*some[:2]]
    assert InCgroup("", "").inside(some) == [some[4]]
    tree.action_group("cgroup")
    assert tree.as_tree


def test_cgroups_of_one_name_are_told_by_their_paths() -> None:
    paths = [f"/user.slice/user-{uid}.slice/user@{uid}.service/app.slice/vim.scope" for uid in (1, 2)]
    rows = group_rows([process(pid, 1, "vim", cgroup=path) for pid, path in enumerate(paths, 10)], 1, {}, "cgroup")
    assert [row.name for row in rows] == paths


def test_the_trend_of_a_group_is_the_sum_of_all_of_it() -> None:
    tree = drawn(75, (process(1, 0, "a"), process(2, 1, "a"), process(3, 1, "a", end_ns=9)))
    tree.action_group("name")
    (group,) = tree.rows
    assert tree._trend(group) == [3, 6]


# Text


def test_names_in_place_of_command_lines() -> None:
    tree = drawn(60)
    tree.action_arguments()
    assert texts(tree)[4].split()[0] == "├─ld"
    assert "-o" not in texts(tree)[4]


def test_a_row_is_copied_whole() -> None:
    tree = drawn(46, in_flight=[inside(14, FUTEX, 3.2)])
    tree.action_move(3)
    assert tree.copied() == (
        "ld -o a.out  pid 14  cpu% 12  rss 4.8M  thr 2  calls/s 180  futex 3.2s  err/s 6.0  calls 1,234"
    )
    tree.action_move(1)
    assert tree.copied() == "cc  pid 12  exit 3  calls 1,234"


def test_where_the_time_went_is_a_bar_where_there_is_room_and_it_is_known() -> None:
    assert "time" not in texts(drawn(200))[0]  # nothing is known of any
    waiting = Time(0, 0, 0, 100, {WAIT: Wait(75)})
    timed = [each._replace(time=waiting) for each in FAMILY[:4]]
    busy = FAMILY[4]._replace(comm="cc", time=Time(50, 25, 25, 0))
    tree = drawn(200, [*timed, busy])
    cells = {row.process.pid: tree.draw(row, column, 8) for row in tree.rows for column in tree.visible_columns
             if column.key == "time"}  # fmt: skip
    assert cells[10] == (("░░······", "spark"),)
    assert cells[12] == (("░░······", "dim"),)
    assert cells[14] == (("████▓▓▒▒", "spark"),)
    assert "time" not in [column.key for column in drawn(60, [*timed, busy]).visible_columns]
    tree.sort_by("time")
    assert pids(tree)[0] == 14
    tree.action_group("name")
    assert tree.draw(tree.rows[0], next(each for each in tree.COLUMNS if each.key == "time"), 8)[0][0] == "██▓▒░···"
