"""How denet-tui was called, what to type so that root calls it, and the ways to become root from here."""

from __future__ import annotations

import os
import re
import shlex
import stat
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess

FOLDER = "/opt/denet-tui"
"""Where `make install` puts a copy of root's own."""
_LOCAL = "/usr/local/bin"
_FOLDERS = ("/usr/bin", "/bin", "/usr/local/bin", "/run/wrappers/bin")
_WAYS = ("sudo", "doas", "run0", "pkexec")
"""Programs that make one root, in the order in which they are asked."""
_DOAS_RULES = ("/etc/doas.conf", "/etc/doas.d")
"""Without one of them doas lets nobody (man 5 doas.conf; the folder is Alpine's)."""
_BUS = "/run/dbus/system_bus_socket"
"""Through which run0 and pkexec ask."""
_ANSWER_S = 5.0
"""For sudo, which may ask a server."""


def program() -> str:
    """How denet-tui is called so that sudo finds it: by its path where that is not in secure_path (man sudoers)."""
    return _program(sys.argv[0])


@cache
def _program(called: str) -> str:
    """Looked for once: it is said at each drawing."""
    import shutil  # it loads what packs archives, which takes a moment

    path = shutil.which(called) or ""
    folder = str(Path(path).parent)
    if Path(path).name != "denet-tui" or folder in ("/usr/bin", "/bin") or (folder == _LOCAL and _sudo_finds_local()):
        return "denet-tui"
    return str(Path(path).absolute())


def for_administrator() -> tuple[str, bool]:
    """What an administrator may run as root, and whether that has to be installed first.

    A copy that others than root can change is none.
    """
    found = Path(sys.prefix).stat()
    others = bool(found.st_uid or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
    return (f"{FOLDER}/bin/denet-tui" if others else program()), others


def with_sudo(*words: str) -> str:
    """What to type to call it through sudo, or what is in its place, with these words, whoever is told."""
    return f"{sudo()} {shlex.quote(program())} {' '.join(words)}"


def sudo() -> str:
    """What makes one root here, by its name: doas, run0 or pkexec where there is no sudo."""
    return Path(way_up() or next(iter(installed()), "sudo")).name


def _sudo_finds_local() -> bool:
    """Whether /usr/local/bin is in sudo's secure_path; where only root may know that, as the distribution has it."""
    if os.geteuid() == 0:
        return _LOCAL in os.environ.get("PATH", "").split(":")  # under sudo that is secure_path
    way = way_up()
    if Path(way).name != "sudo":
        return True
    asked = _said((way, "-n", "-l"))
    if found := re.findall(r"secure_path=(\S+)", asked.replace("\\:", ":")):
        return _LOCAL in found[-1].strip('",').split(":")  # the last one holds (man 5 sudoers)
    if "may run the following" in asked:
        return True  # there is none: PATH is the caller's
    with suppress(OSError):
        return bool(re.search(r"^ID(_LIKE)?=.*\bdebian\b", Path("/etc/os-release").read_text("utf-8"), re.MULTILINE))
    return False


def as_root(*words: str) -> str:
    """What to type to call it as root with these words."""
    way = (sudo(),) if os.geteuid() else ()
    return shlex.join((*way, program(), *words))


def way_up() -> str:
    """The absolute path of sudo, else doas, run0 or pkexec; empty where there is none that could work for this user."""
    if _no_new_privileges():
        return ""
    return next((each for each in installed() if not refuses(each)), "")


def why_no_way() -> str:
    """Why there is no way up, for a person; empty where there is one, and for root."""
    if os.geteuid() == 0 or way_up():
        return ""
    if _no_new_privileges() or not installed():
        return f"there is no {', '.join(_WAYS[:-1])} or {_WAYS[-1]} that works in this session"
    return f"{sudo()} does not let you: you are none of this machine's administrators"


def how_as_root() -> str:
    """What this user does to have it run as root."""
    if why_no_way():
        return f"ask an administrator of this machine: `{program()} setup` has a text to hand over"
    return f"run denet-tui with {sudo()}"


def becoming_root(way: str, *argv: str) -> tuple[str, ...]:
    """The argv that runs `argv` as root through a way up, on this terminal, whose colours stay as they are."""
    return (way, *(("--background=",) if Path(way).name == "run0" else ()), *argv)


def _no_new_privileges() -> bool:
    try:
        return "NoNewPrivs:\t1" in Path("/proc/self/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def installed(access: Callable[[str, int], bool] = os.access) -> list[str]:
    """The absolute paths of sudo and those in its place, the first to take first."""
    paths = (f"{folder}/{name}" for name in _WAYS for folder in _FOLDERS)
    there = [each for each in paths if access(each, os.X_OK)]
    return [each for each in there if os.path.exists(_BUS) or not each.endswith(("run0", "pkexec"))]  # noqa: PTH110


@cache
def refuses(way: str) -> bool:
    """Whether it lets this user do nothing, whatever the password."""
    if os.geteuid() == 0:
        return False
    match Path(way).name:
        case "sudo":  # an administrator is not told of this (man 8 sudo)
            return "may not run sudo" in _said((way, "-n", "-v"))
        case "doas":  # a rule may be for one program alone (man 5 doas.conf)
            asked = ([way, "-n", each, "--version"] for each in ("denet-tui", sys.executable))
            return not any(map(os.path.exists, _DOAS_RULES)) or all("not permitted" in _said(each) for each in asked)
        case "run0":
            return _polkit_refuses("org.freedesktop.systemd1.manage-units")
    return _polkit_refuses("org.freedesktop.policykit.exec")


def _polkit_refuses(action: str) -> bool:
    """Whether no password would help; not where polkit is not there to be asked (man 1 pkcheck)."""
    return "not authorized" in _said(("pkcheck", "--action-id", action, "--process", str(os.getpid()))).lower()


def asks_nothing(way: str, program: str) -> bool:
    """Whether sudo runs that program, which knows `--version`, without a password."""
    asked = _asked((way, "-n", program, "--version"))
    return asked is not None and asked.returncode == 0


def _said(argv: Sequence[str]) -> str:
    """What it says, in English, where it may not ask for a password; empty where it does not answer."""
    asked = _asked(argv)
    return asked.stdout.decode(errors="replace") if asked else ""


def _asked(argv: Sequence[str]) -> subprocess.CompletedProcess[bytes] | None:
    import subprocess

    try:
        return subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_ANSWER_S,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
