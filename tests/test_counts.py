"""Rows of a process, kept in columns, are the mapping that they stand for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from denet_tui.counts import EMPTY
from denet_tui.model import ABI_NATIVE, NOTHING, Counters
from denet_tui.syscalls import syscall
from tests.watch.helpers import rows_of

counters = st.tuples(st.integers(0, 1 << 40), st.integers(0, 1 << 50), st.integers(0, 99)).map(
    lambda three: Counters(calls=three[0], time_ns=three[1], max_ns=three[2])
)
counted = st.dictionaries(st.integers(0, 9).map(lambda nr: syscall(ABI_NATIVE, nr)), counters)


@given(counted)
def test_is_the_mapping(made):
    rows = rows_of(made)
    assert rows == made
    assert list(rows.items()) == list(made.items())
    assert list(rows.values()) == list(made.values())
    assert len(rows) == len(made)
    assert syscall(ABI_NATIVE, 99) not in rows
    assert rows.sum().calls == sum(each.calls for each in made.values())


@given(st.lists(counted))
def test_added_up(parts):
    total, expected = EMPTY, {}
    for part in parts:
        before, copy = total, dict(total)
        total = total.plus(rows_of(part))
        assert before == copy, "what was handed out was written to"
        for call, each in part.items():
            expected[call] = expected.get(call, NOTHING).plus(each)
    assert total == expected
