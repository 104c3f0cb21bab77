"""How checks see the machine: files, mounts, commands, identities. Tests show them another one."""

from __future__ import annotations

import ctypes
import os
import resource
import stat
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from denet_tui.bpf import toolchain
from denet_tui.bpf.facts import Mount, parse_mounts
from denet_tui.bpf.privilege import User, invoking_user
from denet_tui.checks import calls, holders
from denet_tui.system import files, uname

LIMIT = 1 << 20
"""Bytes of a file that are looked at; what is longer is cut, so that a huge file cannot hold a check up."""
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


class Output(NamedTuple):
    """How a command ended and what it wrote; status 127 where it does not exist, 124 where it took too long."""

    status: int
    stdout: str
    stderr: str


class Host:
    """The real machine. Every method may raise OSError where it says so, and nothing else."""

    def read(self, path: str) -> str:
        """Text of a file, at most LIMIT bytes, whatever its encoding; raises OSError."""
        return self.read_bytes(path).decode(errors="replace")

    def text(self, path: str) -> str | None:
        """The same; None where it cannot be read."""
        try:
            return self.read(path)
        except OSError:
            return None

    def read_bytes(self, path: str) -> bytes:
        """The first LIMIT bytes of a regular file; raises OSError."""
        with files.opened(os.open(path, os.O_RDONLY | files.HARMLESS), path) as file:
            return file.read(LIMIT)

    def read_of(self, uid: int, path: str) -> bytes:
        """A small file that is this user's alone, and of no other; raises OSError."""
        return files.read(path, uid)

    def stat(self, path: str) -> os.stat_result:
        """The stat of a path, following links; raises OSError."""
        return Path(path).stat()

    def lstat(self, path: str) -> os.stat_result:
        """The stat of a path itself; raises OSError."""
        return os.lstat(path)  # no Path: a walk through tracefs asks for 14,000, and it costs more than the answer

    def names(self, path: str) -> list[str]:
        """Names in a folder, sorted; raises OSError."""
        return sorted(os.listdir(path))  # noqa: PTH208 - the same

    def access(self, path: str, mode: int) -> bool:
        """Whether this process may do that (os.R_OK, os.W_OK, os.X_OK) with its effective ids."""
        return os.access(path, mode, effective_ids=True)

    def filesystem(self, path: str) -> int:
        """Magic number of the filesystem that a path is on (statfs f_type); raises OSError."""
        buffer = ctypes.create_string_buffer(256)
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.statfs(os.fsencode(path), buffer):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)
        return int.from_bytes(buffer.raw[:8], "little") & 0xFFFFFFFF

    def run(self, argv: Sequence[str], seconds: float = 5.0) -> Output:
        """Run a program that changes nothing, without a shell, with a clean environment; never raises."""
        import subprocess  # which a run, that looks at files alone, does without; catalogue.py has it for the checks

        try:
            done = subprocess.run(
                argv,
                capture_output=True,
                timeout=seconds,
                stdin=subprocess.DEVNULL,
                env={"PATH": _PATH, "LC_ALL": "C.UTF-8"},
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Output(124, "", f"{argv[0]} took more than {seconds:.0f} s")
        except OSError as error:
            return Output(127, "", f"{argv[0]}: {error.strerror}")
        return Output(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))

    def mounts(self) -> list[Mount]:
        """All mounts of this mount namespace, lines that make no sense left out; raises OSError."""
        return parse_mounts(self.read("/proc/self/mountinfo"))

    def status(self) -> Mapping[str, str]:
        """/proc/self/status by field name; raises OSError."""
        return parse_fields(self.read("/proc/self/status"))

    @property
    def release(self) -> str:
        """Kernel release, as uname -r has it."""
        return uname.release()

    @property
    def machine(self) -> str:
        """Machine, as uname -m has it."""
        return uname.machine()

    @property
    def uid(self) -> int:
        """Effective uid."""
        return os.geteuid()

    # privileges, kernel and limits

    def namespace(self, kind: str) -> int:
        """Inode number of this process's namespace (`user`, `pid`); raises OSError."""
        return self.stat(f"/proc/self/ns/{kind}").st_ino

    def realpath(self, path: str) -> str:
        """The path with all links resolved, as far as they can be."""
        return os.path.realpath(path)

    def capability_attribute(self, path: str) -> bytes:
        """The security.capability attribute of a file, links followed; raises OSError (ENODATA where it has none)."""
        return os.getxattr(path, "security.capability")

    def search_path(self) -> list[str]:
        """Folders of PATH, those of root in front, each once."""
        folders = [*_PATH.split(":"), "/usr/local/sbin", "/usr/local/bin", *os.get_exec_path()]
        return list(dict.fromkeys(folder for folder in folders if folder.startswith("/")))

    def interpreter(self) -> str:
        """The Python that runs this, and that the loader is run with."""
        return sys.executable

    def asker(self) -> User:
        """The user behind sudo, or the current one."""
        return invoking_user()

    def limit(self, name: str) -> tuple[float, float]:
        """(soft, hard) of a resource limit by its name in getrlimit(2), as `NOFILE`; inf where it is unlimited.

        Not from /proc/self/limits: where no descriptor is left, that is just what could not be read.
        """
        found = resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))
        soft, hard = (float("inf") if value == resource.RLIM_INFINITY else float(value) for value in found)
        return soft, hard

    def probe_bpf(self) -> int:
        """calls.bpf_malformed: E2BIG where bpf(2) arrives in the kernel; raises OSError."""
        return calls.bpf_malformed()

    def probe_perf(self) -> int:
        """calls.perf_malformed: EINVAL where perf_event_open(2) arrives in the kernel; raises OSError."""
        return calls.perf_malformed()

    def probe_perf_event(self) -> int:
        """calls.perf_harmless: EACCES where a distribution's kernel refuses every event; raises OSError."""
        return calls.perf_harmless()

    def kernel_btf(self) -> bytes:
        """The whole BTF of the running kernel (some MB, more than LIMIT); raises OSError."""
        return Path("/sys/kernel/btf/vmlinux").read_bytes()

    # leftovers

    def bpf_programs(self) -> list[holders.LoadedProgram]:
        """All BPF programs that are loaded, and their holders; raises OSError (EPERM without CAP_SYS_ADMIN)."""
        return holders.programs()

    def kernel_log(self) -> str:
        """The kernel's log, its last MiB; raises OSError (EPERM without CAP_SYSLOG where dmesg_restrict is 1)."""
        return holders.kernel_log(LIMIT)

    # last good

    def find_bcc(self) -> toolchain.Toolchain:
        """Where bcc is, and its version, without importing it; raises ToolchainError."""
        return toolchain.find()


def parse_fields(text: str) -> dict[str, str]:
    """`Name: value` lines, the first of each name."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, separator, value = line.partition(":")
        if separator:
            found.setdefault(name.strip(), value.strip())
    return found


def others_write(found: os.stat_result) -> bool:
    """Whether others than root, and a group of it, can write to it."""
    return bool(found.st_mode & stat.S_IWOTH or (found.st_mode & stat.S_IWGRP and found.st_gid))


def mode_of(result: os.stat_result) -> int:
    """Permission bits of a stat."""
    return stat.S_IMODE(result.st_mode)


def exists(host: Host, path: str) -> bool:
    """Whether something of that name is there, a link that leads nowhere too, as far as this process can see it."""
    try:
        host.lstat(path)
    except OSError:
        return False
    return True


def owners(host: Host, folder: str) -> set[str]:
    """Each mode with owner that there is below a folder, as `0640 0:0`: a remount of tracefs changes all its files."""
    try:
        names = host.names(folder)
    except OSError:
        return set()
    found: set[str] = set()
    for path in (f"{folder}/{name}" for name in names):
        try:
            seen = host.lstat(path)
        except OSError:  # tracefs has files that come and go
            continue
        found.add(f"{mode_of(seen):04o} {seen.st_uid}:{seen.st_gid}")
        if stat.S_ISDIR(seen.st_mode):
            found |= owners(host, path)
    return found


def program(host: Host, name: str) -> str:
    """Absolute path of a system program, never one from a user's PATH; empty where there is none."""
    for folder in _PATH.split(":"):
        if host.access(f"{folder}/{name}", os.X_OK):
            return f"{folder}/{name}"
    return ""
