"""tracefs missing, hidden, empty or open, and debugfs open: on this machine made wrong, and on made ones."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path, PurePath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from denet_tui.bpf.facts import Mount
from denet_tui.bpf.tracepoints import EVENTS
from denet_tui.checks import tracefs
from denet_tui.checks.host import Output
from denet_tui.checks.model import BOTH, Finding, Fix, RunCommand, State, WriteFile
from denet_tui.repair.policy import violations
from tests.checks.fake import Content, FakeHost
from tests.checks.states import nobody, see
from tests.real import WITH_TRACEFS

UNMOUNTED = """
for place in /sys/kernel/tracing /sys/kernel/debug/tracing /sys/kernel/debug; do
    while mountpoint -q $place; do umount -l $place || exit 99; done
done
exec "$@"
"""
NO_SYS = 'mount -t tmpfs tmpfs /sys && exec "$@"'
EVERYWHERE = ["/usr/bin/mount", "/usr/bin/umount", "/usr/sbin/groupadd", "/usr/sbin/groupdel"]
TRACEFS = Mount(tracefs.POINT, "tracefs", ("rw", "nosuid", "nodev", "noexec", "relatime"), ("rw",))
DEBUGFS = Mount(tracefs.DEBUGFS, "debugfs", ("rw", "nosuid", "nodev", "noexec", "relatime"), ("rw",))


def in_namespace(script: str) -> list[str]:
    return ["unshare", "--mount", "sh", "-c", script, "sh"]


def host(
    *mounts: Mount,
    files: dict[str, Content] | None = None,
    modes: dict[str, int] | None = None,
    systemd: bool = False,
    **more: object,
) -> FakeHost:
    """A machine with mount(8) and its like, and all events in tracefs."""
    there: dict[str, Content] = dict.fromkeys(EVERYWHERE, "")
    bits = dict.fromkeys(EVERYWHERE, 0o755) | {tracefs.POINT: 0o700, tracefs.DEBUGFS: 0o700}
    for event, group in EVENTS.items():
        for name in ("id", "format"):
            there[f"{tracefs.POINT}/events/{group}/{event}/{name}"] = "443\n"
    for name in tracefs._DANGEROUS:
        there[f"{tracefs.POINT}/{name}"] = ""
        bits[f"{tracefs.POINT}/{name}"] = 0o640
    folders = [tracefs.DEBUGFS]
    if systemd:
        there["/usr/bin/systemctl"], bits["/usr/bin/systemctl"] = "", 0o755
        folders.append("/run/systemd/system")
    return FakeHost(
        there | (files or {}),
        mounts=mounts,
        modes=bits | (modes or {}),
        folders=folders,
        magics={"/sys": 0x62656572} | {mount.point: 0x74726163 for mount in mounts if mount.kind == "tracefs"},
        **more,  # type: ignore[arg-type]
    )


def findings(here: FakeHost) -> dict[str, Finding]:
    return {check.id: check.run(here) for check in tracefs.CHECKS}


def commands(fix: Fix) -> list[str]:
    return [" ".join(change.argv) for change in fix.changes if isinstance(change, RunCommand)]


def undone(fix: Fix) -> list[str]:
    return [" ".join(change.undo) for change in fix.changes if isinstance(change, RunCommand) and change.undo]


@pytest.mark.root
def test_unmounted_is_named_and_raw_tracepoints_go_on() -> None:
    seen = see(in_namespace(UNMOUNTED), "tracefs", "probe")
    assert (seen.wrong, seen.wrong_as_shown) == ({"FS-001"}, set())
    assert seen.found["FS-001"]["blocks"] == seen.found["E2E-001"]["blocks"] == ["tracefs"]
    assert ["statfs(/sys/kernel/tracing)", "0x62656572: bare sysfs, with nothing mounted on it"] in seen.found[
        "FS-001"
    ]["evidence"]
    assert seen.ids("skip") == {"FS-002", "FS-003"}


@pytest.mark.root
def test_the_fix_for_unmounted_mounts_and_its_undo_unmounts() -> None:
    script = """
import json, subprocess
from denet_tui.checks import tracefs
from denet_tui.checks.host import Host
states = lambda: [check.run(Host()).state for check in tracefs.CHECKS[:3]]
before, mounts = states(), open("/proc/self/mountinfo").read()
(change,) = tracefs.check_mounted(Host()).fixes[0].changes
subprocess.run(change.argv, check=True)
fixed = states()
subprocess.run(change.undo, check=True)
print(json.dumps([before, fixed, states(), open("/proc/self/mountinfo").read() == mounts]))
"""
    words = [*in_namespace(UNMOUNTED), sys.executable, "-c", script]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    before = ["fail", "skip", "skip"]
    assert json.loads(done.stdout) == [before, ["pass", "pass", "pass"], before, True]


@pytest.mark.root
def test_without_sys_nothing_is_offered_that_cannot_work() -> None:
    seen = see(in_namespace(NO_SYS), "tracefs")
    assert seen.wrong == {"FS-001"}
    assert seen.found["FS-001"]["fixes"] == []
    assert "/sys is missing" in seen.found["FS-001"]["title"]


def test_a_mount_that_is_hidden_by_another_is_not_taken_for_one_that_can_be_used() -> None:
    here = host(TRACEFS)
    here.magics[tracefs.POINT] = 0x01021994
    found = findings(here)["FS-001"]
    assert found.state is State.FAIL
    assert found.evidence[0].value == "tracefs on /sys/kernel/tracing, hidden by a mount over it"
    assert found.evidence[1].value.endswith("tmpfs")


@pytest.mark.root
def test_nobody_is_not_told_of_a_failure_that_root_would_not_meet() -> None:
    seen = see([*in_namespace(WITH_TRACEFS), *nobody()], "tracefs")
    assert seen.wrong == set()
    assert seen.found["FS-002"]["state"] == "unknown"
    assert "needs root" in seen.found["FS-002"]["title"]


def test_a_machine_as_debian_has_it_is_good() -> None:
    found = findings(host(TRACEFS, DEBUGFS))
    assert {each.state for each in found.values()} == {State.PASS}
    assert found["FS-001"].required_for == found["FS-002"].required_for == ("tracefs",)


def test_debugfs_is_never_looked_into() -> None:
    for mounts in ((), (TRACEFS,), (TRACEFS, DEBUGFS), (DEBUGFS,)):
        here = host(*mounts)
        here.answers["filesystem"] = lambda path, here=here: here.looked.append(path) or 0x74726163
        findings(here)
        assert not [path for path in here.looked if path.startswith(f"{tracefs.DEBUGFS}/")]


def test_tracefs_that_debugfs_has_mounted_is_used_where_it_is() -> None:
    automounted = Mount(f"{tracefs.DEBUGFS}/tracing", "tracefs", ("rw",), ("rw",))
    here = FakeHost({f"{automounted.point}/events/x": ""}, mounts=[DEBUGFS, automounted])
    assert tracefs.mounted(here) == automounted
    assert here.looked == []


def test_systemd_s_own_unit_is_started_and_unmasked_where_it_is_masked() -> None:
    unit = {tracefs._UNITS[0]: ""}
    plain = findings(host(files=unit, systemd=True, commands={"/usr/bin/systemctl": "static\n"}))["FS-001"]
    assert commands(plain.fixes[1]) == ["/usr/bin/systemctl start sys-kernel-tracing.mount"]
    masked = findings(host(files=unit, systemd=True, commands={"/usr/bin/systemctl": Output(1, "masked\n", "")}))
    assert commands(masked["FS-001"].fixes[1]) == [
        "/usr/bin/systemctl unmask sys-kernel-tracing.mount",
        "/usr/bin/systemctl start sys-kernel-tracing.mount",
    ]
    assert undone(masked["FS-001"].fixes[1]) == [
        "/usr/bin/systemctl mask sys-kernel-tracing.mount",
        "/usr/bin/systemctl stop sys-kernel-tracing.mount",
    ]


def test_without_systemd_s_unit_there_is_one_of_our_own_and_never_fstab() -> None:
    fix = findings(host(systemd=True))["FS-001"].fixes[1]
    (written,) = (change for change in fix.changes if isinstance(change, WriteFile))
    assert written.path == "/etc/systemd/system/denet-tui-tracefs.service"
    assert "ExecStart=/usr/bin/mount -t tracefs -o nosuid,nodev,noexec tracefs /sys/kernel/tracing" in str(written.text)
    assert "fstab" not in repr(fix)
    assert [each.scope for each in findings(host())["FS-001"].fixes] == ["until-reboot"]


def test_lockdown_is_named_where_tracefs_is_empty() -> None:
    here = host(TRACEFS, files={"/sys/kernel/security/lockdown": "none integrity [confidentiality]\n"})
    for path in [path for path in here.files if "/events/" in path]:
        del here.files[path]
    found = findings(here)["FS-002"]
    assert (found.state, found.blocks) == (State.FAIL, ("tracefs",))
    assert "locked down" in found.title
    del here.files["/sys/kernel/security/lockdown"]
    assert f"{2 * len(EVENTS)} event files missing" in findings(here)["FS-002"].title


def refusing(**more: object) -> FakeHost:
    """Event files that are refused to a process that has the capabilities for loading and is not root."""
    names = [f"{tracefs.POINT}/events/{group}/{event}/{n}" for event, group in EVENTS.items() for n in ("id", "format")]
    files: dict[str, Content] = dict.fromkeys(names, errno.EACCES)
    files |= {"/proc/self/status": f"CapEff:\t{1 << 38 | 1 << 39:016x}\n", tracefs._UNITS[0]: ""}
    return host(TRACEFS, files=files, uid=1000, **more)


def test_refused_event_files_are_no_reason_to_open_tracefs() -> None:
    finding = findings(refusing(systemd=True))["FS-002"]
    assert (finding.state, finding.blocks) == (State.FAIL, ("tracefs",))
    (fix,) = finding.fixes
    assert (fix.changes, fix.weakens) == ((), "")
    assert "leave out `--attach-method tracefs`" in fix.advice
    as_root = findings(host(TRACEFS, systemd=True, modes={tracefs.POINT: 0o700}))["FS-002"]
    assert as_root.fixes == ()


OPEN = {f"{tracefs.POINT}/{name}": 0o670 for name in tracefs._DANGEROUS}
TRACING = dict.fromkeys((tracefs.POINT, *OPEN), (0, 1001))


def with_folders(here: FakeHost) -> dict[str, tuple[int, int]]:
    """All of tracefs in one group."""
    paths = {str(each) for path in here.files for each in (PurePath(path), *PurePath(path).parents)}
    return {path: (0, 1001) for path in paths if path.startswith(tracefs.POINT)}


def test_a_group_that_can_write_fails_and_blocks_no_way() -> None:
    here = host(TRACEFS, modes=OPEN | {tracefs.POINT: 0o770})
    here.owners = with_folders(here)
    found = findings(here)["FS-003"]
    assert found.state is State.FAIL
    assert found.blocks == ()
    (fix,) = found.fixes
    assert commands(fix) == ["/usr/bin/mount -o remount,mode=700,gid=0 /sys/kernel/tracing"]
    assert undone(fix) == ["/usr/bin/mount -o remount,mode=770,gid=1001 /sys/kernel/tracing"]
    assert "until the next reboot" in fix.advice


def test_files_of_several_groups_keep_them_for_no_remount_could_give_them_back() -> None:
    here = host(TRACEFS, modes=OPEN | {tracefs.POINT: 0o770}, owners=TRACING)
    (fix,) = findings(here)["FS-003"].fixes
    assert commands(fix) == ["/usr/bin/mount -o remount,mode=700 /sys/kernel/tracing"]
    assert undone(fix) == ["/usr/bin/mount -o remount,mode=770 /sys/kernel/tracing"]


def test_the_same_behind_a_closed_door_is_a_warning() -> None:
    found = findings(host(TRACEFS, modes=OPEN, owners=dict.fromkeys(OPEN, (0, 1001))))["FS-003"]
    assert found.state is State.WARN
    assert [fix.changes for fix in found.fixes] == [()]


@pytest.mark.parametrize(
    ("modes", "owners", "state"),
    [
        ({}, {}, State.PASS),
        ({tracefs.POINT: 0o750}, {tracefs.POINT: (0, 990), f"{tracefs.POINT}/kprobe_events": (0, 990)}, State.PASS),
        ({tracefs.POINT: 0o755, f"{tracefs.POINT}/kprobe_events": 0o646}, {}, State.FAIL),
        ({tracefs.POINT: 0o755, f"{tracefs.POINT}/kprobe_events": 0o660}, {}, State.PASS),
        ({tracefs.POINT: 0o757}, {}, State.FAIL),
    ],
)
def test_who_can_write(modes: dict[str, int], owners: dict[str, tuple[int, int]], state: State) -> None:
    assert findings(host(TRACEFS, modes=modes, owners=owners))["FS-003"].state is state


def test_debugfs_opened_by_an_override_is_a_warning_that_blocks_nothing() -> None:
    opened = Mount(tracefs.DEBUGFS, "debugfs", ("rw", "relatime"), ("rw", "mode=755"))
    found = findings(host(TRACEFS, opened, modes={tracefs.DEBUGFS: 0o755}))["FS-004"]
    assert (found.state, found.blocks) == (State.WARN, ())
    assert "open to others" in found.title
    (fix,) = found.fixes
    assert commands(fix) == ["/usr/bin/mount -o remount,nosuid,nodev,noexec,mode=700,gid=0 /sys/kernel/debug"]
    assert undone(fix) == [], "denet-tui opens debugfs to nobody, not even when it undoes"
    bare = findings(host(TRACEFS, Mount(tracefs.DEBUGFS, "debugfs", ("rw",), ("rw",))))["FS-004"]
    assert "lacks nosuid, nodev or noexec" in bare.title
    assert undone(bare.fixes[0]) == ["/usr/bin/mount -o remount,suid,dev,exec,mode=700,gid=0 /sys/kernel/debug"]


def test_a_proc_that_hides_everything_is_unknown() -> None:
    here = FakeHost({"/proc/self/mountinfo": errno.EACCES})
    assert {each.state for each in findings(here).values()} == {State.UNKNOWN}


def test_no_fix_does_what_must_never_be_done() -> None:
    opened = Mount(tracefs.DEBUGFS, "debugfs", ("rw", "relatime"), ("rw", "mode=755"))
    open_modes = OPEN | {tracefs.POINT: 0o777, tracefs.DEBUGFS: 0o755}
    machines = [host(), host(systemd=True), refusing(systemd=True), host(TRACEFS, opened, modes=open_modes)]
    fixes = [fix for here in machines for finding in findings(here).values() for fix in finding.fixes]
    assert {fix.id.partition(".")[0] for fix in fixes} == {"FS-001", "FS-002", "FS-003", "FS-004"}
    assert [text for fix in fixes for text in violations(fix)] == []


@given(st.binary(max_size=2000) | st.just(b"1 2 0:3 / /sys/kernel/tracing rw - tracefs t rw\n" * 20_000))
@settings(max_examples=150)
def test_no_mountinfo_crashes_a_check(text: bytes) -> None:
    found = findings(FakeHost({"/proc/self/mountinfo": text}))
    assert set(found) == {"FS-001", "FS-002", "FS-003", "FS-004"}
    assert not set(found["FS-001"].blocks) - set(BOTH)
