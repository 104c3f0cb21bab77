"""A table whose rows are in the order that the user chooses, and only those that match what was typed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from textual.binding import Binding, BindingType

from denet_tui.widgets.columns import Column
from denet_tui.widgets.filter import FilterLine, Term, parse
from denet_tui.widgets.line_view import LineView

RowT = TypeVar("RowT")


class TableView(LineView[RowT]):
    """Sorts by a column, stable, so that equal rows never swap places; filters by terms that all have to match."""

    ORDERS: ClassVar[Mapping[str, Callable[[Any], Any]]] = {}
    """What a row is sorted by, by the key of the column."""
    UNSORTED: ClassVar[bool] = False
    """Whether the order in which the rows come is one of the orders: the key of it is empty."""
    QUIET: ClassVar[frozenset[str]] = frozenset()
    """Columns that give their room away for as long as they are zero, or empty, in every row."""
    FILTER_HINT: ClassVar[str] = "part of a name"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "sort", "Sort", id="table.sort", tooltip="Sort by the next column"),
        Binding("r", "reverse", "Reverse", id="table.reverse", tooltip="Turn the order of the rows round"),
        Binding("slash", "filter", "Filter", id="table.filter", tooltip="Show only rows that match", key_display="/"),
        Binding("n", "match(1)", "Next match", id="table.next-match", tooltip="Go to the next match", show=False),
        Binding(
            "N", "match(-1)", "Previous match", id="table.previous-match", tooltip="Go to the match before", show=False
        ),
        Binding(
            "escape", "unfilter", "No filter", id="table.unfilter", tooltip="Show all rows again", key_display="esc"
        ),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name for it)
        super().__init__(id=id)
        self.sort_key = ""
        self.reverse = False
        self.terms: tuple[Term, ...] = ()
        self.unit = ""
        """What is counted, where that is not what the table is called by."""
        self._given: Sequence[RowT] = ()
        self._telling: set[str] = set()
        """Those of `QUIET` that had something to say: columns that come and go could not be read."""
        self._line = FilterLine(self)

    # What a subclass says about its rows

    def matches(self, row: RowT) -> bool:
        """Whether the row is what `terms` ask for."""
        raise NotImplementedError

    def arranged(self) -> Sequence[RowT]:
        """The rows that are to be shown, in their order."""
        return self.ordered([row for row in self._given if self.matches(row)] if self.terms else list(self._given))

    def everything(self) -> int:
        """How many rows there are without a filter."""
        return len(self._given)

    def offered(self) -> Sequence[Column]:
        """All but the quiet ones; all where the user has chosen them."""
        if self.columns is not self.COLUMNS:
            return self.columns
        silent = self.QUIET - self._telling - {self.sort_key}
        return [column for column in self.columns if column.key not in silent] if silent else self.columns

    # From rows to lines

    def show(self, rows: Sequence[RowT]) -> None:
        """Draw what matches of `rows`, in the table's own order; equal rows stay in the order that they come in."""
        self._given = rows
        self.renew()

    def renew(self) -> None:
        """Filter and sort anew."""
        self._empty = "nothing matches the filter" if self.terms else self.EMPTY
        rows = self.arranged()
        for key in self.QUIET - self._telling:
            if any(map(self.ORDERS[key], rows)):
                self._telling.add(key)
        super().show(rows)
        if self._line.opened:
            of = self.everything()
            self._line.say(sum(map(self.matches, self.rows)) if self.terms else of, of, self.unit, last=bool(self.foot))

    def ordered(self, rows: list[RowT]) -> list[RowT]:
        """`rows` in the chosen order."""
        order = self.ORDERS.get(self.sort_key)
        if order is not None:
            rows.sort(key=order, reverse=self.descending)
        elif self.reverse:
            rows.reverse()
        return rows

    @property
    def descending(self) -> bool:
        """Whether the largest comes first: numbers do, unless the order is turned round."""
        rising = next((column.rising for column in self.columns if column.key == self.sort_key), True)
        return rising == self.reverse

    # Sorting

    def title(self, column: Column) -> str:
        """The column's title, with an arrow where the table is sorted by it."""
        if column.key != self.sort_key:
            return column.title
        return f"{column.title}{'↓' if self.descending else '↑'}"

    def pick(self, column: Column) -> None:
        """Sort by `column`; the other way round where the table already is."""
        if column.key == self.sort_key:
            self.action_reverse()
        elif column.key in self.ORDERS:
            self.sort_by(column.key)

    def action_sort(self) -> None:
        """Sort by the next column that is visible."""
        keys = [column.key for column in self.visible_columns if column.key in self.ORDERS]
        if self.UNSORTED:
            keys.insert(0, "")
        at = keys.index(self.sort_key) if self.sort_key in keys else -1
        self.sort_by(keys[(at + 1) % len(keys)])

    def action_reverse(self) -> None:
        """Turn the order round."""
        self.sort_by(self.sort_key, reverse=not self.reverse)

    def sort_by(self, key: str, *, reverse: bool = False) -> None:
        """Sort by the column `key`."""
        self.sort_key, self.reverse = key, reverse
        self.renew()

    # Filtering

    def on_mount(self) -> None:
        """Have the filter's line at hand: were it made when it is asked for, the first keys would miss it."""
        self.screen.mount(self._line, after=self)

    def action_filter(self) -> None:
        """Open the line that a filter is typed in, or go back to it."""
        self._line.open()
        self.renew()

    def filter(self, text: str) -> None:
        """Show only what matches all words of `text` from now on."""
        self.terms = parse(text)
        self.renew()
        if self.terms and self.current is not None and not self.matches(self.current):
            self.action_match(1)
        self.refresh_bindings()

    def action_unfilter(self) -> None:
        """Show all rows again."""
        self.focus()
        self._line.close()
        self.filter("")

    def action_match(self, by: int) -> None:
        """Go to the next row that matches (1), or to the one before (-1); round at the ends."""
        for step in range(1, len(self.rows) + 1):
            index = (self.cursor + by * step) % len(self.rows)
            if self.matches(self.rows[index]):
                self._move_to(index)
                return

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 (Textual's)
        """Offer what belongs to a filter only where there is one."""
        return self._line.opened if action in {"match", "unfilter"} else True
