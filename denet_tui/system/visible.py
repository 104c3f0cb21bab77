"""The one door for text that goes to a terminal: what a terminal would obey is shown there, not obeyed.

Names of files, commands and processes, and what other programs print, are anybody's: an escape code in them can
rewrite the screen, its title or the clipboard, and a bidirectional override makes a line read as another one.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any, TextIO

_ODD = re.compile(r"[^ -~]")
_OBEYED = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])|[\0-\x08\x0e-\x1a]")
"""What a terminal obeys and does not show."""
_MARKUP = re.compile(r"[\\`*\[<|&~]|^[#>]|(?<![^\W_])_|_(?![^\W_])")
"""Of Markdown: signs that mean something anywhere in a line, at its beginning, and at an end of a word."""
_LINKED = re.compile(r"@|#(?=\d)|:(?=//)|(?<![^\W_])(?:www(?=\.)|GH(?=-\d))", re.IGNORECASE)
"""What GitHub makes links of, escaped or not: people, who are told of it, issues and addresses; after these it must not
go on as it does (https://docs.github.com/get-started/writing-on-github, https://github.github.com/gfm/#autolinks-extension-).
"""


class ReaderLeftError(BrokenPipeError):
    """The reader of standard output has left, as `head` does: that is no failure."""

    STATUS = 128 + signal.SIGPIPE
    """The exit status that a shell tells of every program that ends for it (man 7 pipe)."""


def is_dumb() -> bool:
    """Whether the terminal draws neither screens nor colours: TERM is unset, empty or `dumb` (man 7 term)."""
    return os.environ.get("TERM", "") in ("", "dumb")


def terminal_width(otherwise: int) -> int:
    """Columns of the terminal that standard error is, `otherwise` where it is none."""
    if not os.isatty(2):
        return otherwise
    import shutil  # it loads what packs archives, which takes a moment

    return shutil.get_terminal_size().columns


def visible(text: str, keep: str = "") -> str:
    r"""The text with every character that is not printable as an escape (`\x1b`, `\u202e`), but for those in `keep`.

    A byte that was no UTF-8 (a lone surrogate of os.fsdecode) is shown as that byte: `\xff`.
    """
    if text.isprintable():
        return text

    def shown(match: re.Match[str]) -> str:
        sign = match[0]
        if sign.isprintable() or sign in keep:
            return sign
        return f"\\x{ord(sign) - 0xDC00:x}" if "\udc80" <= sign <= "\udcff" else ascii(sign)[1:-1]

    return _ODD.sub(shown, text)


def plain(text: str) -> str:
    """A text that was meant for a terminal, without what a terminal obeys and does not show."""
    return _OBEYED.sub("", text)


def shortened(text: str, most: int) -> str:
    """The beginning of a text, with an ellipsis where it has more than `most` characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def markdown(text: str) -> str:
    """One line in which nothing counts as Markdown, is linked or tells anybody, nor ends a cell of a table."""
    return _LINKED.sub(r"\g<0>&#8203;", _MARKUP.sub(r"\\\g<0>", visible(text.strip())))


def wrapped(text: str, width: int, **how: Any) -> list[str]:
    """Lines of a text, as textwrap.wrap has them; between a number and its percent sign none ends."""
    import textwrap  # most starts need none of it

    lines = textwrap.wrap(re.sub(r"(?<=\d) %", "\u00a0%", text), width, **how)
    return [line.replace("\u00a0%", " %") for line in lines]


def how_many(count: int, what: str) -> str:
    """A number of things: `1 file`, `1,234 files`, `0 processes`."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}{'es' if what.endswith('s') else 's'}"


def write(text: str, stream: TextIO | None, keep: str = "\n\t") -> None:
    """Write a text whose layout is ours; what comes from outside, and is one line, was made `visible` before.

    `stream` is None if standard output or error was closed from the beginning. Raises OSError, of
    which ReaderLeftError is one, but not for standard error: what cannot be said there is no reason to fail.
    """
    if stream is sys.__stderr__:
        stream = sys.stderr  # a holder of it may not know yet that its reader has left
    if stream is None:
        return
    shown, encoding = visible(text, keep), stream.encoding or "ascii"
    try:
        stream.write(shown.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
    except OSError as error:
        # Python writes what is left once more when it ends, and its failure would be the exit status, 120.
        nowhere = Path(os.devnull).open("w")  # noqa: SIM115 - open as long as we run
        if stream is sys.stderr:
            sys.stderr = nowhere
            return
        if stream is sys.stdout:
            sys.stdout = nowhere
            if isinstance(error, BrokenPipeError):
                raise ReaderLeftError from None
        raise


def complain(line: str, status: int = 0) -> int:
    """Say one line on standard error, and return the status."""
    write(f"denet-tui: {visible(line)}\n", sys.stderr)
    return status


_in_one_line = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
_in_lines = json.JSONEncoder(indent=1).encode


def as_json(value: object, *, lines: bool = False) -> str:
    """A value as JSON: on one line without spaces (denet looks for `"kind":"child"` literally), or in `lines`.

    Pure ASCII: a cut never splits a character, every locale reads it, and a control character in a process name
    reaches no terminal; json would leave DEL as it is.
    """
    return (_in_lines if lines else _in_one_line)(value).replace("\x7f", "\\u007f")
