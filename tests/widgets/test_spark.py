"""Sparklines start at zero."""

from hypothesis import given
from hypothesis import strategies as st

from denet_tui.widgets.spark import LEVELS, sparkline, trend


def test_a_steady_rate_is_a_solid_band() -> None:
    assert sparkline([5.0] * 6, 6) == LEVELS[-1] * 6


def test_nothing_is_drawn_for_zero_and_something_for_little() -> None:
    assert sparkline([0, 1, 700, 0], 4) == f" {LEVELS[1]}{LEVELS[-1]} "


def test_half_is_half_as_high() -> None:
    assert sparkline([7, 14], 2) == LEVELS[4] + LEVELS[7]


def test_the_newest_is_at_the_right() -> None:
    assert sparkline([9, 1, 2], 5) == f"  {LEVELS[7]}{LEVELS[1]}{LEVELS[2]}"
    assert sparkline([9, 7, 7], 2) == LEVELS[7] * 2


def test_empty() -> None:
    assert sparkline([], 3) == "   "
    assert sparkline([0, 0], 3) == "   "
    assert sparkline([1], 0) == ""


@given(st.lists(st.just(0.0) | st.floats(1e-3, 1e12)), st.integers(1, 40))
def test_width_and_marks(values: list[float], width: int) -> None:
    drawn = sparkline(values, width)
    shown = values[-width:]
    assert len(drawn) == width
    assert [mark != " " for mark in drawn[width - len(shown) :]] == [value > 0 for value in shown]


def test_a_steady_rate_is_ordinary() -> None:
    assert trend([5.0] * 6, 6) == [(LEVELS[4] * 6, "dim")]


def test_a_burst_stands_out() -> None:
    assert trend([5, 5, 5, 20, 5, 5], 5) == [(LEVELS[2] * 2, "dim"), (LEVELS[7], "spark"), (LEVELS[2] * 2, "dim")]


def test_the_peak_of_a_trend_is_that_of_the_whole_row() -> None:
    assert trend([70, 10, 10, 10], 2) == [(LEVELS[1] * 2, "dim")]
    assert trend([], 3) == [("   ", "dim")]
    assert trend([5], 0) == []
    assert trend([0, 0, 0, 3], 4) == [("   " + LEVELS[4], "dim")]
