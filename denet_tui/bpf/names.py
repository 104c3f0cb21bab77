"""Names of processes as the kernel has them: any bytes, and only so many."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from pathlib import Path

KEPT = 128
"""Bytes of a command line that the kernel side keeps (CMDLINE in kernel/maps.c)."""
_COMM = 15
"""The longest comm (TASK_COMM_LEN in include/linux/sched.h, without its NUL): longer ones are cut, anywhere."""

FROM_ROOT, IN_NO_FOLDER = 1, 2
"""How the walk of names to the root ended (enum path_end in kernel/paths.c); 0 where it was cut."""


def comm(raw: bytes) -> str:
    """The name of a task, as far as the kernel keeps it, without a part of a character at its end."""
    name = raw.partition(b"\0")[0]
    return _text(name, cut=len(name) >= _COMM)


def words(raw: bytes, *, cut: bool = False) -> tuple[str, ...]:
    """A command line, NUL-separated; where it is `cut`, the last word is what there is of it, and may be empty."""
    return tuple(_text(raw if cut else raw.removesuffix(b"\0"), cut=cut).split("\0")) if raw else ()


def text(raw: bytes, size: int) -> tuple[str, bool]:
    """What has so many bytes with its NUL, and whether it goes on: then there was no room for all of it."""
    cut = size >= len(raw)
    return _text(raw[: max(size - 1, 0)], cut=cut), cut


def is_cut(length: int) -> bool:
    """Whether the kernel side has kept less than all of a command line of so many bytes, the last NUL aside."""
    return length > KEPT + 1


def goes_on(start: Sequence[str], whole: Sequence[str]) -> bool:
    """Whether a command line that is cut after `start` can be the `whole`."""
    return "\0".join(whole).startswith("\0".join(start))


def identity(tgid: int) -> tuple[bytes, bytes]:
    """The name and the command line of a running process, empty where they cannot be read."""
    try:
        return Path(f"/proc/{tgid}/comm").read_bytes().strip(), Path(f"/proc/{tgid}/cmdline").read_bytes()
    except OSError:
        return b"", b""


def _text(raw: bytes, *, cut: bool) -> str:
    return codecs.utf_8_decode(raw, "surrogateescape", not cut)[0]
