"""Finds the file that a command's name stands for, as a shell would, before anything is forked."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

NOT_EXECUTABLE, NOT_FOUND = 126, 127
"""Exit statuses as env(1) and timeout(1) use them."""


class CommandError(Exception):
    """The command cannot run; `status` is what denet-tui exits with."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


def resolve(name: str, search: str) -> str:
    """The file that a shell would run for `name`; raises CommandError (127 not found, 126 not executable).

    Done before the fork, so that the walk along PATH does not show as failed execves of the command.
    """
    if not name:
        raise CommandError("the command is an empty string: name a program", NOT_FOUND)
    candidates = [name] if "/" in name else [f"{part or '.'}/{name}" for part in search.split(os.pathsep)]
    blocked = ""
    for candidate in candidates:
        try:
            mode = Path(candidate).stat().st_mode
        except OSError as error:
            if error.errno in (errno.EACCES, errno.ELOOP, errno.ENAMETOOLONG) or (
                error.errno == errno.ENOTDIR and "/" in name
            ):
                blocked = blocked or f"{candidate}: {error.strerror}"
            continue
        if stat.S_ISDIR(mode):
            blocked = blocked or f"{candidate}: is a directory"
        elif not os.access(candidate, os.X_OK, effective_ids=True):
            blocked = blocked or f"{candidate}: permission denied (not executable for this user)"
        else:
            return candidate
    if blocked:
        raise CommandError(f"cannot execute {blocked}", NOT_EXECUTABLE)
    place = "" if "/" in name else " in PATH"
    raise CommandError(f"command not found{place}: {name}", NOT_FOUND)


def why_not(path: str, number: int) -> str:
    """Why execve(2) refused a file that is there, as one line."""
    reasons = {
        errno.ENOENT: "the interpreter that its first line (or its ELF header) names does not exist",
        errno.E2BIG: "its arguments and environment are too long; pass less, or raise `ulimit -s`",
    }
    return f"cannot execute {path}: {reasons.get(number, os.strerror(number))}"
