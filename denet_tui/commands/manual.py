"""The man page: what --help says of every command, as man(7) sets it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence

import click

from denet_tui import __version__
from denet_tui.commands.command_line import Commands

_PLAIN = str.maketrans({"\\": "\\e", "-": "\\-", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti"})
"""How the characters are asked for that troff else makes typographic (man 7 groff_char)."""


class _Roff(click.HelpFormatter):
    """Takes what a command says of itself, and sets it as a part of a man page."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:  # noqa: ARG002
        self.write(f".PP\n\\fB{_escaped(prog)}\\fR {_escaped(args)}\n")

    def write_heading(self, heading: str) -> None:
        self.write(f".SS {_escaped(heading)}\n")

    def write_paragraph(self) -> None:
        self.write(".PP\n")

    def write_text(self, text: str) -> None:
        for paragraph in textwrap.dedent(text).split("\n\n"):
            if paragraph.startswith("\b\n"):  # to be left as it is
                heading, _, lines = paragraph.removeprefix("\b\n").partition("\n")
                self.write(f".SS {_escaped(heading.rstrip(':'))}\n.nf\n{_escaped(lines)}\n.fi\n")
            else:
                self.write(f".PP\n{_escaped(paragraph.strip())}\n")

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:  # noqa: ARG002
        for term, text in rows:
            self.write(f".TP\n\\fB{_escaped(term.strip())}\\fR\n{_escaped(text)}\n")


def _escaped(text: str) -> str:
    """A text that troff prints as it is."""
    return re.sub(r"^\.", r"\\&.", text.translate(_PLAIN), flags=re.MULTILINE)


def page(context: click.Context) -> str:
    """All of it, for `man -l -`."""
    commands = Commands.of(context)
    name, what = context.find_root().info_name or "", (commands.help or "").rstrip(".")
    parts = [f'.TH {name.upper()} 1 "" "{name} {__version__}"', ".SH NAME", f"{_escaped(name)} \\- {_escaped(what)}"]
    parts += [".SH SYNOPSIS", *_of(context.find_root(), commands)]
    for each in (word for words in commands.sections.values() for word in words):
        command = commands.commands[each]
        parts += [f".SH {_escaped(f'{name} {each}')}", *_of(click.Context(command, context.find_root(), each), command)]
    return "\n".join(parts)


def _of(context: click.Context, command: click.Command) -> Sequence[str]:
    context.formatter_class, context.terminal_width = _Roff, 9999  # man breaks the lines
    return [line for line in command.get_help(context).splitlines() if line]
