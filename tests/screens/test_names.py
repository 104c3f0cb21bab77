"""No widget, screen or app of ours keeps anything of its own under a name that Textual uses for itself."""

from __future__ import annotations

import ast
import importlib
import inspect
import textwrap
from functools import cache
from pathlib import Path

import pytest
from textual.dom import DOMNode

import denet_tui

HOUSE = Path(denet_tui.__file__).parent
MODULES = sorted(
    ".".join(("denet_tui", *path.relative_to(HOUSE).with_suffix("").parts))
    for room in ("widgets", "screens")
    for path in (HOUSE / room).rglob("*.py")
)


def _nodes(module: str) -> list[type[DOMNode]]:
    found = vars(importlib.import_module(module)).values()
    return [each for each in found if inspect.isclass(each) and issubclass(each, DOMNode) and each.__module__ == module]


@cache
def _kept_by(kind: type) -> frozenset[str]:
    """Names that a class assigns on `self`."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    return frozenset(
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self"
    )


@pytest.mark.parametrize("module", MODULES)
def test_what_is_kept_has_names_of_its_own(module: str) -> None:
    for kind in _nodes(module):
        textuals = [each for each in kind.__mro__ if each.__module__.startswith("textual")]
        private = {name for each in textuals for name in _kept_by(each) if name.startswith("_")}
        assert not _kept_by(kind) & private, kind.__name__
