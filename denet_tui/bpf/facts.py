"""What decides whether the kernel lets a process load and attach: read from /proc and /sys, nothing guessed."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from denet_tui.bpf import maps
from denet_tui.bpf.privilege import CAP_SYS_PTRACE, capabilities

UNLIMITED = -1

Read = Callable[[str], str]
"""Text of a file; raises OSError."""
Stat = Callable[[str], os.stat_result]
"""Stat of a file; raises OSError."""
INITIAL_PID_NAMESPACE = 0xEFFFFFFC
"""PROC_PID_INIT_INO of the kernel (include/linux/proc_ns.h)."""


class Mount(NamedTuple):
    """A line of /proc/self/mountinfo: where, what filesystem, with what options (its own and the superblock's)."""

    point: str
    kind: str
    options: tuple[str, ...]
    super_options: tuple[str, ...]
    top: str = "/"
    """What of the filesystem is mounted there."""


class Facts(NamedTuple):
    """The state of one process and its kernel; None if it could not be read. Limits in bytes, UNLIMITED for none."""

    uid: int | None = None
    effective: int | None = None
    bounding: int | None = None
    no_new_privs: bool = False
    seccomp: int | None = None
    """0 none, 1 strict, 2 filter (man 2 seccomp)."""
    user_namespace: bool = False
    kernel: tuple[int, ...] = ()
    memlock: int | None = None
    address_space: int | None = None
    open_files: int | None = None
    memory_limit: int | None = None
    """The least of the memory cgroup and those above it (memory.max)."""
    lockdown: str = ""
    """`none`, `integrity`, `confidentiality`; empty where the kernel has no lockdown."""
    paranoid: int | None = None
    """kernel.perf_event_paranoid."""
    tracefs: str | None = None
    """Where tracefs is mounted."""
    bpf_in_kernel: bool | None = None
    """Whether the kernel has bpf(2), as its setting kernel.unprivileged_bpf_disabled shows."""
    security: str = ""
    """The security modules of the kernel, comma-separated."""
    confined: str = ""
    """The security label of the process (/proc/self/attr/current), where it is confined."""
    pid_namespace: bool = False
    machine: str = ""
    """`gVisor` or `WSL1` where the kernel is none of Linux's."""

    def as_dict(self) -> dict[str, Any]:
        """As it travels from the loader."""
        return self._asdict()

    @classmethod
    def of_dict(cls, values: dict[str, Any]) -> Facts:
        """From `as_dict`, as JSON brought it; what is not known is left out."""
        known = {name: value for name, value in values.items() if name in cls._fields}
        return cls(**{**known, "kernel": tuple(known.get("kernel", ()))})

    def holds(self, *capabilities: int) -> bool:
        """Whether the effective set has one of these, or could not be read."""
        return self.effective is None or any(self.effective >> number & 1 for number in capabilities)

    def could_hold(self, *capabilities: int) -> bool:
        """Whether the bounding set has one of these, or could not be read."""
        return self.bounding is None or any(self.bounding >> number & 1 for number in capabilities)


def read_file(path: str) -> str:
    """The first MiB of a file of the real machine; raises OSError."""
    with Path(path).open("rb") as file:
        return file.read(1 << 20).decode(errors="replace")


def gather(read: Read = read_file, stat: Stat = os.stat) -> Facts:
    """The facts of this process; the two stand in for the files of a machine (Host's). Never raises OSError."""

    def text(path: str) -> str:
        try:
            return read(path).strip()
        except OSError:
            return ""

    status, limits = text("/proc/self/status"), text("/proc/self/limits")
    release, version = text("/proc/sys/kernel/osrelease"), text("/proc/version")
    mounts = text("/proc/self/mountinfo")
    memory, _ = memory_limit(read, lambda: parse_mounts(mounts))
    return Facts(
        uid=_field(status, "Uid", 10, column=1),
        effective=_field(status, "CapEff", 16),
        bounding=_field(status, "CapBnd", 16),
        no_new_privs=_field(status, "NoNewPrivs", 10) == 1,
        seccomp=_field(status, "Seccomp", 10),
        user_namespace=text("/proc/self/uid_map").split() not in ([], ["0", "0", "4294967295"]),
        kernel=tuple(int(part) for part in re.findall(r"\d{1,9}", release)[:2]),
        memlock=_limit(limits, "Max locked memory"),
        address_space=_limit(limits, "Max address space"),
        open_files=_limit(limits, "Max open files"),
        memory_limit=(UNLIMITED if memory == math.inf else int(memory)) if text("/proc/self/cgroup") else None,
        lockdown=_bracketed(text("/sys/kernel/security/lockdown")),
        paranoid=_number(text("/proc/sys/kernel/perf_event_paranoid")),
        tracefs=mounted(mounts, "tracefs"),
        bpf_in_kernel=bool(text("/proc/sys/kernel/unprivileged_bpf_disabled")) if release else None,
        security=text("/sys/kernel/security/lsm"),
        confined=_confined(text("/proc/self/attr/current")),
        pid_namespace=in_pid_namespace(stat),
        machine=_machine(release, version),
    )


def _field(status: str, name: str, base: int, column: int = 0) -> int | None:
    found = re.search(rf"^{name}:\s*(.+)$", status, re.MULTILINE)
    words = found[1].split() if found else []
    try:
        return int(words[min(column, len(words) - 1)], base) if words else None
    except ValueError:
        return None


def _limit(limits: str, name: str) -> int | None:
    """The soft limit of a line of /proc/PID/limits."""
    found = re.search(rf"^{name}\s+(unlimited|\d{{1,20}})\s", limits, re.MULTILINE)
    return None if not found else UNLIMITED if found[1] == "unlimited" else int(found[1])


def memory_limit(read: Read, mounts: Callable[[], Iterable[Mount]]) -> tuple[float, str]:
    """(bytes, file) of the tightest memory limit of this process's cgroup and those above it; (inf, why) without."""
    best, where = math.inf, "memory cgroup"
    for path in _memory_files(read, mounts):
        try:
            text = read(path).strip()
        except OSError:
            continue
        if re.fullmatch(r"\d{1,20}", text, re.ASCII) and int(text) < min(best, 2**62):  # v1 writes 2^63 for none
            best, where = int(text), path
    return best, where


def _memory_files(read: Read, mounts: Callable[[], Iterable[Mount]]) -> list[str]:
    """The limit files of both cgroup versions, from the process's own group up to the mount (man 7 cgroups)."""
    try:
        groups = [line.split(":", 2)[1:] for line in read("/proc/self/cgroup").splitlines()]
        there = mounts()
    except OSError:
        return []
    paths = dict(each for each in groups if len(each) == 2)
    v1 = next((path for controllers, path in paths.items() if "memory" in controllers.split(",")), None)
    found = []
    for mount in there:
        if mount.kind == "cgroup2" and "" in paths:
            found += _upwards(mount.point, paths[""], "memory.max")
        elif mount.kind == "cgroup" and v1 is not None and "memory" in mount.super_options:
            found += _upwards(mount.point, v1, "memory.limit_in_bytes")
    return found


def _upwards(mount: str, group: str, file: str) -> list[str]:
    parts = [part for part in group.split("/") if part and part != ".."][:64]
    return [f"{'/'.join([mount, *parts[:depth]])}/{file}" for depth in range(len(parts), -1, -1)]


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"-?\d{1,20}", text, re.ASCII) else None


def _bracketed(text: str) -> str:
    found = re.search(r"\[(\w+)\]", text)
    return found[1] if found else ""


def parse_mounts(text: str) -> list[Mount]:
    """The mounts in the text of a mountinfo file (man 5 proc_pid_mountinfo)."""
    found = []
    for line in text.split("\n"):  # and at spaces alone: a name may have other signs that str takes for such
        before, separator, after = line.partition(" - ")
        fields, tail = before.split(" "), after.split(" ")
        if separator and len(fields) >= 6 and len(tail) >= 2:
            supers = tuple(tail[2].split(",")) if len(tail) > 2 else ()
            found.append(Mount(_name(fields[4]), tail[0], tuple(fields[5].split(",")), supers, _name(fields[3])))
    return found


def _name(escaped: str) -> str:
    return escaped.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")


def mounted(mountinfo: str, kind: str) -> str | None:
    """Where a filesystem of this kind is mounted, by the text of a mountinfo file; None if it is not."""
    return next((mount.point for mount in parse_mounts(mountinfo) if mount.kind == kind), None)


def reads_need_capability(release: str = "") -> bool:
    """Whether this kernel refuses map reads to unprivileged processes: below 5.19, unless the sysctl is 0."""
    if maps.kernel_version(release) >= (5, 19):
        return False
    try:
        return read_file("/proc/sys/kernel/unprivileged_bpf_disabled").strip() != "0"
    except OSError:
        return True


def hiding(mounts: Iterable[Mount]) -> tuple[str, int | None]:
    """How /proc hides the processes of others (hidepid, man 5 proc; empty: it does not), and from which group not."""
    options = [mount.super_options for mount in mounts if (mount.kind, mount.point) == ("proc", "/proc")]
    named = dict(each.partition("=")[::2] for each in (options or [()])[-1])
    how = named.get("hidepid", "")
    if how in ("0", "off"):
        how = ""
    return how, None if how in ("4", "ptraceable") else _number(named.get("gid", "0"))


def hides_others() -> bool:
    """Whether /proc does not show this process those of other users."""
    try:
        how, group = hiding(parse_mounts(read_file("/proc/self/mountinfo")))
    except OSError:
        return False
    may = group in (os.getegid(), *os.getgroups()) or capabilities() >> CAP_SYS_PTRACE & 1
    return bool(how) and not may


def in_pid_namespace(stat: Stat = os.stat) -> bool:
    """Whether this process's ids are not those of the initial PID namespace (PROC_PID_INIT_INO of the kernel)."""
    try:
        return stat("/proc/self/ns/pid").st_ino != INITIAL_PID_NAMESPACE
    except OSError:
        return False


def _confined(label: str) -> str:
    label = label.rstrip("\0")
    return "" if label.startswith(("unconfined", "kernel")) or ":unconfined_t:" in label else label


def _machine(release: str, version: str) -> str:
    if "gvisor" in (release + version).lower() or "Sun Jan 10 15:06:54 PST 2016" in version:
        return "gVisor"  # the version that it has always shown
    return "WSL1" if release.endswith("-Microsoft") else ""
