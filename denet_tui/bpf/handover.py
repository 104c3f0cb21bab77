"""Starts the privileged loader, receives its descriptors, and turns everybody else into the invoking user."""

from __future__ import annotations

import ctypes
import json
import os
import pwd
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from denet_tui.bpf.facts import Facts
from denet_tui.bpf.failure import LoadError
from denet_tui.bpf.maps import kernel_version

WAYS = {"raw": "raw tracepoints", "tracefs": "tracefs tracepoints"}
SIZES = {"ROWS": 65536, "ERRNOS": 32768, "SLOTS": 65536, "TASKS": 16384, "PROCESSES": 16384}
"""Entries of pid_syscall_map, of the errno map, watched threads (those whose slot is taken are in TASKS), and
processes, all between two readings. SLOTS is a power of two."""

CAP_SYS_ADMIN, CAP_PERFMON, CAP_BPF = 21, 38, 39
_PR_SET_DUMPABLE = 4
_PR_SET_PDEATHSIG, _PR_SET_KEEPCAPS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 1, 8, 47, 4
_LINUX_CAPABILITY_VERSION_3 = 0x20080522
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class User:
    """Somebody to run as: ids, login name and home."""

    uid: int
    gid: int
    name: str
    home: str
    shell: str = "/bin/sh"


@dataclass(frozen=True, slots=True)
class Kernel:
    """What the loader handed over: open descriptors by name, and how it attached."""

    maps: dict[str, int]
    programs: dict[str, int]
    links: dict[str, int]
    way: str
    notes: tuple[str, ...]
    bcc: str
    output: str
    """What libbcc and LLVM printed while loading."""


def invoking_user() -> User:
    """Who asked: the user behind sudo, doas or pkexec where this is root, else the current user.

    Believed only from root, and only for users that exist; sudo sets SUDO_UID itself (man sudo).
    """
    uid = os.getuid()
    if uid == 0:
        for variable in ("SUDO_UID", "PKEXEC_UID"):
            if os.environ.get(variable, "").isdecimal():
                uid = int(os.environ[variable])
                break
        else:
            return find_user(os.environ.get("DOAS_USER") or "0")
    return find_user(str(uid))


def find_user(name: str) -> User:
    """A user by name or uid; raises KeyError where a name does not exist (an unknown uid is a user without a name)."""
    try:
        entry = pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)
    except KeyError:
        if not name.isdecimal():
            raise
        gid = os.environ.get("SUDO_GID", "")
        return User(int(name), int(gid) if gid.isdecimal() else int(name), name, "/")
    return User(entry.pw_uid, entry.pw_gid, entry.pw_name, entry.pw_dir, entry.pw_shell or "/bin/sh")


def capabilities(kind: str = "CapEff") -> int:
    """A capability set of this process as a bit mask (`CapEff`, `CapPrm`, `CapBnd`, …; man 7 capabilities)."""
    found = re.search(rf"^{kind}:\s*([0-9a-f]+)", Path("/proc/self/status").read_text(encoding="ascii"), re.MULTILINE)
    return int(found[1], 16) if found else 0


def may_load() -> bool:
    """True where this process holds what loading needs: SYS_ADMIN, or BPF and PERFMON (Linux 5.8)."""
    held = capabilities()
    return bool(held >> CAP_SYS_ADMIN & 1 or (held >> CAP_BPF & 1 and held >> CAP_PERFMON & 1))


def reads_need_capability(release: str = "") -> bool:
    """True on kernels that refuse map reads to unprivileged processes: below 5.19, unless the sysctl is 0."""
    if kernel_version(release) >= (5, 19):
        return False
    try:
        return Path("/proc/sys/kernel/unprivileged_bpf_disabled").read_text(encoding="ascii").strip() != "0"
    except OSError:
        return True


def become(user: User, *, keep_bpf: bool = False) -> None:
    """Become the user for good: groups, gid, uid, no capability in any set; CAP_BPF alone stays where asked for.

    Raises OSError where the kernel refuses. The process stays not dumpable, so other programs of the
    same user can neither trace it nor take the map descriptors from it.
    """
    if keep_bpf:
        _prctl(_PR_SET_KEEPCAPS, 1)
    if os.geteuid() == 0 and user.uid != 0:
        os.initgroups(user.name, user.gid) if not user.name.isdecimal() else os.setgroups([user.gid])
        os.setresgid(user.gid, user.gid, user.gid)
        os.setresuid(user.uid, user.uid, user.uid)
    if user.uid != 0:
        _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
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


class Loading:
    """A loader on its way; it works while this process does other things, and `receive` waits for it."""

    def __init__(
        self,
        way: str = "auto",
        *,
        sizes: dict[str, int] | None = None,
        only_uid: int | None = None,
        only_wanted: bool = False,
        program: tuple[str, ...] = ("-m", "denet_tui.bpf.loader"),
    ) -> None:
        """Start it with this process's privilege; must be called before `become`. `program` is for tests."""
        self.started = time.monotonic()
        self._channel, theirs = socket.socketpair()
        self._output = os.memfd_create("loader-output")
        request = {"way": way, "sizes": SIZES | (sizes or {}), "only_uid": only_uid, "only_wanted": only_wanted}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", *program, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._output,
                pass_fds=[theirs.fileno()],
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
                cwd="/",
                process_group=0,  # ctrl+c is for the command, and for whoever waits for it
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - no thread runs yet
            )
        self._channel.sendall(json.dumps(request).encode() + b"\n")

    def receive(self, timeout: float = 20.0) -> Kernel:
        """The descriptors; raises LoadError where the loader failed, died, or said nothing for `timeout` seconds."""
        self._channel.settimeout(max(0.1, self.started + timeout - time.monotonic()))
        try:
            reply, descriptors = self._read()
        except TimeoutError:
            self.cancel()
            raise LoadError(
                "loader", f"the loader did not answer within {timeout:.0f} s; see --debug", output=self.output()
            ) from None
        except (OSError, ValueError, struct.error):
            raise LoadError("loader", f"the loader {self._fate()} before it was done", output=self.output()) from None
        finally:
            self._channel.close()
        self._process.wait()
        output = self.output()
        os.close(self._output)
        if not descriptors:
            raise _failure(reply, output)
        kinds: dict[str, dict[str, int]] = {"maps": {}, "programs": {}, "links": {}}
        for (kind, name), descriptor in zip(reply["names"], descriptors, strict=True):
            os.set_inheritable(descriptor, False)
            kinds[kind][name] = descriptor
        notes = [f"{WAYS[failure['way']]} did not work: {failure['text']}" for failure in reply["failures"]]
        return Kernel(**kinds, way=reply["way"], notes=(*notes, *reply["notes"]), bcc=reply["bcc"], output=output)

    def cancel(self) -> None:
        """End the loader where it still runs. One that cannot be ended from here ends itself (loader.SECONDS)."""
        try:
            self._process.kill()
            self._process.wait(timeout=1)
        except (PermissionError, subprocess.TimeoutExpired):
            pass

    def output(self) -> str:
        """What the loader printed so far, libbcc's and LLVM's text included."""
        size = os.fstat(self._output).st_size
        return os.pread(self._output, size, 0).decode(errors="replace")

    def _read(self) -> tuple[dict[str, Any], list[int]]:
        head, descriptors, _, _ = socket.recv_fds(self._channel, 4, 64)
        (length,) = struct.unpack("<I", head)
        with self._channel.makefile("rb") as stream:
            return json.loads(stream.read(length)), descriptors

    def _fate(self) -> str:
        try:
            code = self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self.cancel()
            return "went silent"
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"


def _die_with_parent() -> None:
    """In the loader: SIGKILL when the process that started it ends (man 2 PR_SET_PDEATHSIG)."""
    _libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)


def _failure(reply: dict[str, Any], output: str) -> LoadError:
    """One error for all ways that were tried; the first is the preferred one, and says it best."""
    failures = [
        LoadError(each["stage"], each["text"], each.get("errno"), output, each["way"]) for each in reply["failures"]
    ]
    first, text = failures[0], failures[0].text
    if first.stage != "bcc" and len({failure.text for failure in failures}) > 1:
        text = "; ".join(f"{WAYS[failure.way]}: {failure.text}" for failure in failures)
    error = LoadError(first.stage, text, first.number, output, first.way)
    error.failures = tuple(failures)
    if "facts" in reply:  # the loader's own: this process has given its privilege away by now
        error.facts = Facts.of_dict(reply["facts"])
    return error


def protect() -> None:
    """Keep other processes of the same user out of this one: no ptrace(2), no pidfd_getfd(2), no core file.

    Until an execve(2) (man 2 PR_SET_DUMPABLE).
    """
    _prctl(_PR_SET_DUMPABLE, 0)
