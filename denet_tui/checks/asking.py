"""Root for one thing, where this process is not root: through sudo, or through an administrator."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from denet_tui.bpf.unprivileged import sudo
from denet_tui.checks.host import Host
from denet_tui.checks.jobs import Ended, Kind
from denet_tui.checks.model import Finding, Fix
from denet_tui.checks.plan import shown


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
        applied = [each for each in self.said.get("applied", ()) if each["id"] == fix]
        undone = [each for each in self.said.get("undone", ()) if each["id"] == fix]
        left = tuple(str(line) for each in undone for line in each["left"])
        if not failed and (applied or undone):
            changed = bool(undone) or bool(applied[0]["changed"])
            return Ended(kind, fix, good=not left, changed=changed, left=left)
        if not self.said:
            failed = self.output or f"sudo ended with status {self.status}: it got no password, or does not let you"
        return Ended(kind, fix, good=False, text=failed or "nothing was changed: it is not needed any more")


def program() -> str:
    """How denet-tui is called so that sudo finds it: by its path where that is not in secure_path (man sudoers)."""
    path = shutil.which(sys.argv[0]) or ""
    if Path(path).name == "denet-tui" and str(Path(path).parent) not in ("/usr/local/bin", "/usr/bin", "/bin"):
        return str(Path(path).absolute())
    return "denet-tui"


def as_root(*words: str) -> tuple[str, ...]:
    """The argv of denet-tui with these words, through sudo; empty where there is no sudo."""
    return (sudo(), *_itself(), *words) if sudo() else ()


def apply(fix: str) -> tuple[str, ...]:
    """The argv that applies one fix; empty where there is no sudo."""
    return as_root("setup", "--only", fix, "--yes", "--json")


def undo(fix: str) -> tuple[str, ...]:
    """The argv that takes one fix back; empty where there is no sudo."""
    return as_root("setup", "--undo", "--only", fix, "--json")


def _itself() -> tuple[str, ...]:
    """Denet-tui as an absolute program: the installed script, or this Python with the module."""
    path = shutil.which(sys.argv[0]) or ""
    if Path(path).name == "denet-tui":
        return (str(Path(path).absolute()),)
    return (sys.executable, "-I", "-m", "denet_tui")  # -I: nothing of this folder is imported as root


def run(argv: tuple[str, ...]) -> Answer:
    """Run it on this terminal, which sudo may ask a password on; the caller has put the screen away.

    What it writes for a person is shown as it comes (standard error), its object is read (standard output).
    """
    try:
        done = subprocess.run(argv, stdout=subprocess.PIPE, check=False)
    except OSError as error:
        return Answer(127, f"{argv[0]}: {error.strerror}")
    except KeyboardInterrupt:
        return Answer(130, "interrupted")
    text = done.stdout.decode(errors="replace")
    try:
        said = json.loads(text)
    except ValueError:
        said = {}
    return Answer(done.returncode, "" if said else text, said if isinstance(said, dict) else {})


def for_administrator(wanted: Iterable[tuple[Finding, Fix]], host: Host) -> str:
    """Text to hand to an administrator: what is wrong, denet-tui's command for it, and what that would change."""
    lines = ["These need root on this machine. Each says what it changes, and can be taken back.", ""]
    for finding, fix in wanted:
        lines += [f"# {finding.id}: {finding.title}", f"# {fix.title} ({fix.scope})"]
        lines += [f"# opens: {fix.weakens}"] if fix.weakens else []
        lines += [f"# {fix.advice}"] if fix.advice and not fix.changes else []
        if fix.changes:
            lines.append(shlex.join([program(), "setup", "--only", fix.id, "--yes"]))
            lines += [f"#   {line}" for line in shown(fix, host)]
            lines.append(f"# undo: {shlex.join([program(), 'setup', '--undo', '--only', fix.id])}")
        lines.append("")
    return "\n".join(lines)
