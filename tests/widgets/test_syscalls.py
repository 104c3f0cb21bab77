"""The syscall table, line by line, without an app."""

from collections.abc import Sequence

import pytest

from denet_tui.counts import percentile
from denet_tui.model import Counters, Errnos, Syscall
from denet_tui.widgets.syscalls import SyscallRow, SyscallTable, syscall_rows
from tests.screens.live.double import Build, counters
from tests.widgets.still import Table

READ, WRITE, FUTEX = (Syscall(0, nr, name) for nr, name in ((0, "read"), (1, "write"), (202, "futex")))
BIND = Syscall(1, 361, "ia32:bind")
COUNTED = {
    READ: counters(1_234_567, each_ns=1_200, errors=4),
    WRITE: counters(20, each_ns=2_000_000),
    FUTEX: Counters(calls=3),
}
RECENT = {READ: counters(50)}
ERRNOS = {(READ, 11): 3, (READ, 4): 1, (BIND, 98): 2}


def rows(rates: Sequence[float] = (1, 2, 3)) -> list[SyscallRow]:
    return syscall_rows(COUNTED, RECENT, 500_000_000, lambda _: rates)


def texts(table: SyscallTable, count: int) -> list[str]:
    return [table.render_line(y).text for y in range(count)]


def taken(table: SyscallTable, errnos: Errnos = ERRNOS) -> SyscallTable:
    """The table with everything of a snapshot."""
    snapshot = (
        Build(1, 0).step()._replace(syscalls={**COUNTED, BIND: counters(7, errors=2)}, recent=RECENT, errnos=errnos)
    )
    table.take(snapshot, lambda _: (1, 2))
    return table


def names(table: SyscallTable) -> str:
    return " ".join(row.name for row in table.rows)


def test_a_line_says_everything_in_line_with_the_titles() -> None:
    table = Table(100)
    table.show(rows())
    assert texts(table, 5) == [
        " syscall                class    calls/s    total↓  time% errors   avg  p50≤  p99≤   max trend      ",
        "▸read                   file         100 1,234,567   97.4      4 1.2µs 2.1µs 2.1µs  11µs         ▂▄▆",
        " write                  file           0        20    2.6      0 2.0ms 2.1ms  18ms  18ms         ▂▄▆",
        " futex                  ipc            0         3      0      0     -     -     -     -         ▂▄▆",
        " " * 100,
    ]


def test_rates_are_per_second_and_shares_of_the_whole() -> None:
    by_name = {row.name: row for row in rows()}
    assert (by_name["read"].rate, by_name["write"].rate) == (100.0, 0.0)
    assert by_name["read"].share + by_name["write"].share == pytest.approx(1)
    assert by_name["futex"].share == 0
    assert by_name["read"].p99 == percentile(COUNTED[READ], 0.99).most_ns
    assert by_name["read"].p50 == percentile(COUNTED[READ], 0.5).most_ns


def test_waiting_for_own_children_is_told_apart_from_work() -> None:
    table = Table(100)
    waits = {Syscall(0, 61, "wait4"): counters(9, each_ns=10**9), Syscall(1, 7, "ia32:waitpid"): counters(1)}
    table.show(syscall_rows({**COUNTED, **waits}, {}, 500_000_000, lambda _: ()))
    assert {row.name: table.draw(row, table.COLUMNS[4], 6)[0][0] for row in table.rows} == {
        "read": "97.4", "write": "2.6", "futex": "0", "wait4": "child", "ia32:waitpid": "child",
    }  # fmt: skip


@pytest.mark.parametrize("width", [34, 48, 60, 72, 84, 120, 200])
def test_every_line_is_as_wide_as_the_table(width: int) -> None:
    table = Table(width)
    table.show(rows())
    assert [table.render_line(y).cell_length for y in range(8)] == [width] * 8


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (49, "name rate total share errors"),
        (73, "name rate total share errors avg p99 max spark"),
        (79, "name rate total share errors avg p50 p99 max spark"),
        (123, "name class rate total share errors avg p50 p99 max spark"),
    ],
)
def test_which_columns_stay(width: int, columns: str) -> None:
    """At 50, 120, 80 and 200 columns of the terminal, a scrollbar left out."""
    table = Table(width)
    table.show(rows())
    assert [column.key for column in table.visible_columns] == columns.split()


@pytest.mark.parametrize(
    ("key", "order"),
    [("total", "read write futex"), ("name", "futex read write"), ("rate", "read futex write"),
     ("avg", "write read futex"), ("errors", "read futex write"), ("max", "write read futex"),
     ("class", "read write futex"), ("p50", "write read futex"), ("p99", "write read futex"),
     ("share", "read write futex")],
)  # fmt: skip
def test_order(key: str, order: str) -> None:
    table = Table(100)
    table.show(rows())
    table.sort_by(key)
    assert names(table) == order
    table.action_reverse()
    # Equal rows stay in the order of their names, whichever way the rest goes.
    turned = {"rate": "futex write read", "errors": "futex write read", "class": "futex read write"}
    assert names(table) == turned.get(key, " ".join(reversed(order.split())))


def test_every_column_but_the_trend_can_be_sorted_by() -> None:
    assert {column.key for column in SyscallTable.COLUMNS} - SyscallTable.ORDERS.keys() == {"spark"}


def test_the_arrow_says_the_column_and_the_direction() -> None:
    table = Table(100)
    table.show(rows())
    assert "total↓" in table.render_line(0).text
    table.action_reverse()
    assert "total↑" in table.render_line(0).text
    table.sort_by("name")
    assert "syscall↑" in table.render_line(0).text


def test_sorting_goes_through_the_visible_columns() -> None:
    table = Table(44)
    table.show(rows())
    seen = []
    for _ in range(4):
        table.action_sort()
        seen.append(table.sort_key)
    visible = [column.key for column in table.visible_columns]
    assert "max" not in visible
    assert sorted(seen) == sorted(visible)


def test_a_strip_is_built_once() -> None:
    table = Table(100)
    table.show(rows())
    assert table.render_line(1) is table.render_line(1)
    before = table.render_line(2)
    table.show(rows((9, 1)))
    assert table.render_line(2) is not before


def test_the_cursor_stays_with_its_row_once_it_was_moved() -> None:
    table = Table(100)
    table.show(rows())
    table._held, table.cursor = True, 1
    assert table.current is not None
    assert table.current.syscall is WRITE
    table.sort_by("avg")
    assert (table.cursor, table.current.syscall) == (0, WRITE)
    table.sort_by("total")
    assert (table.cursor, table.current.syscall) == (1, WRITE)


def test_nothing_to_show() -> None:
    table = Table(60)
    table.show([])
    assert table.render_line(2).text.strip() == "no system call here"
    assert table.current is None
    assert table.copied() == ""
    table.action_move(1)
    table.action_edge(-1)
    table.action_match(1)
    assert table.cursor == 0


def test_totals_never_make_their_column_narrower() -> None:
    table = Table(90)
    table.show(rows())
    wide = table.render_line(0).text
    table.show([row for row in rows() if row.syscall != READ])
    assert table.render_line(0).text == wide


@pytest.mark.parametrize(
    ("text", "left"),
    [("", "read write ia32:bind futex"), ("re", "read"), ("%file", "read write"), ("network", "ia32:bind"),
     ("%file EAGAIN", "read"), ("e", "read write futex"), ("e %ipc", "futex"), ("EADDRINUSE", "ia32:bind"),
     ("E", "read ia32:bind"), ("EPERM", ""), ("bind read", ""), ("time", "")],
)  # fmt: skip
def test_a_filter_leaves_what_matches_all_its_words(text: str, left: str) -> None:
    table = taken(Table(100))
    table.filter(text)
    assert names(table) == left
    assert table.everything() == 4


def test_a_filter_that_leaves_nothing_says_so() -> None:
    table = taken(Table(60))
    table.filter("%security")
    assert table.render_line(2).text.strip() == "nothing matches the filter"
    table.filter("")
    assert table.render_line(1).text.startswith("▸read")


def test_the_cursor_stays_with_its_row_while_a_filter_is_typed() -> None:
    table = taken(Table(100))
    table.action_move(1)
    for text in ("w", "wr", ""):
        table.filter(text)
        assert table.current is not None
        assert table.current.syscall is WRITE


def test_next_and_previous_match_go_round() -> None:
    table = taken(Table(100))
    table.filter("%file")
    seen = []
    for by in (1, 1, -1, -1):
        table.action_match(by)
        seen.append(table.cursor)
    assert seen == [1, 0, 1, 0]


def test_a_row_is_copied_whole_whatever_the_width() -> None:
    table = Table(34)
    table.show(rows())
    line = table.render_line(1).text
    assert table.copied() == (
        "read  file  calls/s 100  total 1,234,567  time% 97.4  errors 4  avg 1.2µs  p50≤ 2.1µs  p99≤ 2.1µs  max 11µs"
    )
    table.forget_strips()
    assert table.render_line(1).text == line


def test_an_interval_without_calls_is_a_dim_row() -> None:
    table = Table(60)
    table.show(syscall_rows({READ: Counters()}, {}, 500_000_000, lambda _: ()))
    assert table.render_line(1).text.split() == ["▸read", "0", "0", "0", "0", "-"]
