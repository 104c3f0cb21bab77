"""Packages that only some of the commands need: how one says that it is not here."""

from __future__ import annotations

import sys


def needs(what: str, package: str) -> str:
    """One line: what needs it, and how to have it; `package` as pip takes it, with its version."""
    python = sys.executable if sys.executable.startswith("/") else "python3"
    return f"{what} needs the package {package.partition('>')[0]}: {python} -m pip install '{package}'"
