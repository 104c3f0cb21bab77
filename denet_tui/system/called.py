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
BOOTED = "/run/systemd/system"
"""There where systemd, which run0 asks, runs the machine (man 3 sd_booted)."""
_ANSWER_S = 5.0
"""For sudo, which may ask a server."""


def program() -> str:
    """How denet-tui is called so that sudo finds it: by its path where that is not in secure_path (man sudoers)."""
    return _program(sys.argv[0])


@cache
def _program(called: str) -> str:
    """Looked for once: it is said at each drawing."""
    path = _which(called)
    folder = str(Path(path).parent)
    if Path(path).name != "denet-tui" or folder in ("/usr/bin", "/bin") or (folder == _LOCAL and _sudo_finds_local()):
        return "denet-tui"
    return str(Path(path).absolute())


def _which(name: str) -> str:
    import shutil  # it loads what packs archives, which takes a moment

    return shutil.which(name) or ""


def for_administrator() -> tuple[str, bool]:
    """What an administrator may run as root, and whether that has to be installed first.

    A copy that others than root can change is none.
    """
    found = Path(sys.prefix).stat()
    others = bool(found.st_uid or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
    return (f"{FOLDER}/bin/denet-tui" if others else program()), others


def with_sudo(*words: str) -> str:
    """How to call it through sudo, or what is in its place, with these words, in backquotes, whoever is told."""
    return rooted(f"{shlex.quote(program())} {' '.join(words)}")


def rooted(command: str) -> str:
    """A command for root, in backquotes; without sudo for whom that does nothing, who hands it on."""
    return f"`{command}` as root" if why_no_way() else f"`{sudo()} {command}`"


def power() -> str:
    """What members of the group do without, in a sentence: root, for whom no way leads there."""
    return "root" if why_no_way() else sudo()


def sudo() -> str:
    """What makes one root here, by its name: doas, run0 or pkexec where there is no sudo."""
    return Path(way_up() or next(iter(installed()), "sudo")).name


def _sudo_finds_local() -> bool:
    """Whether /usr/local/bin is in sudo's secure_path; where only root may know that, as the distribution has it."""
    if os.geteuid() == 0:
        return _LOCAL in os.environ.get("PATH", "").split(":")  # under sudo that is secure_path
    way = next(iter(installed()), "")
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


def itself() -> tuple[str, ...]:
    """The argv of denet-tui for root: what is advised is what is run, so that a rule holds for both."""
    if Path(_which(sys.argv[0])).name == "denet-tui":
        return (program(),)
    return (sys.executable, "-I", "-m", "denet_tui")  # -I: nothing of this folder is imported as root


def way_up(*argv: str) -> str:
    """The absolute path of sudo, else doas, run0 or pkexec; empty where none could run `argv` for this user.

    Without `argv` that is denet-tui itself.
    """
    if _no_new_privileges():
        return ""
    return next((each for each in installed() if not refuses(each, *(argv or itself()))), "")


def why_no_way(*words: str) -> str:
    """Why there is no way up to denet-tui with these words, for a person; empty where there is one, and for root."""
    if os.geteuid() == 0 or way_up(*itself(), *words):
        return ""
    if _no_new_privileges() or not installed():
        return f"there is no {', '.join(_WAYS[:-1])} or {_WAYS[-1]} that works in this session"
    return f"{sudo()} does not let you run it"


def how_as_root(*words: str) -> str:
    """What this user does to have it run as root, with these words where they are known."""
    if not (why := why_no_way(*words)):
        return f"run `{as_root(*words)}`" if words else f"run denet-tui with {sudo()}"
    if not words:
        return f"ask an administrator of this machine: `{program()} setup` has a text to hand over"
    command, to_install = for_administrator()
    first = "run `make install` in a checkout of theirs, then " * to_install
    return f"{why}: ask an administrator of this machine to {first}run as root `{shlex.join((command, *words))}`"


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
    asks = {"run0": (_BUS, BOOTED), "pkexec": (_BUS,)}
    there = [each for each in paths if access(each, os.X_OK)]
    return [each for each in there if all(map(os.path.exists, asks.get(Path(each).name, ())))]


@cache
def refuses(way: str, *argv: str) -> bool:
    """Whether it does not run this for this user, whatever the password; False if only the password would tell."""
    if os.geteuid() == 0:
        return False
    match Path(way).name:
        case "sudo":  # an administrator is not told of this (man 8 sudo)
            return "may not run sudo" in _said((way, "-n", "-v")) or _no_rule_for(way, argv)
        case "doas":  # a rule may be for one program alone (man 5 doas.conf)
            if not any(map(os.path.exists, _DOAS_RULES)):
                return True
            return "not permitted" in _said((way, "-n", argv[0], "--version"))
        case "run0":
            return _polkit_refuses("org.freedesktop.systemd1.manage-units")
    return _polkit_refuses("org.freedesktop.policykit.exec")


def _no_rule_for(way: str, argv: Sequence[str]) -> bool:
    """Whether sudo says, without a password, that it does not run this: nothing, with status 1 (man 8 sudo, -l)."""
    asked = _asked((way, "-n", "-l", *argv))
    return asked is not None and asked.returncode == 1 and not asked.stdout


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
