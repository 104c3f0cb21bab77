"""Root for one thing, where this process is not root: through sudo or the like, or through an administrator."""

from __future__ import annotations

import json
import os
import pwd
import shlex
import signal
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from denet_tui.bpf.request import GROUP
from denet_tui.checks.model import Finding, Fix
from denet_tui.helper.jobs import Ended, Kind
from denet_tui.repair.preview import PreviewLine
from denet_tui.syscalls import how_ended
from denet_tui.system import called
from denet_tui.system.called import becoming_root, itself, way_up

HEAD = "#!/bin/sh\nset -eu\n"
"""Of each script for an administrator."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How a command that was run through sudo ended, what it said, and the object that it printed."""

    status: int
    output: str = ""
    """What it wrote for a person (and what sudo said), as far as it was not shown on the terminal."""
    said: dict[str, Any] = field(default_factory=dict)

    def ended(self, kind: Kind, fix: str) -> Ended:
        """The same as the helper tells it."""
        failed = "; ".join(str(each["error"]) for each in self.said.get("failed", ()))
        done = self._done("applied", fix) or self._done("undone", fix)
        if done and not failed:
            left = tuple(map(str, done.get("left", ())))
            return Ended(kind, fix, good=not left, changed=done.get("changed", True), left=left)
        if not self.said:
            failed = self.output or f"{called.sudo()} {how_ended(self.status)}: it got no password, or does not let you"
        return Ended(kind, fix, good=False, text=failed or "nothing was changed: it is not needed any more")

    def _done(self, what: str, fix: str) -> dict[str, Any]:
        """What was said of a fix that was applied or undone; empty if it was not."""
        return next((dict(each) for each in self.said.get(what, ()) if each["id"] == fix), {})


def to_apply(fix: str) -> str:
    """What root types to apply one fix."""
    return shlex.join((called.program(), "setup", "--only", fix))


def to_undo(fix: str) -> str:
    """What root types to take one fix back."""
    return shlex.join((called.program(), "setup", "--undo", "--only", fix))


def as_root(*words: str) -> tuple[str, ...]:
    """The argv of denet-tui with these words, through a way up; empty where there is none."""
    way = way_up(*itself(), *words)
    return becoming_root(way, *itself(), *words) if way else ()


def password(argv: tuple[str, ...]) -> str:
    """Have sudo ask for the password of that argv before this process becomes it; why not, where it got none.

    `sudo -v` asks whoever has a rule that wants one (verifypw in man 5 sudoers), also where this argv wants none.
    """
    if Path(argv[0]).name != "sudo" or called.asks_nothing(*argv[:2]):
        return ""
    answer = run((argv[0], "-v"))
    if answer.status:
        return f"sudo {how_ended(answer.status)}: it got no password; nothing was started"
    called.refuses.cache_clear()  # now that it knows who asks, it says what it was not asked before
    return f"sudo does not let you run `{shlex.join(argv[1:])}` as root" if called.refuses(*argv) else ""


def can() -> bool:
    """Whether `apply` and `undo` have an argv here."""
    return os.geteuid() == 0 or bool(way_up())


def apply(fix: str) -> tuple[str, ...]:
    """The argv that applies one fix; empty where this is not root, and there is no way up."""
    return _setup("--only", fix, "--yes", "--json")


def undo(fix: str) -> tuple[str, ...]:
    """The argv that takes one fix back; empty where this is not root, and there is no way up."""
    return _setup("--undo", "--only", fix, "--json")


def _setup(*words: str) -> tuple[str, ...]:
    return as_root("setup", *words) if os.geteuid() else (*itself(), "setup", *words)


def run(argv: tuple[str, ...]) -> Answer:
    """Run it on this terminal, which sudo may ask a password on; the caller has put the screen away.

    What it writes for a person is shown as it comes (standard error), its object is read (standard output).
    ctrl+c is for that command alone. Only the main thread may call this.
    """
    mine = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        reading, writing = os.pipe()
        with open(reading, "rb") as stream:  # noqa: PTH123 - a descriptor
            try:
                to_pipe = [(os.POSIX_SPAWN_DUP2, writing, 1)]
                pid = os.posix_spawnp(argv[0], argv, os.environ, file_actions=to_pipe, setsigdef=[signal.SIGINT])
            finally:
                os.close(writing)
            text = stream.read().decode(errors="replace")
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except OSError as error:
        return Answer(127, f"{argv[0]}: {error.strerror}")
    finally:
        signal.signal(signal.SIGINT, mine)
    try:
        said = json.loads(text)
    except ValueError:
        said = {}
    return Answer(status, "" if said else text, said if isinstance(said, dict) else {})


def to_let_in(fix: Fix | None, *, only_root: bool) -> str:
    """Text to hand to an administrator where all is right but that this user is not root.

    `fix` sets the group up whose members need not be; None if that is so already, or cannot be (`only_root`).
    """
    user = pwd.getpwuid(os.getuid()).pw_name
    lines = [f"# Lets {user} watch system calls of {user}'s own commands (denet-tui)."]
    if fix is None and only_root:
        lines += ["# Only root can here. To watch a command, any in the place of true:"]
        return _script([*lines, f"{called.program()} run --user {user} -- true", ""])
    if fix and fix.weakens:
        lines += textwrap.wrap(f"Opens: {fix.weakens}", 76, initial_indent="# ", subsequent_indent="#   ")
    if fix and fix.changes:
        lines += [f"{to_apply(fix.id)} --yes", f"# Undo: {to_undo(fix.id)}"]
    elif fix:
        lines += [f"# First: {fix.advice}"]
    lines += [f"gpasswd --add {user} {GROUP}", f"# Undo: gpasswd --delete {user} {GROUP}"]
    return _script([*lines, f"# Then {user} logs in again.", ""])


def _script(lines: Sequence[str]) -> str:
    """The lines as a script; one of a copy that others than root can change has root's own in its place."""
    text = "\n".join(lines)
    program, to_install = called.for_administrator()
    if not to_install:
        return HEAD + text
    warning = f"# Root does not run {sys.prefix}, which others can change.\n"
    first = "# First, from a checkout of your own: make install\n"
    return HEAD + warning + first + text.replace(shlex.quote(called.program()), program)


def for_administrator(wanted: Iterable[tuple[Finding, Fix]], previews: Mapping[str, Iterable[PreviewLine]]) -> str:
    """Text to hand to an administrator: what is wrong, denet-tui's command for it, and what that would change.

    `previews` has the lines by the fix's id.
    """
    lines = ["# These need root on this machine. Each says what it changes, and can be taken back.", ""]
    for finding, fix in wanted:
        lines += [f"# {finding.id}: {finding.title}", f"# {fix.title} ({fix.scope})"]
        lines += [f"# opens: {fix.weakens}"] if fix.weakens else []
        lines += [f"# {fix.advice}"] if fix.advice and not fix.changes else []
        if fix.changes:
            lines.append(f"{to_apply(fix.id)} --yes")
            lines += [f"#   {line}" for line in previews.get(fix.id, ())]
            lines.append(f"# undo: {to_undo(fix.id)}")
        lines.append("")
    return _script(lines)
