"""Numbers, times and ends of processes as short words of known width."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise

from rich.cells import cell_len, set_cell_size

from denet_tui.syscalls import how_ended
from denet_tui.system.visible import visible

NONE = "-"
"""Stands where there is nothing to say, so that an empty cell is never taken for a fault."""
_LONG_PATH = re.compile(r"(?P<option>-\w|--[\w-]+=)?[^/]*/(?:[^/]+/)*(?P<end>[^/]+/[^/]+/?)")
"""A path of more than two parts, and the option that it is glued to."""


def rate(per_second: float) -> str:
    """Calls/s in at most 6 cells: `0`, `1.5`, `12,345`, `123k`, `1.2M`."""
    if per_second <= 0:
        return "0"
    if per_second < 9.95:
        return f"{per_second:.1f}"
    if per_second < 99_999.5:
        return f"{per_second:,.0f}"
    for unit in "kMG":
        per_second /= 1000
        if per_second < 9.95:
            return f"{per_second:.1f}{unit}"
        if per_second < 999.5:
            return f"{per_second:.0f}{unit}"
    return f"{per_second / 1000:.0f}T"


def duration(ns: float) -> str:
    """A time in ns in at most 5 cells: `87ns`, `1.2µs`, `340ms`, `12s`, `17m`, `2.5h`."""
    if ns < 999.5:
        return f"{ns:.0f}ns"
    value = ns
    for unit in ("µs", "ms", "s"):
        value /= 1000
        if value < 9.95:
            return f"{value:.1f}{unit}"
        if value < 999.5:
            return f"{value:.0f}{unit}"
    hours = value / 3600
    if hours < 1:
        return f"{value / 60:.0f}m"
    return f"{hours:.1f}h" if hours < 9.95 else f"{hours:.0f}h"


def at_most(ns: int, longest_ns: int) -> str:
    """A bound as `duration`, rounded up, so that it still is one; that of the longest call reads as that call."""
    if ns >= longest_ns:
        return duration(longest_ns)
    step = int(10 ** max(len(str(ns)) - 2, 0))  # two digits, and three of what `duration` gives three
    if len(str(ns)) % 3 == 0:
        step //= 10 if step > 1 else 1
    return duration(-(-ns // step) * step)


def elapsed(ns: int) -> str:
    """A time since the start as a clock: `0:07.5`, `12:34`, `3:04:05`."""
    seconds = ns / 1e9
    minutes, hours = int(seconds // 60), int(seconds // 3600)
    if hours:
        return f"{hours}:{minutes % 60:02}:{int(seconds) % 60:02}"
    if minutes >= 10:
        return f"{minutes}:{int(seconds) % 60:02}"
    return f"{minutes}:{int(seconds * 10) % 600 / 10:04.1f}"


def size(count: int) -> str:
    """Bytes in at most 4 cells: `0`, `812K`, `1.2M`, `345M`, `12G`."""
    if count < 1024:
        return str(count)
    value = float(count)
    for unit in "KMGT":
        value /= 1024
        if value < 9.95:
            return f"{value:.1f}{unit}"
        if value < 999.5:
            return f"{value:.0f}{unit}"
    return f"{value:.0f}T"


def percent(share: float) -> str:
    """A share (0..1) in at most 4 cells: `0`, `<0.1`, `3.2`, `100`."""
    value = share * 100
    if value <= 0:
        return "0"
    if value < 0.05:
        return "<0.1"
    return f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def ended(status: int | None) -> str:
    """What a wait status says: `exited 3`, `killed by SIGKILL`; `ended` where it is not known."""
    if status is None:
        return "ended"
    return how_ended(os.waitstatus_to_exitcode(status)).removeprefix("was ").replace("with status ", "")


def ended_short(status: int | None) -> str:
    """As `ended`, in at most 9 cells: `exit 3`, `SIGKILL`."""
    return ended(status).removeprefix("killed by ").replace("exited", "exit")


def program(argv: Sequence[str], fallback: str) -> str:
    """The name of a program by its argv[0]: the last part of a path, but a title that it gave itself whole.

    Such a title (`sshd: debian@pts/0`) is text with spaces: what it has after the first of them is no path.
    """
    first, space, rest = argv[0].partition(" ") if argv else ("", "", "")
    is_path = first.startswith("/") or ":" not in first
    return ((first.rpartition("/")[2] if is_path else "") or first) + space + rest or fallback


def command(argv: Iterable[str], fallback: str, *, cut: bool = False) -> str:
    """An argv as one line, the directory of the program left out; `fallback` where it is empty, `…` where it goes on.

    Line breaks and tabs are spaces in it, so that a script given as an argument can be read.
    """
    words = tuple(argv)
    line = " ".join((program(words, fallback), *words[1:])) + "…" * cut
    return visible(line if line.isprintable() else " ".join(line.split()))


def condensed(argv: Sequence[str], fallback: str, width: int, *, cut: bool = False) -> str:
    """As `command`, in at most `width` cells, with what tells it from its like kept for longest.

    First long paths lose their first folders, then options go, then also what follows an option:
    `cc1 … src/parse.c`.
    """
    whole = command(argv, fallback, cut=cut)
    if cell_len(whole) <= width:
        return whole
    for step in _ever_fewer(argv[1:]):
        for kept in (step, [word and _short_path(word) for word in step]):
            line = _joined(argv, fallback, kept) + "…" * cut
            if cell_len(line) <= width:
                return line
    return _without_start(line, "".join(word for word in kept if word), width)


def _ever_fewer(words: Sequence[str]) -> list[Sequence[str | None]]:
    """All words, those that are no options, and those that follow none; None stands for one that is left out.

    Those that are no options stand there the first time only.
    """
    first = {word: at for at, word in reversed([*enumerate(words)])}  # said once is enough: cc1 has its file thrice
    operands = [None if word.startswith("-") or first[word] < at else word for at, word in enumerate(words)]
    last = [word if before is not None else None for before, word in pairwise(["", *operands])]
    if not any(last):
        last = [word if word and _is_path(word) else None for word in operands]
    return [words, operands, last] if any(last) else [words]


def _without_start(line: str, path: str, width: int) -> str:
    """A line that ends in its only path in `width` cells: the end of that says more than its start."""
    room = width - cell_len(line) + cell_len(path)
    if not line.endswith(path) or " " in path or room < 2:
        return clip(line, width)
    start = line.removesuffix(path).removesuffix("… ")
    return start + "…" + path.lstrip("…")[1 - width + cell_len(start) :]


def _is_path(word: str) -> bool:
    return "/" in word and "://" not in word and " " not in word


def _short_path(word: str) -> str:
    found = _LONG_PATH.fullmatch(word) if _is_path(word) else None
    return f"{found['option'] or ''}…/{found['end']}" if found else word


def _joined(argv: Sequence[str], fallback: str, words: Sequence[str | None]) -> str:
    """The program and `words`, one `…` for each run of those that are left out."""
    shown = [text for word, run in groupby(words) for text in (["…"] if word is None else run) if text]
    if shown.count("…") > 1 and shown[-1] == "…":
        del shown[-1]  # that something is left out is said already
    return command([*argv[:1], *shown], fallback).replace(" … …", " …")


def clip(text: str, width: int) -> str:
    """`text` in at most `width` cells, with `…` where something was left out."""
    if len(text) <= width and text.isascii():
        return text
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1) + "…" if width > 0 else ""


def pad(text: str, width: int, *, right: bool = False) -> str:
    """`text` in exactly `width` cells; at the right end where `right` is set."""
    text = clip(text, width)
    space = " " * (width - (len(text) if text.isascii() else cell_len(text)))
    return space + text if right else text + space


def end_of(path: str, width: int) -> str:
    """A path in at most `width` cells: its end says more than its start."""
    if cell_len(path) <= width or not path.startswith(("/", "…")):
        return clip(path, width)
    rest = path[max(0, len(path) - width) :]
    while rest and cell_len(rest) >= width:
        rest = rest[1:]
    return f"…{rest}" if width > 0 else ""
