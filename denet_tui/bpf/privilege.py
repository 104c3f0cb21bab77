"""What this process is and may do: the user who asked, its capabilities, and giving privilege away for good."""

from __future__ import annotations

import ctypes
import errno
import os
import pwd
import re
import struct
from functools import cache
from pathlib import Path
from typing import NamedTuple

from denet_tui.bpf.confine import protect

CAP_SYS_PTRACE, CAP_SYS_ADMIN, CAP_PERFMON, CAP_BPF = 19, 21, 38, 39
_PR_SET_KEEPCAPS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 8, 47, 4
_LINUX_CAPABILITY_VERSION_3 = 0x20080522
_NO_GROUP = 65534
"""Of who is in no user database: a group that nothing belongs to (nogroup, overflowgid)."""
_libc = ctypes.CDLL(None, use_errno=True)


class User(NamedTuple):
    """Somebody to run as: ids, login name and home."""

    uid: int
    gid: int
    name: str
    home: str
    shell: str = "/bin/sh"


def invoking_user() -> User:
    """Who asked: the user behind sudo, doas or pkexec where this is root, else the current user.

    Believed only from root, and only for users that exist; sudo sets SUDO_UID itself (man sudo).
    """
    uid, gid = os.getuid(), os.getgid()
    if uid == 0:
        for variable in ("SUDO_UID", "PKEXEC_UID"):
            if _is_id(os.environ.get(variable, "")):
                uid, group = int(os.environ[variable]), os.environ.get("SUDO_GID", "")
                gid = int(group) if _is_id(group) else _NO_GROUP
                break
        else:
            try:
                return find_user(os.environ.get("DOAS_USER") or "0")
            except KeyError:
                return find_user("0")
    return find_user(str(uid), gid)


def find_user(name: str, gid: int = _NO_GROUP) -> User:
    """A user by name or uid; raises KeyError where there is none.

    A uid that is not in the user database is a user without a name, whose group is `gid`.
    """
    if not name.isdecimal():
        entry = pwd.getpwnam(name)
    elif not _is_id(name):
        raise KeyError(name)
    else:
        try:
            entry = pwd.getpwuid(int(name))
        except KeyError:
            return User(int(name), gid, name, "/")
    if not (_is_id(str(entry.pw_uid)) and _is_id(str(entry.pw_gid))):
        raise KeyError(name)
    return User(entry.pw_uid, entry.pw_gid, entry.pw_name, entry.pw_dir, entry.pw_shell or "/bin/sh")


@cache
def user_name(uid: int) -> str:
    """What a uid is called here; its number where it has no name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _is_id(text: str) -> bool:
    """Whether this is a uid or gid that one can have: -1 means `as it is` to setresuid and setresgid."""
    return text.isascii() and text.isdecimal() and int(text) < 0xFFFFFFFF


def real_uid(tgid: int, tid: int = 0) -> int | None:
    """Whose a process is, or one thread of it, as the kernel side compares it; None if it is gone."""
    try:
        text = Path(f"/proc/{tgid}/task/{tid or tgid}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return int(text.partition("\nUid:")[2].split()[0])


def capabilities(kind: str = "CapEff") -> int:
    """A capability set of this process as a bit mask (`CapEff`, `CapPrm`, `CapBnd`, …; man 7 capabilities)."""
    found = re.search(rf"^{kind}:\s*([0-9a-f]+)", Path("/proc/self/status").read_text(encoding="ascii"), re.MULTILINE)
    return int(found[1], 16) if found else 0


def may_load() -> bool:
    """Whether this process holds what loading needs: SYS_ADMIN, or BPF and PERFMON (Linux 5.8)."""
    held = capabilities()
    return bool(held >> CAP_SYS_ADMIN & 1 or (held >> CAP_BPF & 1 and held >> CAP_PERFMON & 1))


def become(user: User, *, keep_bpf: bool = False) -> None:
    """Become the user for good: groups, gid, uid, no capability in any set; CAP_BPF alone stays where asked for.

    Raises OSError where the kernel refuses. From here on other programs of the same user can neither trace it nor take
    descriptors from it.
    """
    protect()
    if keep_bpf:
        _prctl(_PR_SET_KEEPCAPS, 1)
    if os.geteuid() == 0 and user.uid != 0:
        os.initgroups(user.name, user.gid) if not user.name.isdecimal() else os.setgroups([user.gid])
        os.setresgid(user.gid, user.gid, user.gid)
        os.setresuid(user.uid, user.uid, user.uid)
        if os.getresgid() != (user.gid,) * 3:
            raise PermissionError(errno.EPERM, f"cannot take group {user.gid}")
    if os.getresuid() != (user.uid,) * 3:
        raise PermissionError(errno.EPERM, f"cannot become {user.name}")
    if user.uid != 0:
        _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
        protect()  # once more: a change of ids sets it as fs.suid_dumpable says (man 5 proc)
        _set_capabilities((1 << (CAP_BPF if _last_capability() >= CAP_BPF else CAP_SYS_ADMIN)) if keep_bpf else 0)


def _prctl(option: int, argument: int) -> None:
    if _libc.prctl(option, ctypes.c_ulong(argument), 0, 0, 0) and option != _PR_CAP_AMBIENT:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _last_capability() -> int:
    try:
        return int(Path("/proc/sys/kernel/cap_last_cap").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return CAP_BPF


def _set_capabilities(mask: int) -> None:
    """capset(2): effective and permitted become the mask, inheritable becomes empty."""
    header = struct.pack("<Ii", _LINUX_CAPABILITY_VERSION_3, 0)
    low, high = mask & 0xFFFFFFFF, mask >> 32
    if _libc.capset(header, struct.pack("<6I", low, low, 0, high, high, 0)):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
