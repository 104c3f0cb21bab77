"""What `denet-tui help TOPIC` says beside the commands: the pages of docs/, which are installed with the program."""

from __future__ import annotations

import re
import textwrap
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import click

from denet_tui.commands.command_line import Commands

HERE = Path(__file__).parents[1]
_LINK = re.compile(r"!\[[^]]*\]\([^)]*\)|\[([^]]+)\]\([^)]*\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_WIDTH = 120


class Section(NamedTuple):
    """A heading of a page, and what stands below it up to the next one, without links."""

    page: str
    heading: str
    text: str

    def __str__(self) -> str:
        lines = self.text.split("\n")
        return "\n".join(
            [self.heading, "", *(line if line[:1] == "|" else textwrap.fill(line, _WIDTH) for line in lines)]
        )


def tell(context: click.Context, words: str) -> str:
    """The help of a command, what is known of a topic, or all that there is; raises click.UsageError."""
    commands = Commands.of(context)
    known = "" if words in commands.commands or not words else about(words)
    return known or commands.help_of(context, words) + ("" if words else listed())


def sections() -> list[Section]:
    """Those of all pages; none where they were not installed."""
    found = []
    for file in sorted((HERE / "docs").glob("*.md")) or sorted((HERE.parent / "docs").glob("*.md")):
        plain = _LINK.sub(lambda link: link[1] or "", file.read_text("utf-8")).replace("**", "")
        _, *parts = _HEADING.split(plain)
        pairs = zip(parts[::2], parts[1::2], strict=True)
        found += [Section(file.stem, heading.replace("`", ""), text.strip("\n")) for heading, text in pairs]
    return found


def about(words: str) -> str:
    """A page by its name, else the sections by words of their headings, else the paragraphs that have the words.

    Headings of questions are no topics, and what a field of a recording means is told where nothing else is.
    """
    every, wanted = sections(), re.compile(rf"\b{re.escape(words)}", re.IGNORECASE)
    passages = [_with(each, wanted) for each in every]
    ways = (
        [each for each in every if each.page == words.casefold()],
        [each for each in every if each.page != "faq" and wanted.search(each.heading)],
        [each for each in passages if each.text and each.page != "recording"],
        [each for each in passages if each.text],
    )
    return "\n\n".join(map(str, next(filter(None, ways), [])))


def _with(section: Section, wanted: re.Pattern[str]) -> Section:
    """Of a section the paragraphs, items and lines of a table that have the words."""
    parts = re.split(r"\n\n|\n(?=[-|] )", section.text)
    return section._replace(text="\n\n".join(part for part in parts if wanted.search(part)))


def listed() -> str:
    """Their names, for the end of the help; empty where there are none."""
    lines = []
    for page, (_, *below) in groupby(sections(), lambda each: each.page):
        names = [each.heading for each in below if page not in ("faq", "recording")]
        lines.append(textwrap.fill(", ".join([f"  {page}", *names]), 78, subsequent_indent="    "))
    head = "\n\nTopics, for `denet-tui help TOPIC`, and any word that they have:\n"
    return head + "\n".join(lines) if lines else ""
