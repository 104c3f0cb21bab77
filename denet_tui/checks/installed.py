"""What is installed to give privilege, and what must never carry any: PRIV-005 to PRIV-007."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from denet_tui.checks import capabilities as caps
from denet_tui.checks.host import Host, program
from denet_tui.checks.model import Check, Evidence, Finding, Fix, RunCommand, State

FOLDER, LAUNCHER, GROUP = "/opt/denet-tui", "/usr/local/bin/denet-tui", "denet-trace"
"""Where the group's loader and launcher are installed, and the group that may execute the launcher."""

_MOST_FILES = 20_000
_SHOWN = 5
_INTERPRETERS = re.compile(
    r"(python|pypy|perl|ruby|node|nodejs|deno|bun|php|lua|luajit|tclsh|wish|guile|java|gdb|[gmn]?awk|"
    r"r?bash|dash|ash|sh|zsh|ksh|mksh|fish|busybox|env)[\d.-]*(-dbg|-config|t|d)?"
)
_PYTHON_INSIDE = (b"Py_BytesMain", b"libpython")
"""Symbols of a Python interpreter under another name (they stand early in the file: dynamic linking)."""


def launcher(host: Host) -> Finding:
    """PRIV-005: what the group's launcher executes belongs to root, and nobody else can write there."""
    try:
        host.lstat(FOLDER)
    except OSError:
        return Finding("PRIV-005", State.SKIP, "no launcher is installed for a group", (Evidence(FOLDER, "not there"),))
    wrong, looked = [], 0
    for path in _installed(host):
        looked += 1
        if looked > _MOST_FILES:
            break
        if problem := _writable_by_others(host, path):
            wrong.append(Evidence(path, problem))
    if wrong:
        return Finding(
            "PRIV-005",
            State.FAIL,
            f"others than root can change {len(wrong)} of the installed launcher's files",
            tuple(wrong[:_SHOWN]),
            "Members of the group execute these files with CAP_BPF and CAP_PERFMON: who can change one has them, too.",
            fixes=(
                Fix(
                    "PRIV-005.reinstall",
                    "remove the launcher and install it again",
                    (),
                    "permanent",
                    "install it again",
                    advice=f"remove {FOLDER} and {LAUNCHER} and install again: closing the modes alone would keep "
                    "what somebody may have changed meanwhile",
                ),
            ),
        )
    if looked > _MOST_FILES:
        return Finding("PRIV-005", State.UNKNOWN, f"{FOLDER} has more than {_MOST_FILES} files: not all looked at")
    evidence = (Evidence(FOLDER, f"{looked} files, all of root, none writable by others"),)
    return Finding("PRIV-005", State.PASS, "the installed launcher is root's alone", evidence)


def _installed(host: Host) -> Iterator[str]:
    """The launcher, the folder, all below it, and what is above it: who can write there can swap it.

    Not what is above the launcher: a file in its place would have no capabilities.
    """
    yield from ("/opt", LAUNCHER)
    waiting = [FOLDER]
    while waiting:
        path = waiting.pop()
        yield path
        try:
            if stat.S_ISDIR(host.lstat(path).st_mode):
                waiting += [f"{path}/{name}" for name in host.names(path)]
        except OSError:
            continue


def _writable_by_others(host: Host, path: str) -> str:
    """Why somebody else than root can change what is executed there; empty where nobody can."""
    try:
        found = host.stat(path)  # of a link what it leads to: that is what is executed
        owner = host.lstat(path).st_uid
    except OSError:
        return ""
    mode = stat.S_IMODE(found.st_mode)
    if found.st_uid or owner:
        return f"belongs to uid {found.st_uid or owner}"
    if mode & stat.S_IWOTH or (mode & stat.S_IWGRP and found.st_gid):
        return f"mode {mode:04o}, group {found.st_gid}"
    return ""


def group(host: Host) -> Finding:
    """PRIV-006: where the group exists, its members' sessions know of it (groups are read at login)."""
    members = _members(host)
    if members is None:
        title = f"there is no group {GROUP}; it is only for tracing without sudo"
        return Finding("PRIV-006", State.SKIP, title, (Evidence("/etc/group", "no such group"),))
    gid, names = members
    evidence = [Evidence("/etc/group", f"{GROUP}, gid {gid}: {', '.join(names) or 'nobody'}")]
    try:
        user = host.asker()
    except KeyError:
        return Finding("PRIV-006", State.UNKNOWN, "the user who asks does not exist", tuple(evidence))
    if user.uid == 0:
        return Finding("PRIV-006", State.SKIP, f"root needs no group {GROUP}", tuple(evidence))
    if user.name not in names and gid != user.gid:
        title = f"you are not in the group {GROUP}: sudo is your way"
        return Finding("PRIV-006", State.PASS, title, tuple(evidence), fixes=_joining(host, user.name))
    if host.uid == 0:  # the groups of a root process say nothing about the session that it was started from
        return Finding("PRIV-006", State.PASS, f"you are in the group {GROUP}", tuple(evidence))
    try:
        groups = host.status().get("Groups", "").split()
        active = str(gid) in groups or host.status().get("Gid", "").split()[1:2] == [str(gid)]
    except OSError:
        return Finding("PRIV-006", State.UNKNOWN, "the groups of this session could not be read", tuple(evidence))
    evidence.append(Evidence("/proc/self/status", f"Groups: {' '.join(groups)}"))
    if active:
        return Finding("PRIV-006", State.PASS, f"the group {GROUP} is active in this session", tuple(evidence))
    return Finding(
        "PRIV-006",
        State.WARN,
        f"you are in the group {GROUP}, but this session does not know it yet",
        tuple(evidence),
        "Groups are taken at login. The launcher refuses this session until then; sudo works all the same.",
        fixes=(
            Fix(
                "PRIV-006.login",
                "log in again",
                (),
                "permanent",
                "nothing to undo",
                advice=f"log out and in again, or for one shell: `newgrp {GROUP}`",
            ),
        ),
    )


def _members(host: Host) -> tuple[int, list[str]] | None:
    """(gid, names of the members) of our group from /etc/group; None where there is none."""
    try:
        lines = host.read("/etc/group").splitlines()
    except OSError:
        return None
    for line in lines:
        fields = line.split(":")
        if len(fields) >= 4 and fields[0] == GROUP and fields[2].isdecimal():
            return int(fields[2]), [name.strip() for name in fields[3].split(",") if name.strip()]
    return None


def _joining(host: Host, name: str) -> tuple[Fix, ...]:
    """Only where there is a launcher: without one the group gives nothing."""
    gpasswd = program(host, "gpasswd")
    try:
        host.lstat(LAUNCHER)
    except OSError:
        return ()
    if not gpasswd or not re.fullmatch(r"[A-Za-z_][\w.-]*\$?", name):
        return ()
    return (
        Fix(
            "PRIV-006.join",
            f"let {name} trace without sudo, through the group {GROUP}",
            (RunCommand((gpasswd, "--add", name, GROUP), undo=(gpasswd, "--delete", name, GROUP)),),
            "permanent",
            f"takes {name} out of the group again",
            weakens=f"every program that {name} runs can watch {name}'s own syscalls, without a password",
        ),
    )


@dataclass(frozen=True, slots=True)
class _Carrier:
    path: str
    held: caps.FileCapabilities


def carriers(host: Host) -> Finding:
    """PRIV-007: no interpreter and no script carries file capabilities."""
    found = list(_carriers(host))
    if not found:
        evidence = Evidence("security.capability", f"none on interpreters in {':'.join(host.search_path())}"[:300])
        return Finding("PRIV-007", State.PASS, "no interpreter and no script carries capabilities", (evidence,))
    evidence_of = tuple(Evidence(each.path, each.held.text) for each in found)
    only_ports = all(each.held.numbers == [caps.CAP_NET_BIND_SERVICE] for each in found)
    return Finding(
        "PRIV-007",
        State.WARN if only_ports else State.FAIL,
        f"{' and '.join(each.path for each in found[:_SHOWN])} carries capabilities: any user's code gets them",
        evidence_of,
        "An interpreter does what it is told, so everybody who may execute it has its capabilities, whatever the "
        "script. On a script itself they do nothing. Other guides put them there for tracing; denet-tui does not "
        "need them.",
        fixes=() if only_ports else (_taking_off(host, found),),
        links=("https://man7.org/linux/man-pages/man7/capabilities.7.html",),
    )


def _carriers(host: Host) -> Iterator[_Carrier]:
    """Interpreters and scripts on the search path that carry capabilities, each real file once."""
    seen = set()
    for path in _programs(host):
        try:
            held = caps.parse(host.capability_attribute(path))
        except OSError:
            continue
        if held is None or not held.numbers:
            continue
        real = host.realpath(path)
        if real not in seen and (_is_interpreter(host, path) or _is_interpreter(host, real)):
            seen.add(real)
            yield _Carrier(real, held)


def _programs(host: Host) -> Iterator[str]:
    yield host.interpreter()
    for folder in host.search_path():
        try:
            names = host.names(folder)
        except OSError:
            continue
        yield from (f"{folder}/{name}" for name in names)


def _is_interpreter(host: Host, path: str) -> bool:
    """By name, by its first line, or by what is inside: a copy under another name is no better."""
    if path == host.interpreter() or _INTERPRETERS.fullmatch(os.path.basename(path)):  # noqa: PTH119 - a text, no file
        return True
    try:
        head = host.read_bytes(path)
    except OSError:
        return False
    return head.startswith(b"#!") or any(symbol in head for symbol in _PYTHON_INSIDE)


def _taking_off(host: Host, found: list[_Carrier]) -> Fix:
    """One fix for all; the undo puts back exactly what was there."""
    setcap = program(host, "setcap")
    lines = " and ".join(f"`setcap -r {each.path}`" for each in found)
    changes = []
    for each in found if setcap else ():
        root = ("-n", str(each.held.root)) if each.held.root else ()
        changes.append(RunCommand((setcap, "-r", each.path), undo=(setcap, *root, each.held.text, each.path)))
    return Fix(
        "PRIV-007.remove",
        f"take the capabilities off {' and '.join(each.path for each in found)}",
        tuple(changes),
        "permanent",
        "puts back what was there",
        advice="" if setcap else f"install setcap (libcap's tools), then run {lines} as root",
    )


CHECKS: tuple[Check, ...] = (
    Check("PRIV-005", "capabilities", "launcher of the group", launcher, after=("PRIV-006",)),
    Check("PRIV-006", "permissions", f"group {GROUP}", group),
    Check("PRIV-007", "capabilities", "interpreters with capabilities", carriers),
)
