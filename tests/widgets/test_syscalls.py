"""The syscall table, line by line, without an app."""

from collections.abc import Sequence

import pytest

from denet_tui.model import Counters, Syscall
from denet_tui.widgets.syscalls import SyscallRow, SyscallTable, syscall_rows
from tests.screens.double import counters

READ, WRITE, FUTEX = (Syscall(0, nr, name) for nr, name in ((0, "read"), (1, "write"), (202, "futex")))
COUNTED = {
    READ: counters(1_234_567, each_ns=1_200, errors=4),
    WRITE: counters(20, each_ns=2_000_000),
    FUTEX: Counters(calls=3),
}
RECENT = {READ: counters(50)}


class Table(SyscallTable):
    """A table that is `width` cells wide without a screen."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width_now = width

    @property
    def line_width(self) -> int:
        return self.width_now

    def _room(self) -> int:
        return 20


def rows(rates: Sequence[float] = (1, 2, 3)) -> list[SyscallRow]:
    return syscall_rows(COUNTED, RECENT, 500_000_000, lambda _: rates)


def texts(table: SyscallTable, count: int) -> list[str]:
    return [table.render_line(y).text for y in range(count)]


def test_a_line_says_everything_in_line_with_the_titles() -> None:
    table = Table(84)
    table.show(rows())
    assert texts(table, 5) == [
        " syscall             calls/s    total↓  time%  errors   avg   p99   max trend       ",
        "▸read                    100 1,234,567   97.4       4 1.2µs 2.0µs  11µs          ▃▅▇",
        " write                     0        20    2.6       0 2.0ms 2.1ms  18ms          ▃▅▇",
        " futex                     0         3      0       0     -     -     -          ▃▅▇",
        " " * 84,
    ]


def test_rates_are_per_second_and_shares_of_the_whole() -> None:
    first, second, third = rows()
    assert (first.rate, second.rate) == (100.0, 0.0)
    assert first.share + second.share == pytest.approx(1)
    assert third.share == 0
    assert first.p99_ns == COUNTED[READ].percentile_ns(0.99)


def test_what_never_returned_has_no_times() -> None:
    table = Table(90)
    table.show(rows(()))
    assert table.render_line(3).text.split() == ["futex", "0", "3", "0", "0", "-", "-", "-"]


@pytest.mark.parametrize("width", [34, 48, 60, 72, 84, 120, 200])
def test_every_line_is_as_wide_as_the_table(width: int) -> None:
    table = Table(width)
    table.show(rows())
    assert [table.render_line(y).cell_length for y in range(8)] == [width] * 8


@pytest.mark.parametrize(
    ("key", "order"),
    [("total", "read write futex"), ("name", "futex read write"), ("rate", "read futex write"),
     ("avg", "write read futex"), ("errors", "read futex write"), ("max", "write read futex")],
)  # fmt: skip
def test_order(key: str, order: str) -> None:
    table = Table(100)
    table.show(rows())
    table._sort_by(key, reverse=False)
    assert [row.syscall.name for row in table.rows] == order.split()
    table.action_reverse()
    turned = [row.syscall.name for row in table.rows]
    # Equal rows stay in the order of their names, whichever way the rest goes.
    assert turned[0] == order.rsplit(maxsplit=1)[-1] or key in {"rate", "errors"}
    assert turned != order.split()


def test_the_arrow_says_the_column_and_the_direction() -> None:
    table = Table(100)
    table.show(rows())
    assert "total↓" in table.render_line(0).text
    table.action_reverse()
    assert "total↑" in table.render_line(0).text
    table._sort_by("name", reverse=False)
    assert "syscall↑" in table.render_line(0).text


def test_sorting_goes_through_the_visible_columns() -> None:
    table = Table(44)
    table.show(rows())
    seen = []
    for _ in range(4):
        table.action_sort()
        seen.append(table.sort_key)
    visible = [column.key for column in table.visible_columns if column.sortable]
    assert "max" not in visible
    assert set(seen) == set(visible)


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
    table._sort_by("avg", reverse=False)
    assert (table.cursor, table.current.syscall) == (0, WRITE)
    table._sort_by("total", reverse=False)
    assert (table.cursor, table.current.syscall) == (1, WRITE)


def test_nothing_to_show() -> None:
    table = Table(60)
    table.show([])
    assert table.render_line(2).text.strip() == "no system call yet"
    assert table.current is None
    table.action_move(1)
    table.action_edge(-1)
    assert table.cursor == 0


def test_totals_never_make_their_column_narrower() -> None:
    table = Table(90)
    table.show(rows())
    wide = table.render_line(0).text
    table.show(rows()[1:])
    assert table.render_line(0).text == wide
