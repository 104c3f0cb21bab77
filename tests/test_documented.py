"""What README, docs/ and the contributors' page tell to type is there: commands, options, checks, targets of make.

The lab types the README on a machine of its own, word for word (tests/lab/test_first_hour.py).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import pytest

from denet_tui.checks import catalogue
from denet_tui.cli import main
from tests.real import REPOSITORY

PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", REPOSITORY / "SECURITY.md"]
PAGES += sorted((REPOSITORY / "docs").glob("*.md"))
PLACEHOLDERS = {"CMD": "true", "COMMAND": "run", "ID": "KERN-001"}
_SHOWN = re.compile(r"^    (\S.*)$|`((?:sudo )?(?:denet-tui|make) [^`]+)`", re.MULTILINE)


def shown(page: Path) -> Iterator[list[str]]:
    """The words of each command, without sudo, redirections and comments."""
    drawing = "denet-tui ("
    for block, inline in _SHOWN.findall(page.read_text("utf-8").replace(drawing, "")):
        if not re.search(r"\b(denet-tui|make)\b", block or inline):
            continue
        lexer = shlex.shlex(block or inline, posix=True, punctuation_chars="|&<>;")
        lexer.whitespace_split = True
        commands = " ".join(f"{shlex.quote(word)}" for word in lexer)
        for part in re.split(r" '(?:[|&<>;]+)' ?", commands):
            words = shlex.split(part)
            while words and words[0] in ("sudo", "ssh", "-n", "HOST"):
                del words[0]
            if words and words[0] in ("denet-tui", "make"):
                yield [PLACEHOLDERS.get(word, word) for word in words]


def parsed(words: list[str]) -> dict[str, Any]:
    """What a command line gives to the command that it names; raises click.UsageError for a wrong one."""
    with suppress(click.exceptions.Exit, click.MissingParameter):  # --help; named, not typed
        group = main.make_context("denet-tui", list(words))
        if group.args or group._protected_args:
            name, command, rest = main.resolve_command(group, [*group._protected_args, *group.args])
            assert command
            return command.make_context(str(name), rest, parent=group).params
    return {}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_command_of_a_page_is_one(page: Path) -> None:
    phony = re.search(r"^\.PHONY: (.+)$", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert phony
    for program, *words in shown(page):
        if program == "make":
            assert {word for word in words if "=" not in word} <= {*phony[1].split()}, words
            continue
        given = parsed(words)
        for identity in given.get("only", ()):
            assert {each.partition(".")[0] for each in identity.split(",")} <= {*catalogue.by_id}, identity


def test_readme_shows_commands_by_the_dozen() -> None:
    assert len([*shown(PAGES[0])]) > 20
