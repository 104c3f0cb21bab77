"""What other guides and other tracers left on this machine, and what the kernel's log says of BPF."""

from __future__ import annotations

import re
from collections import Counter
from typing import NamedTuple

from denet_tui.checks.host import Host, exists
from denet_tui.checks.host import program as find
from denet_tui.checks.model import Change, Check, Evidence, Finding, Fix, RunCommand, State, WriteFile
from denet_tui.checks.service import has_systemd
from denet_tui.system.visible import how_many

SERVICE = "/etc/systemd/system/tracefs-permissions.service"
RULES = "/etc/udev/rules.d/99-tracefs.rules"
OVERRIDE = "/etc/systemd/system/sys-kernel-debug.mount.d/override.conf"
SYSCTL = "/etc/sysctl.d/10-ebpf.conf"
_SYSCTL_FOLDERS = ("/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d")
"""Where an administrator's or a guide's settings are (man 5 sysctl.d); a distribution's own are in /usr/lib."""

_WEAKENS = re.compile(r"-?\s*kernel[./](unprivileged_bpf_disabled|kptr_restrict)\s*=\s*0")
_UNIT_KEYS = {"Description", "After", "Requires", "Type", "ExecStart", "RemainAfterExit", "WantedBy"}
_STEPS = re.compile(
    r"((/usr)?/bin/)?((ba)?sh -c|sleep \d+|mount -o remount,mode=\d+ PLACE|chmod (-R )?\S+ PLACE|chgrp (-R )?\S+ PLACE"
    r"|chown (-R )?\S+ PLACE)".replace("PLACE", r"/sys/kernel/(debug|tracing)[\w/]*")
)


class Leftover(NamedTuple):
    """A file that was found, what it does, and whether it does nothing else (only then it may be removed)."""

    path: str
    text: str
    does: str
    known: bool


def known_service(text: str) -> bool:
    """Whether the unit only changes modes and groups in tracefs and debugfs."""
    settings = _settings(text)
    commands = [value for key, value in settings if key.startswith("Exec")]
    steps = [step.strip() for command in commands for step in re.split(r"&&|;|\"|'", command) if step.strip()]
    return bool(steps) and {key for key, _ in settings} <= _UNIT_KEYS and all(_STEPS.fullmatch(step) for step in steps)


def known_override(text: str) -> bool:
    """Whether a drop-in sets debugfs's options and nothing else."""
    settings = _settings(text)
    return (
        bool(settings)
        and all(re.fullmatch(r"mode=\d+", value) for _, value in settings if value)
        and ({key for key, _ in settings} == {"Options"})
    )


def known_rules(text: str) -> bool:
    """Whether every udev rule is about tracefs (they match nothing: tracefs sends no events)."""
    lines = _lines(text)
    return bool(lines) and all("tracefs" in line or "/sys/kernel/debug/tracing" in line for line in lines)


def known_sysctl(text: str) -> bool:
    """Whether a file sets the two values that guides lower, and nothing else."""
    lines = _lines(text)
    return bool(lines) and all(_WEAKENS.fullmatch(line) for line in lines)


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip() and line.strip()[0] not in "#;"]


def _settings(text: str) -> list[tuple[str, str]]:
    pairs = (line.partition("=") for line in _lines(text) if not line.startswith("["))
    return [(name.strip(), value.strip()) for name, _, value in pairs]


_FILES = (
    (SERVICE, "lets a group write to all of tracefs at every boot", known_service),
    (RULES, "is meant to open tracefs, and matches nothing", known_rules),
    (OVERRIDE, "opens debugfs to everybody, without nosuid, nodev and noexec", known_override),
)


def find_leftovers(host: Host) -> list[Leftover]:
    """Files of other guides, and lines of others that undo hardening."""
    found = []
    for path, does, known in _FILES:
        if (text := host.text(path)) is not None:
            found.append(Leftover(path, text, does, known(text)))
    for folder in _SYSCTL_FOLDERS:
        try:
            names = [name for name in host.names(folder) if name.endswith(".conf")]
        except OSError:
            continue
        found += [each for name in names if (each := _sysctl(host, f"{folder}/{name}"))]
    if each := _sysctl(host, "/etc/sysctl.conf"):
        found.append(each)
    return found


def _sysctl(host: Host, path: str) -> Leftover | None:
    text = host.text(path) or ""
    lines = [line for line in _lines(text) if _WEAKENS.fullmatch(line)]
    if not lines:
        return None
    names = dict.fromkeys(f"kernel.{match[1]}" for line in lines if (match := _WEAKENS.fullmatch(line)))
    return Leftover(path, text, f"lowers {' and '.join(names)}", path == SYSCTL and known_sysctl(text))


def check_left(host: Host) -> Finding:
    """LEFT-001: no files that other guides have one make."""
    why = (
        "These files open tracefs, debugfs or the kernel's addresses to others at every boot. Nothing here needs them."
    )
    found = find_leftovers(host)
    if not found:
        seen = (Evidence(", ".join((SERVICE, RULES, OVERRIDE, SYSCTL)), "not there"),)
        return Finding("LEFT-001", State.PASS, "nothing is left of other guides", seen, why)
    evidence = tuple(Evidence(each.path, each.does) for each in found)
    fixes = tuple(_removal(host, each) if each.known else _by_hand(each) for each in found)
    title = f"{how_many(len(found), 'file')} of other guides: this machine is weakened at boot"
    return Finding("LEFT-001", State.WARN, title, evidence, why, (), fixes, all_fixes=True)


def _removal(host: Host, each: Leftover) -> Fix:
    """Delete a file that is known whole. What is in force now stays until its own check's fix, or a reboot."""
    changes: tuple[Change, ...] = (WriteFile(each.path, None),)
    systemctl = find(host, "systemctl") if has_systemd(host) else ""
    udevadm = find(host, "udevadm") if exists(host, "/run/udev/control") else ""
    reload = (RunCommand((systemctl, "daemon-reload")),) if systemctl else ()
    if each.path == SERVICE and systemctl:
        name = SERVICE.rpartition("/")[2]
        disable = RunCommand((systemctl, "disable", name), undo=(systemctl, "enable", name))
        changes = (disable, *changes, *reload)
    elif each.path == OVERRIDE:
        changes = (*changes, *reload)
    elif each.path == RULES and udevadm:
        changes = (*changes, RunCommand((udevadm, "control", "--reload")))
    name = each.path.rpartition("/")[2].partition(".")[0]
    advice = "What it has set stays until a reboot, or until FS-003, FS-004, KERN-004 and KERN-005 are repaired."
    title = f"remove {each.path}, which {each.does}"
    undo = "the file is written again as it was; not advised"
    return Fix(f"LEFT-001.{name}", title, changes, "permanent", undo, advice=advice)


def _by_hand(each: Leftover) -> Fix:
    name = re.sub(r"\W+", "-", each.path.strip("/"))
    advice = f"Look through {each.path} yourself: it {each.does}, and has other things in it that may be wanted."
    return Fix(f"LEFT-001.{name}", f"clean {each.path} by hand", (), "permanent", "yours to undo", advice=advice)


def check_others(host: Host) -> Finding:
    """OTHER-001: which BPF programs others have loaded. Any number of tracers get along: this never fails."""
    why = "For information: programs of others cost time at the same events, but do not disturb what is counted."
    try:
        if host.probe_bpf() < 0:
            title = "BPF programs of others: a seccomp filter ends each process that asks (PRIV-004)"
            return Finding("OTHER-001", State.UNKNOWN, title, why=why)
        programs = host.bpf_programs()
    except OSError as error:
        title = f"BPF programs of others: {'needs root' if host.uid else error.strerror}"
        seen = (Evidence("bpf(BPF_PROG_GET_NEXT_ID)", str(error.strerror)),)
        return Finding("OTHER-001", State.UNKNOWN, title, seen, why)
    evidence = []
    owners = Counter[str]()
    for each in programs:
        whose = ", ".join(each.holders) or "no process has it open: pinned, or held by a link or the kernel"
        owners[each.holders[0].partition(" ")[0] if each.holders else "no process"] += 1
        evidence.append(Evidence(f"program {each.id}", f"{each.type} {each.name or '(no name)'}, {whose}"))
    if not programs:
        seen = (Evidence("bpf(BPF_PROG_GET_NEXT_ID)", "none"),)
        return Finding("OTHER-001", State.PASS, "no other BPF programs are loaded", seen, why)
    whom = ", ".join(f"{name} {count}" for name, count in owners.most_common(5))
    title = f"{len(programs)} BPF programs of others are loaded ({whom})"
    return Finding("OTHER-001", State.PASS, title, tuple(evidence[:50]), why)


_ABOUT_BPF = re.compile(
    r"\bbpf\b|\bbpf_|\bBTF\b|verifier|denet-tui\[\d+\]|\btracefs\b|Lockdown: .*(bpf|perf|trac)", re.IGNORECASE
)
_BAD = re.compile(
    r"WARNING: |\bBUG\b|Oops|Lockdown: |error|fail|invalid|not supported|refus|denied|segfault", re.IGNORECASE
)
_ERROR_LEVEL = 3
"""KERN_ERR of include/linux/kern_levels.h; lower is worse."""


def check_log(host: Host) -> Finding:
    """LOG-001: what the kernel complained of that has to do with BPF."""
    why = "The kernel writes here what it refused or what broke inside it, with more words than an errno has."
    try:
        text = host.kernel_log()
    except OSError as error:
        title = f"the kernel's log: {'needs root' if host.uid else error.strerror}"
        return Finding("LOG-001", State.UNKNOWN, title, (Evidence("syslog(2)", str(error.strerror)),), why)
    found = complaints(text)
    if not found:
        seen = (Evidence("syslog(2)", f"{how_many(len(text.splitlines()), 'line')}, none of BPF errors"),)
        return Finding("LOG-001", State.PASS, "the kernel's log has no complaint of BPF", seen, why)
    evidence = tuple(Evidence("syslog(2)", line) for line in found[-10:])
    return Finding(
        "LOG-001", State.WARN, f"{how_many(len(found), 'line')} of BPF errors in the kernel's log", evidence, why
    )


def complaints(text: str) -> list[str]:
    """Lines about BPF that are errors by their level or their words, without the level (`<4>[ 1.5] text`)."""
    found = []
    for line in text.splitlines():
        head = re.match(r"<(\d{1,4})>", line)
        level = int(head[1]) & 7 if head else 7
        rest = line[head.end() :] if head else line
        if _ABOUT_BPF.search(rest) and (level <= _ERROR_LEVEL or _BAD.search(rest)):
            found.append(rest[:500])
    return found


CHECKS = (
    Check(
        "LEFT-001",
        "permissions",
        "left by other guides",
        check_left,
        after=("FS-003", "FS-004", "KERN-004"),
        first=False,
    ),
    Check("OTHER-001", "proof", "other BPF programs", check_others, waits=True, first=False),
    Check("LOG-001", "proof", "kernel log", check_log, waits=True, first=False),
)
