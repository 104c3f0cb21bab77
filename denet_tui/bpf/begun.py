"""Calls that threads are in already when they are attached to: /proc has them, the kernel side sees only their ends.

A thread that sleeps has not run since it was looked at where it has been switched away from no more often. From there
on it is the kernel side that says how long the call lasts.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import re
import signal
import socket
import struct
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from denet_tui.bpf import file_calls, files
from denet_tui.bpf.file_calls import HAS_ADDRESS, HAS_FILE, HAS_PATH, HAS_PEER, MESSAGE_1, WRITES
from denet_tui.model import ABI_IA32, ABI_NATIVE, ABI_X32
from denet_tui.syscalls import X32_BIT
from denet_tui.system import uname
from denet_tui.system.ready import readable

_PATIENCE_S = 1.0
"""How long is waited for what there is to say, once it is wanted."""
_LIFE_S = 10
_MESSAGE = struct.Struct("<QI")
"""How a struct msghdr begins: the address that it goes to, and the length of that (man 2 sendmsg)."""
_TEXT = 256
"""Bytes of a path or an address that are read."""
_ROOM = 1 << 20
"""Bytes that are written before they are read."""
_PIDFD_GETFD = 438
"""The same on every machine (Linux 5.6)."""
_SLEEPS = re.compile(
    r"^State:\t([SD]) .*^(Uid:[^\n]*)\n(Gid:[^\n]*)\n.*^VmSize:.*^CapPrm:\t(\w+).*^voluntary_ctxt_switches:\t(\d+)",
    re.MULTILINE | re.DOTALL,
)
_libc = ctypes.CDLL(None, use_errno=True)

Sleep = tuple[str, ...]
"""What is the same of a thread for as long as it sleeps, and no longer."""


class Begun(NamedTuple):
    """A call that a thread was in, and what it is about, where that is known."""

    abi: int
    nr: int
    about: str | None
    sleep: Sleep


def sleep_of(tgid: int, tid: int) -> Sleep | None:
    """The sleep that a thread is in, None if it is in none; man 5 proc_pid_status."""
    try:
        text = Path(f"/proc/{tgid}/task/{tid}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = _SLEEPS.search(text)
    return found.groups() if found else None


class Look:
    """Looks in a process of its own: to read another's memory may take as long as that one likes (userfaultfd)."""

    def __init__(self, pids: Callable[[], Iterable[int]], only_uid: int | None, *, about: bool) -> None:
        """With the privilege of now. Of `only_uid` (None: everyone) as that user could; without `about` calls alone."""
        self._pipe, out = os.pipe()
        with contextlib.suppress(OSError):
            fcntl.fcntl(out, fcntl.F_SETPIPE_SZ, _ROOM)
        self._pid = os.fork()
        if self._pid == 0:
            try:
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                signal.alarm(_LIFE_S)  # by then no process may be left that may end it
                _tell(out, pids(), only_uid, about=about)
            finally:
                os._exit(0)
        os.close(out)

    def found(self) -> dict[int, Begun]:
        """What there was, by tid; waits for it a second at most."""
        text, piece, until = b"", b"?", time.monotonic() + _PATIENCE_S
        while piece and readable([self._pipe], max(until - time.monotonic(), 0)):
            piece = os.read(self._pipe, _ROOM)
            text += piece
        os.close(self._pipe)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, os.WNOHANG if piece else 0)
        lines = map(json.loads, text.split(b"\n")[:-1])
        return {tid: Begun(abi, nr, about, tuple(sleep)) for tid, abi, nr, about, sleep in lines}


def _tell(out: int, pids: Iterable[int], only_uid: int | None, *, about: bool) -> None:
    """A line for each thread in a call."""
    classes = file_calls.classes() if about else {}
    for pid in pids:
        with contextlib.suppress(OSError, ValueError):
            for tid in map(int, os.listdir(f"/proc/{pid}/task")):  # noqa: PTH208 - names, not paths
                sleep = sleep_of(pid, tid)
                if sleep is None or not _may_tell(pid, sleep, only_uid):
                    continue
                told = _call(pid, tid, classes)
                if told and sleep_of(pid, tid) == sleep:
                    os.write(out, json.dumps([tid, *told, sleep]).encode() + b"\n")


def _may_tell(pid: int, sleep: Sleep, only_uid: int | None) -> bool:
    """Whether that user could trace it; files in /proc are root's where it is not dumpable (man 5 proc)."""
    _, uids, gids, capable, _ = sleep
    if only_uid is None:
        return True
    one_group = len(set(gids.split()[1:])) == 1
    return set(uids.split()[1:]) == {str(only_uid)} and one_group and not int(capable, 16) and _owner(pid) == only_uid


def _owner(pid: int) -> int:
    return Path(f"/proc/{pid}/stat").stat().st_uid


def _call(pid: int, tid: int, classes: dict[int, int]) -> tuple[int, int, str | None] | None:
    """(abi, number, about) of the call that a thread is in; None if it is in none (man 5 proc_pid_syscall)."""
    words = Path(f"/proc/{pid}/task/{tid}/syscall").read_text(encoding="ascii").split()
    if words[0] == "running" or (nr := int(words[0])) < 0:
        return None
    if _is_narrow(pid):
        return (ABI_IA32, nr, None) if uname.machine() == "x86_64" else None
    if uname.machine() == "x86_64" and nr & X32_BIT:
        return ABI_X32, nr, None
    about = None
    if does := classes.get(nr, 0):
        with contextlib.suppress(OSError, ValueError):
            about = _about(pid, does, [int(word, 16) for word in words[1:7]])
    return ABI_NATIVE, nr, about


def _is_narrow(pid: int) -> bool:
    """Whether it is a program of 32 bits: its auxiliary vector has numbers of that size, none of which is 0."""
    with Path(f"/proc/{pid}/auxv").open("rb") as file:
        return any(file.read(8)[4:])


def _about(pid: int, does: int, arguments: list[int]) -> str | None:
    """Path, address or file, as it is told of other calls (open_calls.py)."""
    if does & HAS_PATH:
        text = _read(pid, arguments[does >> 16 & 3], _TEXT)
        return files.cut_text(text, text.find(b"\0") + 1 or len(text))
    if does & HAS_ADDRESS:
        return files.address(_read(pid, arguments[1], arguments[2] & 0xFFFFFFFF)) or None
    if does & HAS_PEER and does & WRITES:
        address, size = arguments[4], arguments[5] & 0xFFFFFFFF
        if does & MESSAGE_1:  # a struct msghdr
            address, size = _MESSAGE.unpack(_read(pid, arguments[1], _MESSAGE.size))
        if address and (peer := files.address(_read(pid, address, size))):
            return peer
    return _file(pid, arguments[does >> 12 & 3] & 0xFFFFFFFF) if does & HAS_FILE else None


def _read(pid: int, address: int, size: int) -> bytes:
    """So much of a process's memory at most; raises OSError, ValueError."""
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        memory.seek(address)
        return memory.read(min(size, _TEXT))


def _file(pid: int, descriptor: int) -> str | None:
    """What a descriptor stands for; raises OSError."""
    path = str(Path(f"/proc/{pid}/fd/{descriptor}").readlink())
    if path.startswith("socket:"):
        with contextlib.suppress(OSError):
            return _socket(pid, descriptor, int(path[8:-1]))
    return path.removesuffix(" (deleted)") if path.startswith("/memfd:") else path


def _socket(pid: int, descriptor: int, inode: int) -> str | None:
    with socket.socket(fileno=_copy(pid, descriptor)) as found:
        own, peer = (_end(call, found.fileno()) for call in (_libc.getsockname, _libc.getpeername))
        return files.socket_called(found.family, found.type, found.proto, own, peer, inode).path


def _copy(pid: int, descriptor: int) -> int:
    """A descriptor of another process; raises OSError."""
    process = os.pidfd_open(pid)
    try:
        copy: int = _libc.syscall(_PIDFD_GETFD, process, descriptor, 0)
    finally:
        os.close(process)
    if copy < 0:
        raise OSError(ctypes.get_errno(), "pidfd_getfd")
    return copy


def _end(call: Callable[..., int], descriptor: int) -> str:
    text, size = ctypes.create_string_buffer(_TEXT), ctypes.c_uint(_TEXT)
    return "" if call(descriptor, text, ctypes.byref(size)) else files.address(text.raw[: size.value])
