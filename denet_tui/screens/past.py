"""The commands that were typed before: a small file of the user's own, a command a line, the newest last."""

from __future__ import annotations

import os
from pathlib import Path

MOST = 200
"""Commands that are kept."""


def where() -> Path:
    """The file, by the XDG base directory specification."""
    state = os.environ.get("XDG_STATE_HOME", "")
    folder = Path(state) if state.startswith("/") else Path.home() / ".local" / "state"
    return folder / "denet-tui" / "commands"


def read(path: Path) -> list[str]:
    """The commands, the newest first; none where there is no file, or nothing that can be read."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return list(dict.fromkeys(line for line in reversed(lines) if line.isprintable() and line.strip()))[:MOST]


def remember(path: Path, command: str) -> None:
    """Add a command; a file that cannot be written is no reason not to watch."""
    known = [command, *(each for each in read(path) if each != command)][:MOST]
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = path.with_name(f"{path.name}.{os.getpid()}")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.writelines(f"{each}\n" for each in reversed(known))
        fresh.replace(path)
    except OSError:
        return
