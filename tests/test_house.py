"""The large scale: one name for one thing, and nothing so big that it cannot be read at once."""

from __future__ import annotations

import ast
from collections import Counter
from functools import cache
from itertools import combinations
from pathlib import Path

import pytest
from radon.complexity import cc_visit

import denet_tui

HOUSE = Path(denet_tui.__file__).parent
FILES = sorted(HOUSE.rglob("*.py"))
IN_C = sorted(HOUSE.rglob("*.c"))


@cache  # and not before: every worker imports this
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def room(path: Path) -> str:
    return path.relative_to(HOUSE).parts[0] if path.parent != HOUSE else ""


def test_no_class_name_twice() -> None:
    nodes = (node for path in FILES for node in ast.walk(tree(path)))
    counted = Counter(node.name for node in nodes if isinstance(node, ast.ClassDef))
    twice = {name for name, count in counted.items() if count > 1}
    assert twice == set(), "give one of them another name"


def test_a_module_name_twice_is_told_apart_by_its_room() -> None:
    """The same name in two folders of one room says nothing, but on the two floors of the screens, which are alike."""
    for one, other in combinations(FILES, 2):
        if one.name == other.name != "__init__.py" and room(one) == room(other):
            assert {one.parent.name, other.parent.name} == {"live", "setup"}, (one, other)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(HOUSE)))
def test_files_and_functions_can_be_read_at_once(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 400
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno + 1 < 50, node.name


@pytest.mark.parametrize("path", IN_C, ids=lambda path: str(path.relative_to(HOUSE)))
def test_so_can_the_program_in_the_kernel(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 400


def test_no_function_is_over_a_complexity_of_15() -> None:
    blocks = [block for path in FILES for block in cc_visit(path.read_text())]
    over = {getattr(block, "fullname", block.name) for block in blocks if block.complexity > 15}
    assert over == set(), "simplify it"


def test_checks_import_nothing_while_they_run() -> None:
    """They run on threads: an import that fails for want of a descriptor leaves half a module to the others.

    Host.run takes what catalogue.py has imported by then.
    """
    functions = ast.FunctionDef, ast.AsyncFunctionDef
    inside = [
        (path.name, node.name)
        for path in FILES
        if room(path) == "checks"
        for node in ast.walk(tree(path))
        if isinstance(node, functions) and any(isinstance(each, ast.Import | ast.ImportFrom) for each in ast.walk(node))
    ]
    assert inside == [("host.py", "run")]
    assert "\nimport subprocess " in (HOUSE / "checks/catalogue.py").read_text()
