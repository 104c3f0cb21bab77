"""The commands that were typed before: a small file of the user's own, a command a line, the newest last."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from denet_tui.system import files

MOST = 200
"""Commands that are kept."""


def where() -> Path:
    """The file."""
    return files.own_folder(os.environ, "XDG_STATE_HOME", Path.home() / ".local/state") / "commands"


def read(path: Path) -> list[str]:
    """The commands, the newest first; none where there is no file, or nothing that can be read."""
    try:
        lines = files.read(path).decode(errors="replace").splitlines()
    except OSError:
        return []
    return list(dict.fromkeys(line for line in reversed(lines) if line.isprintable() and line.strip()))[:MOST]


def remember(path: Path, command: str) -> None:
    """Add a command; a file that cannot be written is no reason not to watch."""
    known = [command, *(each for each in read(path) if each != command)][:MOST]
    with suppress(OSError):
        files.replace(path, "".join(f"{each}\n" for each in reversed(known)).encode(errors="replace"))
