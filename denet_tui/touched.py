"""Frozen values of what calls are about: files, peers, failing paths, and the slowest calls."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

KEPT = 20_000
"""Rows of each table that are kept: where there are more, the least are folded, those of ended processes first."""
SLOWEST = 5
"""Of each syscall."""

UNTOLD = ("calls of programs that their user may not trace", "32-bit calls")
"""No tables, but among what was turned away: their files and paths are told to root alone, and of the others never.

Setuid and setgid programs, those with capabilities, those that are not dumpable or in a user namespace of others.
"""
FOLDED_FILES, FOLDED_PATHS = "folded files", "folded paths"
"""Nor these: rows that were added to one, or (of a process that ended long ago) have gone."""


def turned_away(table: str, count: int) -> str:
    """In words what found no room in a table."""
    if table in (FOLDED_FILES, FOLDED_PATHS):
        of = ", those of ended processes first," if table == FOLDED_FILES else ""
        return f"{table}: the {count:,} least{of} are told in sums alone"
    if table in UNTOLD:
        return f"without files and paths: {count:,} {table}"
    return f"{table}: turned away {count:,} times (no room)"


NOT_IN_FILES = (
    "what mmap, io_submit (AIO), io_uring, vmsplice, tee, process_vm_readv, process_vm_writev, mq_timedsend and "
    "mq_timedreceive move, the bytes of sendmmsg and recvmmsg, and 32-bit calls"
)
"""As recording.schema.json says it, too."""


class File(NamedTuple):
    """What a descriptor stands for.

    Its kind is file, directory, pipe, terminal, device, tcp, udp, unix, socket, memfd, epoll, eventfd and the like.
    """

    kind: str
    path: str | None
    """As it was called when it was first seen; None if that is not known."""


FOLDED = File("folded", None)
"""In the place of many: those of a process, or of all, that have no rows of their own any more."""


def called(file: File) -> str:
    """What it is called on a screen or in a table; as it came from outside."""
    if file == FOLDED:
        return "the least together"
    return f"{file.kind} of unknown name" if file.path is None else file.path


class Use(NamedTuple):
    """What calls did with a file; sendfile and its like count on both sides."""

    opens: int = 0
    reads: int = 0
    writes: int = 0
    read_bytes: int = 0
    write_bytes: int = 0
    time_ns: int = 0
    errors: int = 0
    blocked_ns: int = 0
    """Of the time; 0 where time is not watched."""

    def plus(self, other: "Use") -> "Use":
        """Both added up."""
        return Use(*map(int.__add__, self, other))


class FailedPath(NamedTuple):
    """A path or address with which a call failed, as it was given, below the folder that it began at."""

    syscall: str
    errno: int
    path: str | None
    """None if it could not be read (a bad address, mostly), and of all together that have no rows any more."""


class SlowCall(NamedTuple):
    """One of the slowest calls of a syscall since the start; `at_ns` is when it began, by Snapshot.time_ns's clock."""

    syscall: str
    pid: int
    time_ns: int
    at_ns: int
    about: str | None
    """Path, file or peer."""


class Touched(NamedTuple):
    """All of these since the start."""

    files: Mapping[File, Use] = MappingProxyType({})
    by_process: Mapping[tuple[int, File], Use] = MappingProxyType({})
    """The same by pid."""
    failed: Mapping[FailedPath, int] = MappingProxyType({})
    slowest: tuple[SlowCall, ...] = ()
    """By syscall, the slowest first."""
    mounts: tuple[str, ...] = ()
    """Where file systems are mounted, as denet-tui itself saw it at the start."""
    folds: int = 0
    """How often rows have been folded; else they only grow."""
