"""Is there room for the loader, are process ids the kernel's own, and are processes seen: LIM-001, NS-001, NS-002."""

from __future__ import annotations

import math

from denet_tui.bpf.facts import INITIAL_PID_NAMESPACE, hiding, memory_limit
from denet_tui.checks.host import Host
from denet_tui.checks.model import BOTH, Check, Evidence, Finding, Fix, State

_MIB = 2**20

LEAST_FILES, ENOUGH_FILES = 54, 64
"""Descriptors: a count without a screen takes up to 40, and 54 with a recording of all there is to know, compiled."""
LEAST_SPACE, ENOUGH_SPACE = 274 * _MIB, 512 * _MIB
"""Address space: with 270 MiB LLVM cannot be mapped, with 275 it works (libbcc 0.26)."""
LEAST_MEMORY, ENOUGH_MEMORY = 90 * _MIB, 192 * _MIB
"""Memory of a cgroup: the loader is killed at 80 MiB and works at 100; it uses 126 MiB where it can."""


def limits(host: Host) -> Finding:
    """LIM-001: descriptors, address space and the memory cgroup are large enough for the loader."""
    memory, group = memory_limit(host.read, host.mounts)
    measured = (
        ("RLIMIT_NOFILE", host.limit("NOFILE")[0], LEAST_FILES, ENOUGH_FILES, "ulimit -n 1024"),
        ("RLIMIT_AS", host.limit("AS")[0], LEAST_SPACE, ENOUGH_SPACE, "ulimit -v unlimited"),
        (group, memory, LEAST_MEMORY, ENOUGH_MEMORY, ""),
    )
    evidence = tuple(
        Evidence(name if name == group else "getrlimit(2)", f"{name}: {_said(value)}") for name, value, *_ in measured
    )
    small = [row for row in measured if row[1] < row[2]]
    tight = [row for row in measured if row[2] <= row[1] < row[3]]
    if not small and not tight:
        return Finding("LIM-001", State.PASS, "descriptors, address space and memory are enough", evidence)
    rows = small or tight
    said = " and ".join(f"{name} is {_said(value)}, {_said(least)} are needed" for name, value, least, *_ in rows)
    said = said if small else " and ".join(f"{name} is {_said(value)}: tight" for name, value, *_ in rows)
    return Finding(
        "LIM-001",
        State.FAIL if small else State.WARN,
        said,
        evidence,
        "libbcc and LLVM are loaded for a moment, about 140 MB, and with the program and its maps up to "
        f"{LEAST_FILES} descriptors are open. Too little room shows as `Too many open files`, `failed to map "
        "segment`, or a loader that is killed.",
        BOTH,
        tuple(_raise(name, command) for name, *_, command in rows),
    )


def _raise(name: str, command: str) -> Fix:
    advice = f"run `{command}` in the shell that starts denet-tui (a hard limit can only be raised by root)"
    if not command:
        advice = (
            "start denet-tui outside of this cgroup, or give it more memory: docker `--memory`, systemd `MemoryMax=`"
        )
    which = {"RLIMIT_NOFILE": "files", "RLIMIT_AS": "space"}.get(name, "memory")
    return Fix(f"LIM-001.{which}", f"raise {name}", (), "until-reboot", "nothing stays", advice=advice)


def _said(value: float) -> str:
    """A number of descriptors, or bytes as MiB."""
    if value == math.inf:
        return "unlimited"
    return f"{value / _MIB:.0f} MiB" if value >= _MIB else f"{value:.0f}"


def namespace(host: Host) -> Finding:
    """NS-001: process ids here are those that BPF programs see."""
    try:
        inode = host.namespace("pid")
    except OSError as error:
        return Finding("NS-001", State.UNKNOWN, f"the PID namespace could not be read: {error.strerror}")
    evidence = (Evidence("/proc/self/ns/pid", f"pid:[{inode}]"),)
    if inode == INITIAL_PID_NAMESPACE:
        return Finding("NS-001", State.PASS, "the initial PID namespace", evidence)
    return Finding(
        "NS-001",
        State.WARN,
        "inside a PID namespace: `run` works with raw tracepoints, `attach` does not",
        evidence,
        "The kernel counts by its own process ids, and here they have other ones. A command that denet-tui starts "
        "tells its own; a process that already runs cannot be found.",
        fixes=(
            Fix(
                "NS-001.outside",
                "run denet-tui in the initial PID namespace",
                (),
                "until-reboot",
                "nothing stays",
                advice="to attach, start denet-tui on the machine itself, or the container with `--pid=host`",
            ),
        ),
        links=("https://man7.org/linux/man-pages/man7/pid_namespaces.7.html",),
    )


def hidden(host: Host) -> Finding:
    """NS-002: /proc shows the processes of others (hidepid of man 5 proc)."""
    try:
        mounts = host.mounts()
    except OSError as error:
        return Finding("NS-002", State.UNKNOWN, f"the options of /proc could not be read: {error.strerror}")
    options = [",".join(mount.super_options) for mount in mounts if (mount.kind, mount.point) == ("proc", "/proc")]
    evidence = (Evidence("/proc/self/mountinfo", f"proc on /proc: {options[-1] if options else 'not listed'}"),)
    how, group = hiding(mounts)
    if not how:
        return Finding("NS-002", State.PASS, "/proc shows the processes of others", evidence)
    who = f"hidepid={how}" + (f", but not from group {group}" if group else "")
    return Finding(
        "NS-002",
        State.WARN,
        f"/proc hides the processes of others ({who}): `run` counts exactly, `machine` sees only your own",
        evidence,
        "denet-tui looks at processes as you, not as root. What /proc hides from you has no name, memory and CPU time "
        "there, and may not be counted; the badge and the summary say so.",
        fixes=(
            Fix(
                "NS-002.as-root",
                "look as root, or as a member of the group that sees all",
                (),
                "until-reboot",
                "nothing to undo",
                advice="for others' processes start denet-tui as root with --as-root; or have an "
                "administrator mount /proc with the option gid= of a group that you are in",
            ),
        ),
        links=("https://man7.org/linux/man-pages/man5/proc.5.html",),
    )


CHECKS: tuple[Check, ...] = (
    Check("LIM-001", "permissions", "room for the loader", limits),
    Check("NS-001", "permissions", "PID namespace", namespace),
    Check("NS-002", "permissions", "processes in /proc", hidden, first=False),
)
