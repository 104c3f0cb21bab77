"""Who started denet-tui: whose terminal and session these are, and what of theirs a command gets."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from denet_tui.bpf.privilege import User, real_uid
from denet_tui.watch.passed import PASSED
from denet_tui.watch.processes import stat

_ASKED = {"sudo": "SUDO_UID", "doas": "DOAS_USER", "pkexec": "PKEXEC_UID"}
"""Ways to become root, and where each says who asked."""
_LOGIN_PATH = "/usr/local/bin:/usr/bin:/bin"
"""Where login.defs(5) does not say otherwise."""


def is_foreign(user: User) -> bool:
    """Whether this terminal and session are another user's than `user`: their command then needs a session of its own.

    They are whose who started us, past sudo, doas and pkexec: that one reads next what is typed here, whoever types
    it. Who owns the terminal or leads the session does not tell: a root shell under `sudo -s` has both from the user.
    """
    for pid, name in _above():
        if name not in _ASKED:
            return real_uid(pid) != user.uid
    return os.getuid() != user.uid


def has_shell() -> bool:
    """Whether a process in this session sees that this process group stops, and may let it go on (man 7 credentials).

    The kernel's own rule: a group is orphaned where no parent of its members is in the same session and another group.
    """
    for pid, _ in _above():
        try:
            if os.getpgid(pid) != os.getpgrp():
                return os.getsid(pid) == os.getsid(0)
        except OSError:
            return False
    return False


def environment_of(user: User, asker: User) -> dict[str, str]:
    """The environment for a command of this user.

    Under sudo the environment of who asked is the one that sudo itself was started with: sudo replaces
    PATH and drops most of the rest before it starts us. For anybody else HOME and the names are set, and
    of another user's environment only what PASSED names is kept.
    """
    if user.uid == asker.uid and (found := _asked_with(asker)):
        return found
    environment = dict(os.environ)
    environment.pop("LC_CTYPE", None)  # Python sets it for itself, in the C locale (PEP 538)
    for entry in Path("/proc/self/environ").read_bytes().split(b"\0"):
        if entry.startswith(b"LC_CTYPE="):
            environment["LC_CTYPE"] = os.fsdecode(entry.partition(b"=")[2])
    if user.uid == os.getuid():
        return environment
    if is_foreign(user):
        environment = {name: value for name, value in environment.items() if _is_passed(name)} | {"PATH": _login_path()}
    else:
        for name in [name for name in environment if name.startswith(("SUDO_", "DOAS_", "PKEXEC_"))]:
            del environment[name]
    return environment | {"HOME": user.home, "USER": user.name, "LOGNAME": user.name, "SHELL": user.shell}


def _is_passed(name: str) -> bool:
    return name in PASSED or ("LC_*" in PASSED and name.startswith("LC_"))


def _login_path() -> str:
    """PATH as a login sets it for anybody but root (ENV_PATH, man 5 login.defs)."""
    with contextlib.suppress(OSError):
        for line in Path("/etc/login.defs").read_text(encoding="utf-8", errors="replace").splitlines():
            match line.split():
                case ["ENV_PATH", value, *_]:
                    return value.removeprefix("PATH=")
    return _LOGIN_PATH


def _asked_with(asker: User) -> dict[str, str] | None:
    """Environment that sudo (doas, pkexec) was started with by `asker`, None if there is no such process above.

    The nearest one, and only if it is the one that named the asker: with several on top of each other
    (`sudo -u other sh`, and sudo in there) the outer ones have the environment of somebody else.
    """
    names = {tool for tool, said in _ASKED.items() if os.environ.get(said) in (str(asker.uid), asker.name)}
    for pid, name in _above():
        if name in names:
            try:
                entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            except OSError:
                break
            pairs = (os.fsdecode(entry).partition("=") for entry in entries)
            return {name: value for name, has_value, value in pairs if has_value}
    return None


def _above() -> Iterator[tuple[int, str]]:
    """(pid, command name) of the processes above this one, the nearest first."""
    pid = os.getppid()
    while pid:
        try:
            found = stat(pid)
        except OSError:
            return
        yield pid, found.comm
        pid = found.parent
