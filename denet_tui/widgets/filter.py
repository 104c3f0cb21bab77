"""The filter of a table: what was typed, taken apart into terms, and the line that it is typed in."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable
from typing import ClassVar, Literal, NamedTuple, Protocol

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Input, Static

_ERRNO = re.compile(r"E[A-Z0-9]*")
_ERRNO_NAMES = frozenset(errno.errorcode.values())


class Term(NamedTuple):
    """One word of a filter: part of a name, a class of syscalls (`%network`), or an errno (`ENOENT`)."""

    kind: Literal["name", "class", "errno"]
    text: str

    def allows(self, name: str, classes: Iterable[str], errnos: Iterable[str]) -> bool:
        """Whether something of this name, of any of these classes, that met these errnos, is wanted.

        Classes and errnos match from their start on, so that a filter works while it is being typed;
        a plain word is a class only where it is the whole name of it.
        """
        match self.kind:
            case "class":
                return any(each.startswith(self.text) for each in classes)
            case "errno":
                return any(each.startswith(self.text) for each in errnos)
        return self.text in name.lower() or self.text in classes


def parse(text: str) -> tuple[Term, ...]:
    """The terms of a filter, all of which have to match: `%file ENOENT`, `network`, `read`."""
    return tuple(map(_term, text.split()))


def _term(word: str) -> Term:
    if word.startswith("%"):
        return Term("class", word[1:].lower())
    if _ERRNO.fullmatch(word) or word.upper() in _ERRNO_NAMES:
        return Term("errno", word.upper())
    return Term("name", word.lower())


def marked(text: str, terms: Iterable[Term], style: str) -> list[tuple[str, str]]:
    """A name in pieces, in `style`, and in `match` where it is what `terms` ask for."""
    words = "|".join(re.escape(term.text) for term in terms if term.kind == "name" and term.text)
    if not words:
        return [(text, style)]
    parts = re.split(f"({words})", text, flags=re.IGNORECASE)
    return [(part, "match" if at % 2 else style) for at, part in enumerate(parts)]


class Filtered(Protocol):
    """A table that can be filtered."""

    FILTER_HINT: ClassVar[str]

    def filter(self, text: str) -> None:
        """Show only what matches `text` from now on."""

    def action_match(self, by: int) -> None:
        """Go to the next match (1), or the one before (-1)."""

    def action_unfilter(self) -> None:
        """Show everything again."""

    def focus(self) -> object:
        """Take the keys back."""


class FilterInput(Input, inherit_bindings=False):
    """Where a filter is typed."""

    HELP = (
        "Several words: all of them must match. A word is part of a name; %file, %network, %memory, %process, "
        "%signal, %ipc, %time, %security and %system are classes of system calls; ENOENT is an errno."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "done", "Done", id="filter.done", tooltip="Keep the filter and go back to the rows"),
        Binding("escape", "clear", "Clear", id="filter.clear", tooltip="Show everything again"),
        Binding("down", "match(1)", "Next", id="filter.next", tooltip="Go to the next match", show=False),
        Binding("up", "match(-1)", "Previous", id="filter.previous", tooltip="Go to the match before", show=False),
        *(
            Binding(
                each.key,
                each.action,
                each.description,
                id=f"filter.{each.key.partition(',')[0]}",
                tooltip=each.description,
                show=False,
            )
            for each in Input.BINDINGS
            if isinstance(each, Binding) and each.action not in {"submit", "copy", "cut"}
        ),
    ]

    def __init__(self, view: Filtered) -> None:
        super().__init__(placeholder=view.FILTER_HINT, compact=True, select_on_focus=False)
        self.can_focus = False
        self._view = view

    def watch_value(self, value: str) -> None:
        """Filter while typing."""
        self._view.filter(value)

    def action_done(self) -> None:
        """Keep the filter."""
        if self.value.strip():
            self._view.focus()
        else:
            self._view.action_unfilter()

    def action_clear(self) -> None:
        """Show everything again."""
        self._view.action_unfilter()

    def action_match(self, by: int) -> None:
        """Move the cursor of the table."""
        self._view.action_match(by)


class FilterLine(Horizontal):
    """A line below a table: the filter, and how many rows match it."""

    DEFAULT_CSS = """
    FilterLine {
        height: 1;
        background: $surface;
        display: none;
        &.-open { display: block; }
        & > Static { width: auto; padding: 0 1; color: $text-muted; }
        & > #slash { color: $text-accent; text-style: bold; }
        & > FilterInput { width: 1fr; }
    }
    """

    def __init__(self, view: Filtered) -> None:
        super().__init__()
        self._input = FilterInput(view)
        self._count = Static(id="count")

    def compose(self) -> ComposeResult:
        """The mark of a filter, what is typed, and the count."""
        yield Static("/", id="slash")
        yield self._input
        yield self._count

    @property
    def opened(self) -> bool:
        """True while it is there."""
        return self.has_class("-open")

    def open(self) -> None:
        """Show the line, and type into it."""
        self.add_class("-open")
        self._input.can_focus = True
        self._input.focus()

    def close(self) -> None:
        """Put the line away."""
        self.remove_class("-open")
        self._input.can_focus = False
        self._input.clear()

    def say(self, matching: int, of: int, unit: str = "", *, last: bool = False) -> None:
        """Say how many rows match; with `last` there were more than those `of`, which are not looked through."""
        self._count.update(Content(f"{matching:,} of {'the last ' if last else ''}{of:,} {unit}".rstrip()))
