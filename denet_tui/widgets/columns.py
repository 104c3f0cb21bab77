"""Which columns of a table fit a width, and how wide each one is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

GAP = 1
EXTRA = 3
"""Columns of a higher rank are not worth cutting another one short."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its key, its title, how narrow and how wide it may be, and how early it is given up."""

    key: str
    title: str
    least: int
    most: int = 0
    """0: exactly `least`."""
    rank: int = 0
    """The column with the highest rank goes first when the width is short; rank 0 stays."""
    ample: float = 0
    """Cells, below 1 a share of the width, that it should have before columns of a rank above `EXTRA` are shown."""
    right: bool = True
    rising: bool = False
    """Whether sorting by it puts the least first: names, process ids."""


def fit(columns: Sequence[Column], width: int, needs: Mapping[str, int] | None = None) -> list[tuple[Column, int]]:
    """The columns that fit into `width` cells, in order, each with its own width.

    `needs` widens a column's least width where its values are longer than that. What is left over
    goes to the columns that may grow, the first ones first.
    """
    needs = needs or {}
    least = {column.key: max(column.least, needs.get(column.key, 0)) for column in columns}
    ample = {
        column.key: max(
            min(int(column.ample * width if column.ample < 1 else column.ample), column.most), least[column.key]
        )
        for column in columns
    }
    kept = list(columns)
    while len(kept) > 1:
        victim = max(kept, key=lambda column: column.rank)
        if victim.rank == 0 or _taken(kept, ample if victim.rank > EXTRA else least) <= width:
            break
        kept.remove(victim)
    widths = [least[column.key] for column in kept]
    spare = width - _taken(kept, least)
    for index, column in enumerate(kept):
        more = max(0, min(spare, column.most - widths[index]))
        widths[index] += more
        spare -= more
    return list(zip(kept, widths, strict=True))


def _taken(columns: Sequence[Column], least: Mapping[str, int]) -> int:
    return sum(least[column.key] for column in columns) + GAP * (len(columns) - 1)
