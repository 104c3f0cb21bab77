"""Finds the file that a command's name stands for, as a shell would, before anything is forked."""

from __future__ import annotations

import errno
import os
import re
import shlex
import stat
from pathlib import Path

NOT_EXECUTABLE, NOT_FOUND = 126, 127
"""Exit statuses as env(1) and timeout(1) use them."""
_THERE = (errno.EACCES, errno.ELOOP, errno.ENAMETOOLONG)
"""Errors of a file that is, or may be, there."""


_QUOTED = re.compile(r"""'[^']*'|\\.|("(?:\\.|[^"\\])*")""", re.DOTALL)
"""Within double quotes (the group) a shell still acts on $ and `."""
_OF_A_SHELL = re.compile(r"[|&;<>()*?$`\n]|\[.*\]|(?<!\S)(?:~|#|\w+=)")
"""What a shell acts on: pipelines, lists, redirections, patterns, variables, `~`, comments, assignments."""


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
    is_path, blocked = "/" in name, ""
    for candidate in [name] if is_path else [f"{part or '.'}/{name}" for part in search.split(os.pathsep)]:
        reason = _unfit(candidate, is_path=is_path)
        if reason == "":
            return candidate
        blocked = blocked or (f"{candidate}: {reason}" if reason else "")
    if blocked:
        raise CommandError(f"cannot execute {blocked}", NOT_EXECUTABLE)
    raise CommandError(f"command not found{'' if is_path else ' in PATH'}: {name}{in_shell(name)}", NOT_FOUND)


def in_shell(name: str) -> str:
    """For a line of a shell that was given as one word: how a shell runs it; else empty."""
    if " " not in name.strip() and not through_shell(name):
        return ""
    return f"; if that is a line for a shell: denet-tui run -- sh -c {shlex.quote(name)}"


def through_shell(line: str) -> tuple[str, ...]:
    """The argv that has a shell run this line, where it takes one; empty where its words are a command already."""
    plain = _QUOTED.sub(lambda quoted: re.sub("[^$`]", "", quoted[1] or ""), line)
    return ("sh", "-c", line) if _OF_A_SHELL.search(plain) else ()


def _unfit(path: str, *, is_path: bool) -> str | None:
    """Why this cannot be executed, empty where it can; None if it is not there."""
    try:
        mode = Path(path).stat().st_mode
    except OSError as error:
        is_there = error.errno in _THERE or (error.errno == errno.ENOTDIR and is_path)
        return error.strerror if is_there else None
    if stat.S_ISDIR(mode):
        return "is a directory"
    return "" if os.access(path, os.X_OK, effective_ids=True) else "permission denied (not executable for this user)"


def refused(path: str, number: int) -> CommandError:
    """Why execve(2) refused a file that is there; 127 where it is the interpreter that is not, as shells have it."""
    reasons = {
        errno.ENOENT: "the interpreter that its first line (or its ELF header) names does not exist",
        errno.E2BIG: "its arguments and environment are too long; pass less, or raise `ulimit -s`",
    }
    text = f"cannot execute {path}: {reasons.get(number, os.strerror(number))}"
    return CommandError(text, NOT_FOUND if number == errno.ENOENT else NOT_EXECUTABLE)
