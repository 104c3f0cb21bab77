"""What other guides left, recognised whole or left alone; programs of others; complaints in the kernel's log."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from denet_tui.bpf.handover import Loading
from denet_tui.bpf.request import Request
from denet_tui.checks import leftovers
from denet_tui.checks.holders import LoadedProgram
from denet_tui.checks.host import Host
from denet_tui.checks.model import Finding, RunCommand, State, WriteFile
from denet_tui.repair.policy import violations
from tests.checks.fake import Content, FakeHost
from tests.checks.states import nobody, see
from tests.real import REPOSITORY, environment

OPENS = "chmod -R g+rwx /sys/kernel/debug/tracing"
GIVES = "chgrp -R tracing /sys/kernel/debug/tracing"
UNIT = f"""# made by a script
[Unit]
Description=opens tracefs
After=sys-kernel-debug.mount

[Service]
Type=oneshot
ExecStart=/bin/bash -c "mount -o remount,mode=755 /sys/kernel/debug && {OPENS} && {GIVES}"
RemainAfterExit=yes

[Install]
WantedBy=multi-user.target
"""
OVERRIDE = "[Mount]\nOptions=mode=755\n"
RULES = """# a comment
SUBSYSTEM=="tracefs", GROUP="tracing"
KERNEL=="tracing", RUN+="/bin/chmod 755 /sys/kernel/debug/tracing"
"""
SYSCTL = "kernel.kptr_restrict=0\nkernel.unprivileged_bpf_disabled=0\n"
ALL: dict[str, Content] = {
    leftovers.SERVICE: UNIT,
    leftovers.OVERRIDE: OVERRIDE,
    leftovers.RULES: RULES,
    leftovers.SYSCTL: SYSCTL,
}


def host(files: dict[str, Content]) -> FakeHost:
    tools = {"/usr/bin/systemctl": 0o755, "/usr/bin/udevadm": 0o755}
    return FakeHost({**files, **dict.fromkeys(tools, "")}, modes=tools)


def steps(finding: Finding) -> dict[str, list[str]]:
    """The changes of each fix: commands, and the paths of files that are deleted."""
    return {
        fix.id: [
            " ".join(each.argv)
            if isinstance(each, RunCommand)
            else f"delete {each.path}"
            if isinstance(each, WriteFile) and each.text is None
            else repr(each)
            for each in fix.changes
        ]
        for fix in finding.fixes
    }


def test_a_clean_machine_passes() -> None:
    assert leftovers.check_left(host({"/etc/sysctl.d/99-mine.conf": "kernel.kptr_restrict=1\n"})).state is State.PASS


def test_each_file_of_the_other_guide_is_found_and_its_removal_offered() -> None:
    running = {"/run/systemd/system/x": "", "/run/udev/control": ""}
    finding = leftovers.check_left(host(ALL | running))
    assert (finding.state, finding.blocks) == (State.WARN, ())
    assert {each.source for each in finding.evidence} == set(ALL)
    assert finding.evidence[-1].value == "lowers kernel.kptr_restrict and kernel.unprivileged_bpf_disabled"
    assert [text for fix in finding.fixes for text in violations(fix)] == []
    assert steps(finding) == {
        "LEFT-001.tracefs-permissions": [
            "/usr/bin/systemctl disable tracefs-permissions.service",
            f"delete {leftovers.SERVICE}",
            "/usr/bin/systemctl daemon-reload",
        ],
        "LEFT-001.99-tracefs": [f"delete {leftovers.RULES}", "/usr/bin/udevadm control --reload"],
        "LEFT-001.override": [f"delete {leftovers.OVERRIDE}", "/usr/bin/systemctl daemon-reload"],
        "LEFT-001.10-ebpf": [f"delete {leftovers.SYSCTL}"],
    }
    deleted = [f"delete {path}" for path in (leftovers.SERVICE, leftovers.RULES, leftovers.OVERRIDE, leftovers.SYSCTL)]
    not_running = steps(leftovers.check_left(host(ALL)))
    assert [step for each in not_running.values() for step in each] == deleted, "neither systemd nor udevd runs"
    disable = finding.fixes[0].changes[0]
    assert isinstance(disable, RunCommand)
    assert disable.undo == ("/usr/bin/systemctl", "enable", "tracefs-permissions.service")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (leftovers.SERVICE, UNIT.replace(OPENS, f"{OPENS} && rm -rf /srv/old")),
        (leftovers.SERVICE, UNIT + "ExecStartPost=/usr/local/bin/backup\n"),
        (leftovers.SERVICE, UNIT.replace("Type=oneshot", "Type=oneshot\nEnvironmentFile=/etc/mine")),
        (leftovers.SERVICE, ""),
        (leftovers.OVERRIDE, OVERRIDE + "What=/dev/mine\n"),
        (leftovers.OVERRIDE, "[Mount]\nOptions=mode=755,gid=adm\n"),
        (leftovers.RULES, RULES + 'SUBSYSTEM=="usb", MODE="0660"\n'),
        (leftovers.SYSCTL, SYSCTL + "net.ipv4.ip_forward=1\n"),
        ("/etc/sysctl.d/50-mine.conf", SYSCTL),
        ("/etc/sysctl.conf", "vm.swappiness=1\n -kernel/kptr_restrict = 0\n"),
    ],
)
def test_a_file_with_anything_else_in_it_is_never_removed(path: str, text: str) -> None:
    finding = leftovers.check_left(host({path: text}))
    assert finding.state is State.WARN
    assert [fix.changes for fix in finding.fixes] == [()]
    assert path in finding.fixes[0].advice


def test_files_that_may_not_be_read_are_passed_over() -> None:
    assert leftovers.check_left(host(dict.fromkeys(ALL, errno.EACCES))).state is State.PASS


@given(st.binary(max_size=3000))
@settings(max_examples=200)
def test_no_content_crashes_or_is_taken_for_one_that_is_known(content: bytes) -> None:
    finding = leftovers.check_left(host(dict.fromkeys(ALL, content)))
    assert all(fix.changes == () for fix in finding.fixes)


HOLDER = """
import time
from denet_tui.bpf import maps, programs
program = programs.load_program(programs.RAW_TRACEPOINT)
link = maps.raw_tracepoint_open("sys_enter", program)
time.sleep(60)
"""


def started_by_another(program: str) -> int:
    """Pid of a Python that runs this, whose parent has ended: it is no descendant of ours any more."""
    words = f"""
import os, sys
if os.fork():
    os._exit(0)
print(os.getpid(), flush=True)
os.execv(sys.executable, [sys.executable, "-c", {program!r}])
"""
    with subprocess.Popen(
        [sys.executable, "-c", words], stdout=subprocess.PIPE, cwd=REPOSITORY, env=environment()
    ) as it:
        assert it.stdout is not None
        return int(it.stdout.readline())


@pytest.mark.root
def test_programs_of_others_are_listed_with_their_holder_and_ours_are_not() -> None:
    """The other one is started by a process that ends at once: it is no child of ours."""
    kernel = Loading(Request("raw")).receive()
    started = started_by_another(HOLDER)
    try:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            listed = Host().bpf_programs()
            mine = [each for each in listed if any(f"({started})" in who for who in each.holders)]
            if mine:
                break
            time.sleep(0.05)
        assert [(each.type, each.name) for each in mine] == [("raw_tracepoint", "")]
        assert not [each for each in listed if any(f"({os.getpid()})" in who for who in each.holders)]
        assert leftovers.check_others(Host()).state is State.PASS
    finally:
        os.kill(started, 9)
        for kind in (kernel.links, kernel.maps):
            for descriptor in kind.values():
                os.close(descriptor)


@pytest.mark.root
def test_who_may_not_ask_is_told_to_be_root() -> None:
    seen = see(nobody(), "leftovers")
    assert seen.wrong == set()
    assert "OTHER-001" in seen.ids("unknown")
    assert "needs root" in seen.found["OTHER-001"]["title"]


def test_many_programs_of_others_are_no_failure() -> None:
    systemd = [LoadedProgram(n, "cgroup_device", "sd_devices", ("systemd (1)",)) for n in range(3)]
    answers = {"bpf_programs": [*systemd, LoadedProgram(9, "kprobe", "", ())]}
    finding = leftovers.check_others(FakeHost(answers=answers))
    assert (finding.state, finding.title) == (
        State.PASS,
        "4 BPF programs of others are loaded (systemd 3, no process 1)",
    )


LOG = """<6>[    0.1] Linux version 6.1
<6>[    0.2] BPF: preloaded
<4>[    9.1] WARNING: CPU: 1 PID: 77 at kernel/bpf/verifier.c:100 check_mem+0x1/0x2
<5>[    9.2] Lockdown: python3: use of bpf to read kernel RAM is restricted; see man kernel_lockdown.7
<3>[    9.3] usb 1-1: device descriptor read error
<3>[    9.4] BPF: [1234] FUNC bpf_cgroup_from_id
no level at all, and bpf failed
"""


def test_complaints_are_those_of_bpf_that_are_errors() -> None:
    found = leftovers.complaints(LOG)
    assert [line.split("]")[0].split()[-1] for line in found[:3]] == ["9.1", "9.2", "9.4"]
    assert found[3:] == ["no level at all, and bpf failed"]
    finding = leftovers.check_log(FakeHost(answers={"kernel_log": LOG}))
    assert (finding.state, finding.blocks) == (State.WARN, ())
    assert leftovers.check_log(FakeHost(answers={"kernel_log": ""})).state is State.PASS


def test_a_log_that_is_closed_is_unknown() -> None:
    refused = PermissionError(errno.EPERM, "Operation not permitted")
    finding = leftovers.check_log(FakeHost(uid=1000, answers={"kernel_log": refused}))
    assert finding.state is State.UNKNOWN
    assert finding.title.endswith("needs root")


@pytest.mark.root
def test_the_real_log_is_read_and_not_consumed() -> None:
    first = Host().kernel_log()
    assert first.startswith("<")
    assert first[-200:] in Host().kernel_log()


@given(st.text())
@settings(max_examples=200)
def test_no_log_crashes_the_check(text: str) -> None:
    finding = leftovers.check_log(FakeHost(answers={"kernel_log": text}))
    assert finding.state in (State.PASS, State.WARN)
