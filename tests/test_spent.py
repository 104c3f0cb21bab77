"""Parts of a time: they are all of it, and children at work are told apart."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from denet_tui.detail import Time, Wait
from denet_tui.model import Syscall
from denet_tui.spent import blocked_in, in_words, parts, together
from denet_tui.widgets.time_bar import FILLS, bar, legend

READ, WAIT4, WAITPID = Syscall(0, 0, "read"), Syscall(0, 61, "wait4"), Syscall(1, 7, "ia32:waitpid")
BUILD = Time(30, 11, 8, 51, {WAIT4: Wait(25, 9), READ: Wait(12, 1), WAITPID: Wait(5, 0)})

times = st.builds(
    Time,
    *[st.integers(0, 10**15)] * 4,
    st.dictionaries(st.sampled_from([READ, WAIT4, WAITPID]), st.builds(Wait, st.integers(0, 10**15))),
    st.integers(0, 10**15),
)


@given(times, st.integers(1, 200))
def test_a_bar_is_as_long_as_asked_for_and_each_part_is_its_share_of_it(spent: Time, width: int) -> None:
    assert sum(parts(spent)) == spent.whole_ns
    drawn = bar(spent, width)
    assert len(drawn) == (width if spent.whole_ns else 0)
    assert list(drawn) == sorted(drawn, key=FILLS.index)
    for fill, part in zip(FILLS, parts(spent), strict=True):
        assert abs(drawn.count(fill) - part * width / (spent.whole_ns or 1)) < 1


def test_what_the_parts_are_is_said() -> None:
    assert parts(BUILD) == (30, 11, 8, 21, 30, 0)
    assert bar(BUILD, 20) == "██████▓▓▒▒░░░░······"
    assert legend(BUILD, "openat 5 %") == [
        "█ user 30 %, ▓ kernel 11 % (openat 5 %)",
        "▒ waits for CPU 8 %, · waits for children 30 %",
        "░ blocked 21 % (read 12 %, in no counted call 9 %)",
    ]
    assert in_words(BUILD) == (
        "on CPU 41 % (user 30 %, kernel 11 %), waits for CPU 8 %, "
        "blocked 51 % (for children 30 %, read 12 %, in no counted call 9 %)"
    )
    assert "(user 30 %, kernel 11 %: openat 5 %)," in in_words(BUILD, "openat 5 %")
    alone = Time(1, 0, 0, 3, {READ: Wait(3)})
    assert legend(alone)[1:] == ["▒ waits for CPU 0 %", "░ blocked 75 % (read 75 %)"]
    assert blocked_in(Time()) == []
    missed = BUILD._replace(runqueue_ns=4, unknown_ns=4)
    assert parts(missed) == (30, 11, 4, 21, 30, 4)
    assert bar(missed, 20) == "██████▓▓▒░░░░······?"
    assert legend(missed)[1] == "▒ waits for CPU 4 %, · waits for children 30 %, ? not known 4 %"
    assert "waits for CPU 4 %, not known 4 %, blocked 51 %" in in_words(missed)


@given(st.lists(times))
def test_several_are_added_up_with_their_waits(some: list[Time]) -> None:
    whole = together(some)
    assert whole is not None
    assert whole.whole_ns == sum(each.whole_ns for each in some)
    assert whole.unknown_ns == sum(each.unknown_ns for each in some)
    assert sum(wait.blocked_ns for wait in whole.waits.values()) == sum(
        wait.blocked_ns for each in some for wait in each.waits.values()
    )
    assert together([*some, None]) is None
