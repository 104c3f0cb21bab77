"""Rings stay bounded and give back what was put in."""

from hypothesis import given
from hypothesis import strategies as st

from denet_tui.watch.history import History, Tables


def test_last_is_oldest_first_with_zeros_where_nothing_was_written() -> None:
    history: History[str] = History(length=5, max_series=4)
    for tick, value in enumerate([1, None, 3]):
        history.begin(tick / 2)
        if value is not None:
            history.put("a", value)
    assert history.last("a", 10) == [1, 0, 3]
    assert history.last("a", 2) == [0, 3]
    assert history.last("b", 10) == [0, 0, 0]
    assert history.times(2) == [0.5, 1.0]


def test_an_earlier_tick_can_be_read() -> None:
    history: History[str] = History(length=4)
    for tick in range(6):
        history.begin(tick)
        history.put("a", tick)
    assert history.last("a", 3, tick=4) == [2, 3, 4]
    assert history.last("a", 9, tick=3) == [2, 3]
    assert history.times(9, tick=3) == [2, 3]


@given(st.lists(st.none() | st.integers(1, 1000), max_size=60), st.integers(1, 9))
def test_as_a_plain_list(values: list[int | None], length: int) -> None:
    history: History[str] = History(length)
    for tick, value in enumerate(values):
        history.begin(tick)
        if value is not None:
            history.put("a", value)
    assert history.last("a", length) == [float(value or 0) for value in values[-length:]]


def test_the_idle_make_room_and_the_active_never() -> None:
    history: History[str] = History(length=8, max_series=2)
    history.begin(0)
    history.put("old", 1)
    history.put("live", 1)
    history.put("late", 1)
    assert set(history) == {"old", "live"}
    history.begin(1)
    history.put("live", 2)
    history.put("new", 3)
    assert set(history) == {"live", "new"}
    assert history.last("live", 2) == [1, 2]


def test_series_stay_bounded() -> None:
    history: History[int] = History(length=4, max_series=50)
    for tick in range(2000):
        history.begin(tick)
        history.put(tick, 1)
    assert len(history) <= 50
    assert history.last(1999, 1) == [1]


def test_seed_writes_the_newest() -> None:
    history: History[str] = History(length=4)
    for tick in range(3):
        history.begin(tick)
    history.seed("a", [9, 8, 7, 6, 5])
    assert history.last("a", 4) == [7, 6, 5]
    history.begin(3)
    history.put("a", 4)
    assert history.last("a", 4) == [7, 6, 5, 4]


def test_rows_sum_over_groups() -> None:
    rows: Tables[int, str] = Tables(length=3)
    for tick in range(4):
        rows.begin()
        rows.put(1, ("read", "write"), [tick, 10])
        if tick == 3:
            rows.put(2, ("write", "open"), [5, 1])
    assert rows.sums([1, 2, 99]) == {"read": [1, 2, 3], "write": [10, 10, 15], "open": [0, 0, 1]}
    assert rows.sums([2]) == {"write": [0, 0, 5], "open": [0, 0, 1]}


def test_rows_of_a_group_that_learns_keys() -> None:
    rows: Tables[int, str] = Tables(length=4)
    rows.begin()
    rows.put(1, ("a",), [1])
    rows.begin()
    rows.put(1, ("b",), [2])
    assert rows.sums([1]) == {"a": [0, 0, 1, 0], "b": [0, 0, 0, 2]}


@given(st.lists(st.lists(st.sampled_from("abcdef"), unique=True), min_size=1, max_size=20))
def test_rows_in_any_order_of_their_keys(ticks: list[list[str]]) -> None:
    rows: Tables[int, str] = Tables(length=20)
    expected: dict[str, list[float]] = {key: [0.0] * 20 for key in "abcdef"}
    for tick, keys in enumerate(ticks):
        rows.begin()
        values = [float(10 * tick + ord(key)) for key in keys]
        rows.put(1, tuple(keys), values)
        for key, value in zip(keys, values, strict=True):
            expected[key][20 - len(ticks) + tick] = value
    assert rows.sums([1]) == {key: values for key, values in expected.items() if any(values)}


def test_idle_rows_are_out_of_date_not_wrong() -> None:
    rows: Tables[int, str] = Tables(length=2)
    rows.begin()
    rows.put(1, ("a",), [1])
    for _ in range(3):
        rows.begin()
    assert rows.sums([1]) == {}


def test_rows_stay_bounded_and_the_longest_idle_goes() -> None:
    rows: Tables[int, str] = Tables(length=50, max_values=10_000)
    for tick in range(500):
        rows.begin()
        rows.put(-1, ("a",), [1])
        rows.put(tick, ("a", "b"), [1, 2])
        assert rows.values <= 10_000
        assert tick < 50 or rows.sums([-1]) == {"a": [1] * 50}
    assert 10 < len(rows) < 30
    assert set(range(490, 500)) <= set(rows._groups)
    assert rows.sums([-1, 499])["b"][-1] == 2


def test_where_all_are_busy_the_oldest_ticks_of_all_go() -> None:
    rows: Tables[int, str] = Tables(length=50, max_values=30_000)
    for _ in range(60):
        rows.begin()
        for group in range(20):
            rows.put(group, ("a", "b"), [1, 2])
        assert rows.values <= 30_000
    assert 10 < rows.span < 50
    assert len(rows) == 20
    assert rows.sums(range(20)) == {"a": [20] * rows.span, "b": [40] * rows.span}
    for _ in range(100):
        rows.begin()
        rows.put(0, ("a",), [1])
    assert rows.span == 50, "with less to keep it reaches back as far as before"


def test_groups_go_when_nothing_of_them_is_left() -> None:
    rows: Tables[int, str] = Tables(length=5)
    for tick in range(100):
        rows.begin()
        rows.put(tick, ("a", "b"), [1, 2])
        assert len(rows) == min(tick + 1, 5)
    before = rows.values
    for _ in range(9):
        rows.begin()
    assert (len(rows), rows.values) == (0, 0)
    assert before > 0
