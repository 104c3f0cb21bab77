"""Terms of a filter."""

import pytest

from denet_tui.widgets.filter import Term, parse


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", ()),
        ("  read ", (Term("name", "read"),)),
        ("%Network", (Term("class", "network"),)),
        ("ENOENT", (Term("errno", "ENOENT"),)),
        ("enoent", (Term("errno", "ENOENT"),)),
        ("E", (Term("errno", "E"),)),
        ("execve", (Term("name", "execve"),)),
        ("%file open EAGAIN", (Term("class", "file"), Term("name", "open"), Term("errno", "EAGAIN"))),
    ],
)
def test_terms(text: str, terms: tuple[Term, ...]) -> None:
    assert parse(text) == terms


@pytest.mark.parametrize(
    ("text", "allowed"),
    [("OPEN", True), ("openat2", False), ("%fi", True), ("%net", False), ("file", True), ("fil", False),
     ("ENO", True), ("EAGAIN", False)],
)  # fmt: skip
def test_what_a_term_allows(text: str, allowed: bool) -> None:
    (term,) = parse(text)
    assert term.allows("openat", ("file",), ("ENOENT",)) is allowed
