"""Trees of things that know their parent, flattened into lines with guides."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

_MOST_LEVELS = 12
"""Guides deeper than this are not drawn wider, so that the names stay readable."""


class Place(NamedTuple):
    """One line of a forest: which thing, the guide before it, and how many below it are folded away."""

    at: int
    guide: str
    folded: int


class Forest:
    """Things by their number; each comes after its parent."""

    def __init__(self, above: Sequence[int]) -> None:
        """`above` has the parent of every thing, -1 for a root."""
        self.above = above
        self.below: list[list[int]] = [[] for _ in above]
        self._roots: list[int] = []
        self.weights = [0] * len(above)
        """How many are below each, at any depth."""
        for index, parent in enumerate(above):
            (self.below[parent] if parent >= 0 else self._roots).append(index)
        for index in range(len(above) - 1, -1, -1):
            if above[index] >= 0:
                self.weights[above[index]] += self.weights[index] + 1

    def with_ancestors(self, chosen: Collection[int]) -> set[int]:
        """The chosen things, and all that stand above them."""
        kept = set(chosen)
        for index in range(len(self.above) - 1, -1, -1):
            if index in kept and self.above[index] >= 0:
                kept.add(self.above[index])
        return kept

    def all_below(self, some: Sequence[int]) -> list[int]:
        """Everything below some things, at any depth."""
        found = [child for index in some for child in self.below[index]]
        for index in found:  # grows meanwhile
            found += self.below[index]
        return found

    def places(
        self,
        folded: Collection[int] = (),
        kept: Collection[int] | None = None,
        *,
        ranks: Sequence[int] | None = None,
        last_first: bool = False,
    ) -> list[Place]:
        """The lines, children under their parent; only those of `kept`, and none below those of `folded`.

        Siblings of a lower rank come first.
        """
        places: list[Place] = []
        todo = [(index, "", "") for index in self._stacked(self._roots, kept, ranks, last_first=last_first)]
        while todo:
            index, guide, below = todo.pop()
            shut = bool(self.below[index]) and index in folded
            places.append(Place(index, guide, self.weights[index] if shut else 0))
            if shut:
                continue
            last = True
            for child in self._stacked(self.below[index], kept, ranks, last_first=last_first):
                if len(below) < 2 * _MOST_LEVELS:
                    todo.append((child, below + ("└─" if last else "├─"), below + ("  " if last else "│ ")))
                else:
                    todo.append((child, guide, below))
                last = False
        return places

    @staticmethod
    def _stacked(
        siblings: Sequence[int], kept: Collection[int] | None, ranks: Sequence[int] | None, *, last_first: bool
    ) -> list[int]:
        """Siblings in the order in which they are put on a stack: the first one last."""
        chosen = [index for index in siblings if kept is None or index in kept]
        stacked = chosen if last_first else chosen[::-1]
        if ranks is not None:
            stacked.sort(key=ranks.__getitem__, reverse=True)
        return stacked
