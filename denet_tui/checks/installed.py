"""Who is let in by the loader's socket, and what must never carry privilege: PRIV-006 and PRIV-007."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

from denet_tui.bpf.request import GROUP
from denet_tui.checks import capabilities as caps
from denet_tui.checks import service
from denet_tui.checks.host import Host, parse_fields, program
from denet_tui.checks.model import Check, Evidence, Finding, Fix, RunCommand, State
from denet_tui.system import called

_SHOWN = 5
_MOST_ABOVE = 20
"""Processes above this one that are looked at for the session that it was started from."""
_WHY = f"Members of {GROUP} have the loader count for them through {service.UNIT}, without root."
_INTERPRETERS = re.compile(
    r"(python|pypy|perl|ruby|node|nodejs|deno|bun|php|lua|luajit|tclsh|wish|guile|java|gdb|[gmn]?awk|"
    r"r?bash|dash|ash|sh|zsh|ksh|mksh|fish|busybox|env)[\d.-]*(-dbg|-config|t|d)?"
)
_PYTHON_INSIDE = (b"Py_BytesMain", b"libpython")
"""Symbols of a Python interpreter under another name (they stand early in the file: dynamic linking)."""


def group(host: Host) -> Finding:
    """PRIV-006: whether the socket lets the user in: a member, whose session knows of it (groups are read at login)."""
    found = service.members(host)
    if found is None:
        title = f"there is no group {GROUP}: it comes with {service.UNIT} (PRIV-005)"
        return Finding("PRIV-006", State.SKIP, title, (Evidence("/etc/group", "no such group"),))
    gid, names = found
    evidence = [Evidence("/etc/group", f"{GROUP}, gid {gid}: {', '.join(names) or 'nobody'}")]
    try:
        user = host.asker()
    except KeyError:
        return Finding("PRIV-006", State.UNKNOWN, "the user who asks does not exist", tuple(evidence))
    if user.uid == 0:
        return Finding("PRIV-006", State.SKIP, f"root needs no group {GROUP}", tuple(evidence))
    if not service.is_there(host):
        title = f"the group {GROUP} gives nothing here: {service.UNIT} is not there (PRIV-005)"
        return Finding("PRIV-006", State.SKIP, title, tuple(evidence))
    if user.name not in names and gid != user.gid:
        title = f"you are not in the group {GROUP}: {called.power()} is your way"
        return Finding("PRIV-006", State.SKIP, title, tuple(evidence), _WHY, fixes=_joining(host, user.name))
    groups = _groups_of(host, user.uid)
    if groups is None:
        title = f"you are in the group {GROUP}; whether this session knows of it cannot be told"
        return Finding("PRIV-006", State.UNKNOWN, title, tuple(evidence), _WHY)
    evidence.append(Evidence("groups of this session (/proc)", " ".join(groups)))
    if str(gid) in groups:
        title = f"you are in the group {GROUP}, and this session knows it"
        return Finding("PRIV-006", State.PASS, title, tuple(evidence), _WHY)
    return Finding(
        "PRIV-006",
        State.WARN,
        f"you are in the group {GROUP}, but this session does not know it yet",
        tuple(evidence),
        f"{_WHY} Groups are taken at login, so this session is still refused; {called.power()} works all the same.",
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


def _groups_of(host: Host, uid: int) -> list[str] | None:
    """Gids of the session: those of this process, or of the nearest above it that is this user's, not root's."""
    pid = "self"
    for _ in range(_MOST_ABOVE):
        try:
            fields = parse_fields(host.read(f"/proc/{pid}/status"))
            if int(fields["Uid"].split()[0]) == uid:
                return [*fields["Gid"].split()[1:2], *fields["Groups"].split()]
            pid = fields["PPid"]
        except (OSError, KeyError, ValueError, IndexError):
            return None
    return None


def _joining(host: Host, name: str) -> tuple[Fix, ...]:
    gpasswd = program(host, "gpasswd")
    if not gpasswd or not re.fullmatch(r"[A-Za-z_][\w.-]*\$?", name):
        return ()
    return (
        Fix(
            "PRIV-006.join",
            f"let {name} watch without {called.power()}, as a member of {GROUP}",
            (RunCommand((gpasswd, "--add", name, GROUP), undo=(gpasswd, "--delete", name, GROUP)),),
            "permanent",
            f"takes {name} out of the group again",
            weakens=f"every program that {name} runs can watch {name}'s own processes, without a password",
            advice=f"then log out and in again, or for one shell: `newgrp {GROUP}`",
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
    Check("PRIV-006", "permissions", f"group {GROUP}", group, after=("PRIV-001",), first=False),
    Check("PRIV-007", "capabilities", "interpreters with capabilities", carriers, first=False),
)
