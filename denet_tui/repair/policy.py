"""What no fix may do, whatever a guide says: each of these opens more than tracing needs, and was seen to."""

from __future__ import annotations

import re

from denet_tui.checks.model import Fix, RunCommand, SetValue, WriteFile

_INTERPRETERS = re.compile(r"(^|/)(python|perl|ruby|node|bash|sh|dash|lua|env)[\d.]*$|\.(py|sh|pl)$")
_SHARED = re.compile(r"^/etc/(sysctl\.conf|fstab|sudoers|group|passwd|security/limits\.conf|profile|environment)$")
_OPENED = re.compile(r"(kernel[./])?(unprivileged_bpf_disabled|kptr_restrict)\s*=\s*0\b")
_PARANOID = re.compile(r"perf_event_paranoid\s*=\s*(-\d+|[01])\b")
_OPEN_MODE = re.compile(r"\bmode=0*7[1-7][1-7]\b|\bmode=0*7\d[1-7]\b")
_MODES = ("chmod", "chgrp", "chown")
_WORDS = (
    (
        _MODES,
        re.compile(r"^/sys/kernel/(tracing|debug)(/|$)"),
        "modes set inside tracefs or debugfs let a group write kprobe_events, and outlive a remount",
    ),
    (
        _MODES,
        re.compile(r"^(-\w*R\w*|--recursive)\Z"),
        "changing modes or owners of a whole tree cannot be taken back exactly",
    ),
    (("udevadm",), re.compile(r"^trigger\Z"), "udev rules match nothing on tracefs"),
)
"""Programs, what none of their arguments may be, and why."""


def violations(fix: Fix) -> list[str]:
    """What in a fix must never be done, and why, in one sentence each; empty where it is sound."""
    found: list[str] = []
    for change in fix.changes:
        match change:
            case RunCommand(argv):  # not its undo: that gives back what was there, whatever it was
                found += of_command(argv)
            case WriteFile(path, text):
                found += of_text(text or "", path)
            case SetValue(path, value):
                found += of_text(f"{path.rpartition('/')[2]}={value}", path)
    return found


def of_command(argv: tuple[str, ...]) -> list[str]:
    """The same for one command line."""
    if not argv:
        return []
    program, words, line = argv[0].rpartition("/")[2], argv[1:], " ".join(argv)
    found = of_text(line)
    if program == "setcap" and "-r" not in words:
        if any(_INTERPRETERS.search(word) for word in words):
            found.append("capabilities on an interpreter or script are everybody's: any user's code runs with them")
        elif "cap_bpf" in line and "cap_perfmon" not in line:
            found.append("CAP_BPF alone loads nothing: CAP_PERFMON is needed, too")
    for programs, word_of, why in _WORDS:
        if program in programs and any(map(word_of.search, words)):
            found.append(why)
    if program in ("sh", "bash", "dash", "env", "sudo", "tee", "modprobe"):
        found.append(f"{program} is never run by a fix: no shell, no appending, no modules")
    return found


def of_text(text: str, path: str = "") -> list[str]:
    """The same for the text of a file, or one that tells a person what to do."""
    found = []
    if _SHARED.search(path):
        found.append(f"{path} is shared: a file of our own goes beside it")
    if _OPENED.search(text):
        found.append("unprivileged_bpf_disabled=0 and kptr_restrict=0 undo hardening and are not needed")
    if _PARANOID.search(text):
        found.append("perf_event_paranoid below 2 opens more than tracing needs")
    if _OPEN_MODE.search(text):
        found.append("tracefs and debugfs are not opened to everybody")
    if "tmpfiles.d" in path and re.search(r"^Z\b", text, re.MULTILINE):
        found.append("systemd-tmpfiles Z sets the execute bit on files")
    if "/udev/rules.d/" in path and text:
        found.append("udev rules match nothing on tracefs")
    if "debug.mount.d" in path and re.search(r"^Options=", text, re.MULTILINE):
        found.append("an override of debugfs's options drops nosuid, nodev and noexec")
    return found
