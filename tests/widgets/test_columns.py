"""Columns fit, or go, the least important first."""

from hypothesis import given
from hypothesis import strategies as st

from denet_tui.widgets.columns import GAP, Column, fit
from denet_tui.widgets.processes import ProcessTree
from denet_tui.widgets.syscalls import SyscallTable

NAME, RATE, MAX = Column("name", "name", 10, 14), Column("rate", "rate", 6, rank=1), Column("max", "max", 5, rank=2)


def keys(width: int, needs: dict[str, int] | None = None) -> list[tuple[str, int]]:
    return [(column.key, room) for column, room in fit((NAME, RATE, MAX), width, needs)]


def test_all_fit() -> None:
    assert keys(23) == [("name", 10), ("rate", 6), ("max", 5)]


def test_what_is_left_goes_to_what_may_grow() -> None:
    assert keys(25) == [("name", 12), ("rate", 6), ("max", 5)]
    assert keys(60) == [("name", 14), ("rate", 6), ("max", 5)]


def test_the_highest_rank_goes_first() -> None:
    assert keys(22) == [("name", 14), ("rate", 6)]
    assert keys(12) == [("name", 12)]


def test_rank_zero_stays_whatever_happens() -> None:
    assert keys(3) == [("name", 10)]
    both = (NAME, Column("pid", "pid", 4))
    assert [column for column, _ in fit(both, 5)] == list(both)


def test_what_is_extra_goes_before_another_column_is_cut_short() -> None:
    name, extra = Column("name", "name", 5, 20, ample=12), Column("extra", "extra", 6, rank=4)
    assert [(column.key, room) for column, room in fit((name, extra), 18)] == [("name", 18)]
    assert [(column.key, room) for column, room in fit((name, extra), 19)] == [("name", 12), ("extra", 6)]
    needed = Column("needed", "needed", 6, rank=3)
    assert [(column.key, room) for column, room in fit((name, needed), 18)] == [("name", 11), ("needed", 6)]


def test_long_values_widen_their_column() -> None:
    assert keys(25, {"rate": 8}) == [("name", 10), ("rate", 8), ("max", 5)]
    assert keys(24, {"rate": 8}) == [("name", 14), ("rate", 8)]


@given(st.integers(34, 250), st.sampled_from([SyscallTable.COLUMNS, ProcessTree.COLUMNS]))
def test_never_wider_than_there_is_room(width: int, columns: tuple[Column, ...]) -> None:
    fitted = fit(columns, width)
    assert sum(room for _, room in fitted) + GAP * (len(fitted) - 1) <= width
    assert all(room >= column.least for column, room in fitted)
