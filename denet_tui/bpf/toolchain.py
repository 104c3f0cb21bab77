"""Finds the distribution's bcc from any Python, and tells it from others of that name.

PyPI's `bcc` is an unrelated package. The real one is plain ctypes around libbcc, so any Python can
load it by file location, without its folder on sys.path.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

_FOLDERS = (
    "usr/lib/python3/dist-packages",
    "usr/lib/python3.*/dist-packages",
    "usr/lib/python3.*/site-packages",
    "usr/lib64/python3.*/site-packages",
    "usr/local/lib/python3.*/dist-packages",
    "usr/local/lib/python3.*/site-packages",
    "usr/local/lib64/python3.*/site-packages",
)
PACKAGES = {
    "apt-get": "python3-bpfcc",
    "dnf": "python3-bcc",
    "pacman": "python-bcc",
    "zypper": "python3-bcc",
    "apk": "py3-bcc",
}
"""What bcc is called, by the program that installs it."""
_INSTALL = {
    "debian": "apt-get install",
    "ubuntu": "apt-get install",
    "fedora": "dnf install",
    "rhel": "dnf install",
    "arch": "pacman -S",
    "suse": "zypper install",
    "opensuse": "zypper install",
    "alpine": "apk add",
}


class ToolchainError(Exception):
    """No usable bcc; the text says what was found and what to install."""


class Toolchain(NamedTuple):
    """A bcc package folder and its version (`unknown` where it does not say)."""

    folder: Path
    version: str


def find(root: Path = Path("/")) -> Toolchain:
    """The distribution's bcc below `root`; raises ToolchainError."""
    strangers = []
    for pattern in _FOLDERS:
        for folder in sorted(root.glob(f"{pattern}/bcc"), reverse=True):
            if (folder / "libbcc.py").is_file() and (folder / "table.py").is_file():
                return Toolchain(folder, _version(folder))
            if (folder / "__init__.py").is_file():  # an uninstall may leave an empty folder behind
                strangers.append(folder)
    shadow = _imported_stranger()
    if shadow:
        strangers.append(shadow)
    if strangers:
        raise ToolchainError(
            f"the bcc in {strangers[0]} is not the BPF Compiler Collection (PyPI's bcc is an unrelated package); "
            f"install the real one beside it: {install_command()}"
        )
    raise ToolchainError(f"bcc (the BPF Compiler Collection) is not installed; install it: {install_command()}")


def load(toolchain: Toolchain) -> ModuleType:
    """Import bcc from its folder under its own name; raises ToolchainError where it or libbcc is broken."""
    location = importlib.util.spec_from_file_location(
        "bcc", toolchain.folder / "__init__.py", submodule_search_locations=[str(toolchain.folder)]
    )
    if location is None or location.loader is None:
        raise ToolchainError(f"{toolchain.folder} cannot be imported; install it again, with its library")
    module = importlib.util.module_from_spec(location)
    sys.modules["bcc"] = module
    try:
        location.loader.exec_module(module)
    except (ImportError, OSError, AttributeError, SyntaxError) as error:
        raise ToolchainError(
            f"bcc in {toolchain.folder} does not load ({error}); install it again, with its library"
        ) from error
    return module


def install_command() -> str:
    """The command that installs bcc on this distribution (by os-release's ID and ID_LIKE), to be run as root."""
    import platform

    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    for name in (release.get("ID", ""), *release.get("ID_LIKE", "").split()):
        if name in _INSTALL:
            return f"sudo {_INSTALL[name]} {PACKAGES[_INSTALL[name].split()[0]]}"
    return "the package {apt-get}, {dnf} or {pacman} of your distribution".format_map(PACKAGES)


def _version(folder: Path) -> str:
    try:
        text = (folder / "version.py").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "unknown"
    found = re.search(r"""__version__\s*=\s*['"]([^'"]+)""", text)
    return found[1] if found else "unknown"


def _imported_stranger() -> Path | None:
    """Folder of a `bcc` that this Python would import, whatever it is."""
    found = importlib.util.find_spec("bcc") if "bcc" not in sys.modules else None
    return Path(found.origin).parent if found and found.origin else None
