"""The row of tabs, and the line that says what the view is narrowed to."""

import pytest

from denet_tui.widgets.crumbs import crumb_line
from denet_tui.widgets.tabs import TabRow

NAMES = ("Overview", "Latency", "Errors", "In flight", "Output", "Log")


def text(width: int, shown: int) -> str:
    row = TabRow(NAMES)
    row.show(shown)
    return "".join(part for part, _ in row.pieces(width))


@pytest.mark.parametrize(
    ("width", "shown", "expected"),
    [
        (80, 0, "[1 Overview] 2 Latency  3 Errors  4 In flight  5 Output  6 Log "),
        (60, 1, " 1 Overview[2 Latency]3 Errors 4 In flight 5 Output 6 Log "),
        (60, 5, " 1 Overview 2 Latency 3 Errors 4 In flight 5 Output[6 Log]"),
        (50, 2, " Overview Latency[Errors]In flight Output Log "),
        (40, 2, " 1  2 [3 Errors] 4  5  6 "),
    ],
)
def test_as_much_as_fits(width: int, shown: int, expected: str) -> None:
    assert text(width, shown) == expected


def test_never_wider_than_there_is_room_and_every_tab_can_be_clicked() -> None:
    row = TabRow(NAMES)
    for width in range(40, 90):
        for shown in range(6):
            row.show(shown)
            pieces = row.pieces(width)
            assert sum(len(part) for part, _ in pieces) <= width
            assert {index for _, index in pieces} >= set(range(6))
            assert [part for part, index in pieces if index == shown and part.strip("[] ")]


@pytest.mark.parametrize(
    ("steps", "aside", "width", "expected"),
    [
        (["all"], "", 40, "all"),
        (["all", "make (1234)", "%file", "ENOENT"], "", 60, "all > make (1234) > %file > ENOENT"),
        (["all", "make (1234)"], "only the last 0.5 s", 60, "all > make (1234)  (only the last 0.5 s)"),
        (["all", "make (1234)", "%file", "ENOENT"], "", 24, "… > %file > ENOENT"),
        (["all", "a-very-long-name (1234)"], "", 12, "… > a-very-…"),
    ],
)
def test_crumbs_lose_their_first_steps_first(steps: list[str], aside: str, width: int, expected: str) -> None:
    assert crumb_line(steps, aside, width) == expected.replace(">", "\u203a")
