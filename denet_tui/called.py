"""How denet-tui was called, and what to type so that root calls it."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from functools import cache
from pathlib import Path


def program() -> str:
    """How denet-tui is called so that sudo finds it: by its path where that is not in secure_path (man sudoers)."""
    return _program(sys.argv[0])


@cache
def _program(called: str) -> str:
    """Looked for once: it is said at each drawing."""
    path = shutil.which(called) or ""
    if Path(path).name == "denet-tui" and str(Path(path).parent) not in ("/usr/local/bin", "/usr/bin", "/bin"):
        return str(Path(path).absolute())
    return "denet-tui"


def as_root(*words: str) -> str:
    """What to type to call it as root with these words."""
    return shlex.join((*(("sudo",) if os.geteuid() else ()), program(), *words))
