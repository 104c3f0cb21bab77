"""The ways to the capabilities that loading needs, in the order in which they are offered, and what each opens."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace

from denet_tui.bpf.request import GROUP
from denet_tui.checks import capabilities as caps
from denet_tui.checks import service
from denet_tui.checks.host import Host, program
from denet_tui.checks.model import Finding, Fix, State
from denet_tui.system import called


@dataclass(frozen=True, slots=True)
class Access:
    """A way to the capabilities. `means` is what it means for the security of the machine, in two lines."""

    id: str
    """`sudo`, `setpriv` or `group`."""
    title: str
    means: tuple[str, ...]
    command: tuple[str, ...]
    """What to type to watch that way; `CMD` stands for the command to watch."""
    works: bool
    why_not: str = ""
    recommended: bool = False
    """The one that needs least of those that work here."""
    fix: Fix | None = None
    """What makes it work where it does not yet."""

    @property
    def text(self) -> str:
        """The command as a shell takes it."""
        return shlex.join(self.command)


@dataclass(frozen=True, slots=True)
class Reach:
    """What of this session and machine decides which of the ways work."""

    no_sudo: str = ""
    """Why there is no sudo; empty if there is."""
    no_setpriv: str = ""
    """The same for two capabilities without root beside them."""
    socket: tuple[str, ...] = ()
    """What the loader's socket means here (service.means); empty if there is no systemd to have it."""
    only_root: bool = False
    """Whether there can be no group here whose members need not be root."""


def reach(host: Host) -> Reach:
    """Look for sudo, setpriv, CAP_BPF and systemd."""
    means = service.means(host) if service.has_systemd(host) else ()
    return Reach(called.why_no_way(), _no_setpriv(host), means, bool(service.cannot(host)))


def ways(reach: Reach, findings: Mapping[str, Finding], me: tuple[int, int], program: str) -> tuple[Access, ...]:
    """All of them, for the user with this uid and gid, by what was found; `program` is what sudo calls denet-tui."""
    no_sudo = _blocked(findings) or reach.no_sudo
    no_setpriv = no_sudo or reach.no_setpriv
    found = [
        Access(
            "sudo",
            f"{called.sudo()}, for each run",
            (
                "Nothing stays. The loader is root for a moment; screen, recording and command run as you.",
                f"Whoever may use {called.sudo()} here may do everything anyway, so nobody gets more than before.",
            ),
            (called.sudo(), program, "run", "--", "CMD"),
            works=not no_sudo,
            why_not=no_sudo,
        ),
        Access(
            "setpriv",
            "two capabilities for one run, no root beside them",
            (
                "Nothing stays. denet-tui starts as you with CAP_BPF and CAP_PERFMON alone: root's files stay closed.",
                "With them it can read kernel memory while it loads; it gives them away before the command starts.",
            ),
            _setpriv(*me, program),
            works=not no_setpriv,
            why_not=no_setpriv,
        ),
        *([_group(reach.socket, findings)] if reach.socket else []),
    ]
    # Where the socket lets one in already, nothing needs less.
    best = next((each.id for each in (*found[2:], *found[:2]) if each.works), "")
    return tuple(replace(each, recommended=each.id == best) for each in found)


def _group(means: tuple[str, ...], findings: Mapping[str, Finding]) -> Access:
    """The way to keep; what keeps it from working is what the two checks of it say, and so is the fix."""
    states = [(each.state, each) for each in (findings.get("PRIV-005"), findings.get("PRIV-006")) if each is not None]
    wrong = next((each for state, each in states if state is not State.PASS), None)
    works = len(states) == len(("PRIV-005", "PRIV-006")) and wrong is None
    return Access(
        "group",
        f"to keep: {service.UNIT}, for members of the group {GROUP}",
        means,
        ("denet-tui", "run", "--", "CMD"),
        works=works,
        why_not="" if works else wrong.title if wrong else "it was not looked at",
        fix=next((fix for fix in wrong.fixes if fix.changes), None) if wrong else None,
    )


def _setpriv(uid: int, gid: int, program: str) -> tuple[str, ...]:
    wanted = "-all,+bpf,+perfmon"
    sets = (f"--inh-caps={wanted}", f"--ambient-caps={wanted}", f"--bounding-set={wanted}")
    who = (f"--reuid={uid}", f"--regid={gid}", "--init-groups")
    return (called.sudo(), "setpriv", *who, *sets, "--no-new-privs", "--", program, "run", "--", "CMD")


def _no_setpriv(host: Host) -> str:
    if not program(host, "setpriv"):
        return "setpriv is not installed (package util-linux)"
    return "" if caps.knows_bpf(host) else "this kernel has no CAP_BPF (Linux 5.8): it needs all of root"


def _blocked(findings: Mapping[str, Finding]) -> str:
    """What keeps the capabilities out of reach, whoever one becomes."""
    for identity in ("PRIV-002", "PRIV-003", "PRIV-004"):
        finding = findings.get(identity)
        if finding and finding.state is State.FAIL:
            return f"{identity}: {finding.title}"
    return ""
