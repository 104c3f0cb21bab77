"""Rows of a process, kept in columns, are the mapping that they stand for; what their histogram tells is true."""

from __future__ import annotations

import re
from bisect import bisect_right
from math import ceil

from hypothesis import given, settings
from hypothesis import strategies as st

from denet_tui.counts import EMPTY, Counts, percentile
from denet_tui.model import ABI_NATIVE, BUCKETS, NOTHING, Counters, Syscall, added_up, bucket_floor_ns
from denet_tui.record.table import at_most
from denet_tui.syscalls import syscall
from denet_tui.widgets import formatting
from tests.watch.helpers import rows_of

counters = st.tuples(st.integers(0, 1 << 40), st.integers(0, 1 << 50), st.integers(0, 99)).map(
    lambda three: Counters(calls=three[0], time_ns=three[1], max_ns=three[2])
)
counted = st.dictionaries(st.integers(0, 9).map(lambda nr: syscall(ABI_NATIVE, nr)), counters)


@given(st.lists(st.permutations(list(enumerate("abc"))), min_size=1), st.sampled_from([1, 2, 3]))
def test_rows_that_come_in_other_orders_again_and_again(orders, width):
    """The kernel lists the rows of its two sides each in its own order; some are not in every reading."""
    whole, naive = Counts(), {}
    for turn, order in enumerate(orders * 3):
        part = Counts(
            [Syscall(0, number, name) for number, name in order[:width]],
            [turn + 1 + number for number, _ in order[:width]],
            [7 * (turn + number) % 5 for number, _ in order[:width]],
        )
        before, whole = dict(whole), whole.plus(part)
        for call, more in part.items():
            naive[call] = naive.get(call, NOTHING).plus(more)
        assert dict(whole) == naive
        assert whole.sum() == added_up(naive.values())
        assert all(whole[call].calls >= counters.calls for call, counters in before.items())


@given(counted)
def test_is_the_mapping(made):
    rows = rows_of(made)
    assert rows == made
    assert list(rows.items()) == list(made.items())
    assert list(rows.values()) == list(made.values())
    assert len(rows) == len(made)
    assert syscall(ABI_NATIVE, 99) not in rows
    assert rows.sum().calls == sum(each.calls for each in made.values())


@settings(max_examples=40)
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


FLOORS = [bucket_floor_ns(index) for index in range(BUCKETS)]


def timed(times: list[int]) -> Counters:
    """Calls that took that long."""
    histogram = sum(1 << 64 * (bisect_right(FLOORS, time) - 1) for time in times)
    return Counters(len(times), len(times), 0, 0, sum(times), max(times), histogram)


@given(st.lists(st.integers(1, 10**13), min_size=1, max_size=200), st.sampled_from((0.5, 0.9, 0.99, 1.0)))
def test_a_percentile_is_between_its_bounds(times, share):
    known, true = percentile(timed(times), share), sorted(times)[ceil(share * len(times)) - 1]
    assert known.least_ns <= true <= known.most_ns <= max(times)
    if ceil(share * len(times)) == len(times):
        assert known.least_ns == known.most_ns == max(times), "the longest call is known"


def test_what_is_said_of_a_millisecond_is_true():
    """As bcc's and our own histograms have it: 990 sleeps of 1.07 ms are all in the bucket up to 2.10 ms."""
    known = percentile(timed([1_070_000] * 990 + [3_000_000] * 10), 0.5)
    assert known == (1 << 20, (1 << 21) - 1)
    assert (formatting.at_most(known.most_ns, 3_000_000), at_most(known.most_ns, 3_000_000)) == ("2.1ms", "2.10ms")


UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}


@given(st.integers(1, 10**11))
def test_a_bound_is_not_rounded_below_itself(ns):
    for said, slack in ((formatting.at_most(ns, ns + 1), 1.11), (at_most(ns, ns + 1), 1.011)):
        number, unit = re.fullmatch(r"([\d.]+)(\D+)", said).groups()
        assert ns * (1 - 1e-9) <= float(number) * UNITS[unit] <= ns * slack + 1
        assert len(said) <= (5 if slack > 1.1 else 6)
    assert formatting.at_most(ns, ns) == formatting.duration(ns), "no larger than the longest, as that is shown"
