"""What kernel and machine this is, whatever uname(2) says: its caller's personality(2) decides that."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

_WIDE = {"i686": "x86_64", "armv8l": "aarch64", "armv7l": "aarch64", "ppcle": "ppc64le", "s390": "s390x"}
"""What `setarch linux32` makes of them (COMPAT_UTS_MACHINE in the kernel's arch/)."""


@cache
def release() -> str:
    """As `uname -r` has it; without the personality UNAME26, which only uname(2) obeys."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/osrelease").read_text(encoding="ascii").strip()
    return os.uname().release


@cache
def machine() -> str:
    """As `uname -m` has it; that of a 64-bit kernel where this is a 64-bit program."""
    name = os.uname().machine
    return _WIDE.get(name, name) if sys.maxsize > 2**32 else name
