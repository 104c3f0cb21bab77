"""The seven things that must never be done: no fix does one, no text says one, and each is caught where one did."""

from __future__ import annotations

import ast
import errno
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from denet_tui.bpf import errors, toolchain
from denet_tui.bpf.facts import Mount
from denet_tui.bpf.privilege import User
from denet_tui.checks import catalogue, leftovers
from denet_tui.checks.host import Output
from denet_tui.checks.model import Finding, Fix, RunCommand, SetValue, WriteFile
from denet_tui.repair import plan, policy, repair, steps
from denet_tui.report import guide
from tests.checks import served
from tests.checks.fake import EVERYTHING, NOTHING, Content, FakeHost

ROOMS = [Path(catalogue.__file__).parents[1] / room for room in ("checks", "repair", "helper", "report")]
PROGRAMS = ["mount", "umount", "systemctl", "udevadm", "groupadd", "groupdel", "gpasswd", "setcap"]
PROGRAMS += ["apt-get", "dnf", "pacman", "zypper", "apk", "sudo"]

EVIL = [
    RunCommand(("/usr/sbin/setcap", "cap_bpf+ep", "/usr/local/bin/denet")),
    RunCommand(("/usr/sbin/setcap", "cap_bpf,cap_perfmon=ep", "/usr/bin/python3.11")),
    RunCommand(("/usr/sbin/setcap", "cap_bpf,cap_perfmon=ep", "/opt/x/run.py")),
    SetValue("/proc/sys/kernel/unprivileged_bpf_disabled", "0"),
    SetValue("/proc/sys/kernel/kptr_restrict", "0"),
    SetValue("/proc/sys/kernel/perf_event_paranoid", "-1"),
    SetValue("/proc/sys/kernel/perf_event_paranoid", "1"),
    WriteFile("/etc/sysctl.d/10-denet-tui.conf", "kernel.unprivileged_bpf_disabled = 0\n"),
    WriteFile("/etc/sysctl.d/10-denet-tui.conf", "kernel/kptr_restrict=0\n"),
    WriteFile("/etc/sysctl.conf", "kernel.perf_event_paranoid = 2\n"),
    RunCommand(("/usr/bin/tee", "-a", "/etc/sysctl.conf")),
    RunCommand(("/usr/bin/sh", "-c", "echo x >> /etc/sysctl.conf")),
    RunCommand(("/usr/bin/chgrp", "-R", "tracing", "/sys/kernel/debug/tracing")),
    RunCommand(("/usr/bin/chmod", "-R", "g+rwx", "/sys/kernel/tracing")),
    RunCommand(("/usr/bin/chmod", "g+w", "/sys/kernel/tracing/kprobe_events")),
    RunCommand(("/usr/bin/mount", "-o", "remount,mode=755", "/sys/kernel/debug")),
    RunCommand(("/usr/bin/mount", "-o", "remount,mode=0777", "/sys/kernel/tracing")),
    WriteFile("/etc/systemd/system/sys-kernel-debug.mount.d/50-denet-tui.conf", "[Mount]\nOptions=mode=700\n"),
    WriteFile("/etc/udev/rules.d/99-denet-tui.rules", 'SUBSYSTEM=="tracefs", MODE="0640"\n'),
    RunCommand(("/usr/bin/udevadm", "trigger")),
    WriteFile("/etc/tmpfiles.d/denet-tui.conf", "Z /sys/kernel/tracing 0750 root denet-trace\n"),
    RunCommand(("/usr/sbin/modprobe", "debugfs")),
]


@pytest.mark.parametrize("change", EVIL, ids=str)
def test_each_of_them_is_caught_and_not_applied(change: RunCommand | SetValue | WriteFile) -> None:
    fix = Fix("TEST-001.evil", "", (change,), "permanent", "")
    assert policy.violations(fix)
    with pytest.raises(repair.RepairError, match=r"TEST-001\.evil is refused"):
        repair.refuse(fix)


@pytest.mark.parametrize(
    "change",
    [
        RunCommand(("/usr/bin/mount", "-t", "tracefs", "tracefs", "/sys/kernel/tracing")),
        RunCommand(("/usr/bin/mount", "-o", "remount,mode=750,gid=tracing", "/sys/kernel/tracing")),
        RunCommand(("/usr/bin/mount", "-o", "remount,mode=700,gid=0", "/sys/kernel/debug")),
        RunCommand(
            ("/usr/sbin/setcap", "-r", "/usr/bin/python3.11"), undo=("/usr/sbin/setcap", "x", "/usr/bin/python3")
        ),
        SetValue("/proc/sys/kernel/unprivileged_bpf_disabled", "2"),
        SetValue("/proc/sys/kernel/kptr_restrict", "1"),
        SetValue("/proc/sys/kernel/perf_event_paranoid", "2"),
        WriteFile("/etc/udev/rules.d/99-tracefs.rules", None),
    ],
    ids=str,
)
def test_what_is_right_is_not(change: RunCommand | SetValue | WriteFile) -> None:
    assert policy.violations(Fix("TEST-001.good", "", (change,), "permanent", "")) == []


def machines() -> Iterator[FakeHost]:
    """Machines on which as many checks as possible have something to offer."""
    tools = {f"/usr/bin/{name}": 0o755 for name in PROGRAMS} | {"/usr/bin/python3.11": 0o755}
    files: dict[str, Content] = {
        **dict.fromkeys(tools, ""),
        leftovers.SERVICE: '[Service]\nExecStart=/bin/sh -c "chmod -R g+rwx /sys/kernel/debug/tracing"\n',
        leftovers.OVERRIDE: "[Mount]\nOptions=mode=755\n",
        leftovers.RULES: 'SUBSYSTEM=="tracefs", GROUP="tracing"\n',
        leftovers.SYSCTL: "kernel.kptr_restrict=0\nkernel.unprivileged_bpf_disabled=0\n",
        "/run/systemd/system": "",
        "/usr/lib/systemd/system/sys-kernel-tracing.mount": "",
        "/etc/group": "root:x:0:\ndenet-trace:x:990:\n",
        "/etc/sysctl.d/x": "",
        "/proc/sys/net/core/bpf_jit_enable": "0\n",
        "/proc/sys/kernel/unprivileged_bpf_disabled": "0\n",
        "/proc/sys/kernel/kptr_restrict": "0\n",
        "/proc/sys/kernel/perf_event_paranoid": "4\n",
        "/run/udev/control": "",
        "/proc/self/limits": "Max locked memory  65536 65536 bytes\nMax open files 5 5 files\n",
        "/proc/self/uid_map": "0 1000 1\n",
        "/sys/kernel/security/lockdown": "none integrity [confidentiality]\n",
        "/opt/denet-tui/loader.py": "",
        "/sys/kernel/tracing/kprobe_events": "",
        "/sys/kernel/tracing/events/raw_syscalls/sys_enter/id": PermissionError(errno.EACCES, "Permission denied"),
        "/sys/kernel/debug/x": "",
    }
    modes = tools | {
        "/sys/kernel/tracing": 0o775,
        "/sys/kernel/tracing/kprobe_events": 0o660,
        "/sys/kernel/debug": 0o755,
    }
    owners = dict.fromkeys(("/sys/kernel/tracing", "/sys/kernel/tracing/kprobe_events"), (0, 1000))
    mounts = [
        Mount("/sys/kernel/tracing", "tracefs", ("rw",), ("rw",)),
        Mount("/sys/kernel/debug", "debugfs", ("rw",), ("rw", "mode=755")),
    ]
    yield from (
        served.able(),
        served.installed(uid=1000, files={"/etc/group": "denet-trace:x:990:\n"}),
        served.installed(modes={served.SOCKET: 0o140666}),
    )
    systems = ("debian", "fedora", "arch", "opensuse-leap", "alpine", "unheard-of")
    for uid in (0, 1000):
        for index, name in enumerate(systems):
            for release in ("4.9.0-1", "5.4.0-1", "6.1.0-18-amd64"):
                bounding = NOTHING if release.startswith("4.") else EVERYTHING  # without it nobody could mount
                status = f"CapEff: {NOTHING}\nCapBnd: {bounding}\nSeccomp: 2\nNoNewPrivs: 1\n"
                yield FakeHost(
                    files | {"/etc/os-release": f"ID={name}\n", "/proc/self/status": status},
                    modes=modes,
                    owners={**owners, "/opt/denet-tui/loader.py": (1000, 1000)},
                    mounts=mounts if index % 2 else [],
                    magics={"/sys/kernel/tracing": 0x62656572},
                    commands={
                        sys.executable: Output(1, '{"error": "does not load"}' if index % 3 else "", ""),
                        "/usr/bin/systemctl": "masked\n",
                    },
                    answers={
                        "asker": User(1000, 1000, "ann", "/home/ann"),
                        "capability_attribute": bytes.fromhex("0100000200e0000000000000c0000000c0000000"),
                        "interpreter": "/usr/bin/python3.11",
                        "search_path": ["/usr/bin"],
                    },
                    uid=uid,
                    release=release,
                )


@pytest.fixture(scope="module")
def found() -> list[tuple[FakeHost, Finding]]:
    return [(host, finding) for host in machines() for finding in map_checks(host)]


def map_checks(host: FakeHost) -> list[Finding]:
    """Without the proof, which would be the real one."""
    return [catalogue.run_one(check, host) for check in catalogue.ALL if not check.id.startswith(("E2E", "PROG"))]


def fixes(found: list[tuple[FakeHost, Finding]]) -> dict[str, list[Fix]]:
    by_id: dict[str, list[Fix]] = {}
    for _, finding in found:
        for fix in finding.fixes:
            by_id.setdefault(fix.id, []).append(fix)
    return by_id


def test_no_fix_of_the_catalogue_does_one_and_none_is_refused(found: list[tuple[FakeHost, Finding]]) -> None:
    offered = fixes(found)
    assert len(offered) >= 15, sorted(offered)
    assert {"PRIV-005.socket", "PRIV-006.join"} <= offered.keys()
    assert {each.partition("-")[0] for each in offered} >= {"FS", "BCC", "KERN", "PRIV", "LEFT"}
    for identity, variants in offered.items():
        for fix in variants:
            assert policy.violations(fix) == [], identity
            assert fix.changes or fix.advice, f"{identity} says nothing to do"
            for step in steps.steps_of(fix):
                if isinstance(step, steps.CommandStep):  # these programs need not be on this machine
                    assert step.argv[0].startswith("/usr/bin/"), identity
                    assert step._effect is not None
                    assert step.undo is None or step.undo[0].startswith("/"), identity
                else:
                    step.check(steps.REAL)


SAYS = re.compile(
    r"setcap\s+(?!-r)\S*cap_|chmod\s+-R|chgrp\s+-R|chown\s+-R|g\+r?w"
    r"|unprivileged_bpf_disabled\s*(=|to)\s*0|kptr_restrict\s*(=|to)\s*0|perf_event_paranoid\s*(=|to)\s*(-\d|[01])\b"
    r"|mode=0?7[1-7][1-7]|>>\s*/etc|/sys/kernel/debug/tracing/events|modprobe\s"
)
"""Words that would tell a person to do one of them."""


def test_no_text_of_a_finding_says_one(found: list[tuple[FakeHost, Finding]]) -> None:
    texts = {text for _, each in found for text in (each.title, each.why)}
    texts |= {
        text for variants in fixes(found).values() for fix in variants for text in (fix.title, fix.advice, fix.undo)
    }
    assert len(texts) > 60
    assert [text for text in texts if SAYS.search(text)] == []


def strings(path: Path) -> Iterator[str]:
    """Texts in a module's source that are no docstrings, f-strings with their gaps left open."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    silent = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if id(node) in silent:
            continue
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(each.value) if isinstance(each, ast.Constant) else "X" for each in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.Tuple | ast.List):
            yield " ".join(str(each.value) for each in node.elts if isinstance(each, ast.Constant))


_MODULES = sorted(
    path for room in ROOMS for path in room.glob("[!_]*.py") if path.name not in {"policy.py", "guide.py"}
)


def test_what_stands_beside_the_guides_words_says_none() -> None:
    """Its own words are to be found, and what is wrong in them is said."""
    assert [row for row in guide.ROWS if SAYS.search(f"{row.do}; {row.does}")] == []
    quoted = {word for row in guide.ROWS for word in (*row.words, " ".join(row.words), row.wrong)}
    assert [text for text in strings(Path(guide.__file__)) if SAYS.search(text) and text not in quoted] == []


@pytest.mark.parametrize(
    "path",
    [*_MODULES, Path(errors.__file__), Path(toolchain.__file__)],
    ids=lambda path: f"{path.parent.name}.{path.stem}",
)
def test_no_text_in_the_source_says_one(path: Path) -> None:
    assert [text for text in strings(path) if SAYS.search(text)] == []


@pytest.mark.parametrize(
    "text",
    [
        "sudo setcap cap_bpf+ep $(which denet)",
        "chmod -R g+rwx /sys/kernel/tracing",
        "should be kernel.unprivileged_bpf_disabled = 0",
        "set kptr_restrict to 0",
        "mount -o remount,mode=755 /sys/kernel/debug",
        "echo x >> /etc/sysctl.conf",
        "ls /sys/kernel/debug/tracing/events/syscalls",
    ],
)
def test_the_words_are_known(text: str) -> None:
    assert SAYS.search(text)


def test_what_opens_something_is_never_in_a_plan_by_itself(found: list[tuple[FakeHost, Finding]]) -> None:
    by_machine: dict[int, list[Finding]] = {}
    for host, finding in found:
        by_machine.setdefault(id(host), []).append(finding)
    chosen = [
        choice
        for findings in by_machine.values()
        for permanent in (False, True)
        for choice in plan.plan(findings, permanent=permanent).choices
    ]
    assert chosen
    assert [choice.fix.id for choice in chosen if choice.fix.weakens] == []
