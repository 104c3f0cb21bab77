"""What the screens keep from one run to the next: the theme, a width. Never needed, only nice."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from denet_tui.system import files

FILE = "screen.json"
"""Its name in the user's folder of denet-tui."""

_OF_A_RUN = ("tab", "_sort", "_reverse")
"""What another command begins without: the tab, and the order in which one looks at the numbers of this one."""


@dataclass(frozen=True, slots=True)
class Kept:
    """How the screen was left; None and empty where nothing is known."""

    theme: str = ""
    tab: str = ""
    tree_width: int = 0
    """Percent of the screen."""
    syscalls_sort: str = ""
    syscalls_reverse: bool = False
    processes_sort: str = ""
    processes_reverse: bool = False
    helped: bool = False
    """Whether the help for the first run has been there."""


def read(path: Path) -> Kept:
    """What was kept in `path`; whatever is missing, broken or of another type is as if it had not been kept."""
    found: Any = {}
    with contextlib.suppress(OSError, ValueError, RecursionError):
        found = json.loads(files.read(path))
    if not isinstance(found, dict):
        return Kept()
    defaults = _lasting(Kept())
    return Kept(**{name: found[name] for name in defaults if type(found.get(name)) is type(defaults[name])})


def write(path: Path, kept: Kept) -> None:
    """Keep what is not a run's own, all or nothing; a folder that cannot be written is no reason to complain."""
    with contextlib.suppress(OSError):
        files.replace(path, json.dumps(_lasting(kept)).encode() + b"\n")


def _lasting(kept: Kept) -> dict[str, Any]:
    return {name: value for name, value in asdict(kept).items() if not name.endswith(_OF_A_RUN)}
