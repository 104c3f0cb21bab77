"""Trees as lines with guides."""

from hypothesis import given
from hypothesis import strategies as st

from denet_tui.widgets.forest import Forest, Place

#     0   1   2   3   4
ABOVE = [-1, 0, 0, 1, 0]
"""0 has 1, 2 and 4 below it; 3 is below 1."""


@st.composite
def forests(draw: st.DrawFn) -> list[int]:
    return [draw(st.integers(-1, index - 1)) for index in range(draw(st.integers(0, 40)))]


def test_children_stand_under_their_parent() -> None:
    assert Forest(ABOVE).places() == [
        Place(0, "", 0), Place(1, "├─", 0), Place(3, "│ └─", 0), Place(2, "├─", 0), Place(4, "└─", 0)
    ]  # fmt: skip


def test_the_other_way_round() -> None:
    assert [place.at for place in Forest(ABOVE).places(last_first=True)] == [0, 4, 2, 1, 3]


def test_what_is_folded_away_is_counted() -> None:
    assert Forest(ABOVE).places({1, 2}) == [
        Place(0, "", 0), Place(1, "├─", 1), Place(2, "├─", 0), Place(4, "└─", 0)
    ]  # fmt: skip
    assert Forest(ABOVE).places({0}) == [Place(0, "", 4)]


def test_only_some_and_what_stands_above_them() -> None:
    forest = Forest(ABOVE)
    assert forest.with_ancestors([3]) == {0, 1, 3}
    assert forest.places((), forest.with_ancestors([3])) == [Place(0, "", 0), Place(1, "└─", 0), Place(3, "  └─", 0)]


def test_guides_have_a_limit() -> None:
    places = Forest([index - 1 for index in range(60)]).places()
    assert max(len(place.guide) for place in places) == 24
    assert len(places) == 60


@given(forests(), st.booleans())
def test_every_thing_is_there_once_and_after_its_parent(above: list[int], last_first: bool) -> None:
    order = [place.at for place in Forest(above).places(last_first=last_first)]
    assert sorted(order) == list(range(len(above)))
    assert all(order.index(parent) < order.index(at) for at, parent in enumerate(above) if parent >= 0)


@given(forests(), st.data())
def test_folding_hides_exactly_what_it_counts(above: list[int], data: st.DataObject) -> None:
    folded = data.draw(st.sets(st.integers(0, max(0, len(above) - 1))))
    places = Forest(above).places(folded)
    assert len(places) + sum(place.folded for place in places) == len(above)
