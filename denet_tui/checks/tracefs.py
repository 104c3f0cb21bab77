"""tracefs and debugfs: mounted, readable by the loader, writable by root alone (kernel doc trace/ftrace.rst).

Only /proc/self/mountinfo says what is mounted: to look into /sys/kernel/debug/tracing would mount it there.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable

from denet_tui.bpf.facts import Mount
from denet_tui.bpf.privilege import CAP_SYS_ADMIN
from denet_tui.bpf.tracepoints import EVENTS
from denet_tui.checks import capabilities
from denet_tui.checks.host import Host, exists, mode_of, others_write, owners
from denet_tui.checks.host import program as find
from denet_tui.checks.model import Change, Check, Evidence, Finding, Fix, RunCommand, State, WriteFile
from denet_tui.checks.privileges import in_user_namespace
from denet_tui.checks.service import has_systemd
from denet_tui.system.visible import how_many

POINT = "/sys/kernel/tracing"
DEBUGFS = "/sys/kernel/debug"
UNIT = "sys-kernel-tracing.mount"
SERVICE = "/etc/systemd/system/denet-tui-tracefs.service"
_TRACEFS = 0x74726163
MAGICS = {_TRACEFS: "tracefs", 0x62656572: "bare sysfs, with nothing mounted on it", 0x01021994: "tmpfs"}
"""statfs f_type (include/uapi/linux/magic.h)."""

_UNITS = tuple(f"{folder}/{UNIT}" for folder in ("/usr/lib/systemd/system", "/lib/systemd/system"))
_DANGEROUS = ("kprobe_events", "uprobe_events", "dynamic_events", "set_event", "tracing_on", "set_ftrace_filter")
"""Files that instrument the kernel. trace_marker is left out: everybody's group may write to it by default."""
_UNDO_CLOSE = "remount with the old options, unless they let everybody in: that is not done again"


def mounted(host: Host) -> Mount | None:
    """The tracefs mount that is used: at its usual place, or the first that is not hidden; raises OSError."""
    found = [mount for mount in host.mounts() if mount.kind == "tracefs" and not _hidden(host, mount.point)]
    return next((mount for mount in found if mount.point == POINT), found[0] if found else None)


def _hidden(host: Host, point: str) -> bool:
    """Whether another mount lies over it: a listed mount need not be one that a path leads to."""
    if point.startswith(f"{DEBUGFS}/"):
        return False  # not even asked: where it is gone meanwhile, to look would mount it
    try:
        return host.filesystem(point) != _TRACEFS
    except OSError as error:
        return error.errno in (errno.ENOENT, errno.ENOTDIR)


def check_mounted(host: Host) -> Finding:
    """FS-001: tracefs is mounted."""
    why = "Tracefs tracepoints are found there. Raw tracepoints need no tracefs at all."
    found = mounted(host)
    if found:
        seen = (Evidence("/proc/self/mountinfo", f"{found.kind} on {found.point}, {_options(found)}"),)
        return Finding("FS-001", State.PASS, f"tracefs is mounted on {found.point}", seen, why, ("tracefs",))
    listed = [mount.point for mount in host.mounts() if mount.kind == "tracefs"]
    line = f"tracefs on {listed[0]}, hidden by a mount over it" if listed else "no line of type tracefs"
    evidence = [Evidence("/proc/self/mountinfo", line)]
    try:
        magic = host.filesystem(POINT)
        evidence.append(Evidence(f"statfs({POINT})", f"0x{magic:08x}: {MAGICS.get(magic, 'another filesystem')}"))
        title, fixes = "tracefs is not mounted", _mount_fixes(host)
    except OSError as error:
        evidence.append(Evidence(f"statfs({POINT})", str(error.strerror)))
        title = (
            f"tracefs is not mounted, and there is no {POINT} to mount it on: /sys is missing, or the kernel has none"
        )
        fixes = ()
    return Finding("FS-001", State.FAIL, title, tuple(evidence), why, ("tracefs",), fixes)


def _options(mount: Mount) -> str:
    return ",".join((*mount.options, *mount.super_options))


def _mount_fixes(host: Host) -> tuple[Fix, ...]:
    mount, umount = find(host, "mount"), find(host, "umount")
    now = RunCommand((mount, "-t", "tracefs", "-o", "nosuid,nodev,noexec", "tracefs", POINT), undo=(umount, POINT))
    fixes = [Fix("FS-001.mount", "mount tracefs", (now,), "until-reboot", "umount, unless a process uses it")]
    if permanent := _mount_at_boot(host, mount):
        fixes.append(permanent)
    return tuple(fixes) if mount and umount and _may_mount(host) else ()


def _may_mount(host: Host) -> bool:
    """Whether root could mount here: not in a container without CAP_SYS_ADMIN, nor in a user namespace."""
    bounding = capabilities.mask(host, "CapBnd")
    return (bounding is None or bool(bounding >> CAP_SYS_ADMIN & 1)) and not in_user_namespace(host)


def _mount_at_boot(host: Host, mount: str) -> Fix | None:
    """What makes tracefs come back after a reboot: the unit that systemd brings, or one of our own. Never fstab."""
    systemctl = find(host, "systemctl")
    if not systemctl or not has_systemd(host):
        return None
    if any(exists(host, unit) for unit in _UNITS):
        masked = host.run([systemctl, "is-enabled", UNIT]).stdout.strip().startswith("masked")
        unmask = [RunCommand((systemctl, "unmask", UNIT), undo=(systemctl, "mask", UNIT))] if masked else []
        start = RunCommand((systemctl, "start", UNIT), undo=(systemctl, "stop", UNIT))
        title = f"{'unmask and ' if masked else ''}start {UNIT}, which systemd brings and starts at every boot"
        return Fix("FS-001.unit", title, (*unmask, start), "permanent", f"stop{' and mask' if masked else ''} {UNIT}")
    name = SERVICE.rpartition("/")[2]
    reload = RunCommand((systemctl, "daemon-reload"))
    changes: tuple[Change, ...] = (
        WriteFile(SERVICE, _service(mount)),
        reload,
        RunCommand((systemctl, "enable", "--now", name), undo=(systemctl, "disable", "--now", name)),
    )
    title = f"a unit of denet-tui's own mounts tracefs at boot: this systemd brings no {UNIT}"
    return Fix("FS-001.unit", title, changes, "permanent", f"disable and delete {name}, which unmounts it")


def _service(mount: str) -> str:
    """A service, as a mount unit would have to bear systemd's own name for the place."""
    umount = mount.removesuffix("mount") + "umount"
    return (
        "# Written by denet-tui (FS-001.unit)\n"
        "[Unit]\nDescription=tracefs for denet-tui\nDefaultDependencies=no\nBefore=sysinit.target\n"
        f"ConditionPathIsMountPoint=!{POINT}\n\n"
        f"[Service]\nType=oneshot\nRemainAfterExit=yes\n"
        f"ExecStart={mount} -t tracefs -o nosuid,nodev,noexec tracefs {POINT}\nExecStop={umount} {POINT}\n\n"
        "[Install]\nWantedBy=sysinit.target\n"
    )


def check_events(host: Host) -> Finding:
    """FS-002: the files of our events are there, and whoever loads can read them."""
    why = "To attach to tracefs tracepoints, the loader reads each event's number there, and the layout of its fields."
    mount = mounted(host)
    if mount is None:
        return Finding("FS-002", State.SKIP, "tracefs is not mounted (FS-001)", why=why)
    evidence: list[Evidence] = []
    refused: list[str] = []
    absent: list[str] = []
    for event, group in EVENTS.items():
        for name in ("id", "format"):
            path = f"{mount.point}/events/{group}/{event}/{name}"
            try:
                text = host.read(path)
                evidence += [Evidence(path, text.strip())] if name == "id" else []
            except OSError as error:
                (refused if error.errno in (errno.EACCES, errno.EPERM) else absent).append(path)
                evidence.append(Evidence(path, str(error.strerror)))
    if refused:
        return _refused(host, tuple(evidence), why)
    if absent:
        title, seen = _absent(host, mount, absent)
        return Finding("FS-002", State.FAIL, title, (*evidence, seen), why, ("tracefs",))
    single = f"{mount.point}/events/syscalls/sys_enter_read"
    there = "there" if exists(host, single) else "not there: no event for each syscall (CONFIG_FTRACE_SYSCALLS)"
    evidence.append(Evidence(single, f"{there}; not needed"))
    return Finding("FS-002", State.PASS, "the event files can be read", tuple(evidence), why, ("tracefs",))


def _refused(host: Host, evidence: tuple[Evidence, ...], why: str) -> Finding:
    """Not root's problem: root loads. It is one for a process that has the capabilities and is not root."""
    if host.uid != 0 and capabilities.missing(host, "CapEff") != []:
        return Finding("FS-002", State.UNKNOWN, "event files: needs root", evidence, why)
    title = "the event files are closed to this process: tracefs lets only root in"
    return Finding("FS-002", State.FAIL, title, evidence, why, ("tracefs",), (_RAW,))


def _absent(host: Host, mount: Mount, absent: list[str]) -> tuple[str, Evidence]:
    try:
        lockdown = host.read("/sys/kernel/security/lockdown").strip()
    except OSError:
        lockdown = ""
    if "[confidentiality]" in lockdown:
        title = "tracefs is kept empty: the kernel is locked down to confidentiality (KERN-008)"
        return title, Evidence("/sys/kernel/security/lockdown", lockdown)
    try:
        entries = host.names(mount.point)
    except OSError:
        entries = []
    seen = Evidence(mount.point, " ".join(entries[:8]) or "empty")
    return (
        f"{how_many(len(absent), 'event file')} missing: this kernel was built without them, or tracefs is hidden",
        seen,
    )


_RAW = Fix(
    "FS-002.raw",
    "use raw tracepoints, which need no tracefs",
    (),
    "until-reboot",
    "nothing to undo",
    advice="leave out `--attach-method tracefs`, or start as root. tracefs is not opened to a group: who reads there "
    "sees the kernel's addresses and what others trace",
)


def _old_options(host: Host, mount: Mount) -> str:
    """Mode and gid as they are, for a remount that gives them back."""
    found = host.stat(mount.point)
    return f"mode={mode_of(found):o},gid={found.st_gid}"


def _remount(program: str, point: str, new: str, old: str) -> RunCommand:
    """Undone with the old options, unless those let everybody in: denet-tui opens nothing to everybody."""
    mode = re.search(r"mode=(\d+)", old)
    is_open = mode is not None and int(mode[1], 8) & 0o007
    undo = None if is_open else (program, "-o", f"remount,{old}", point)
    return RunCommand((program, "-o", f"remount,{new}", point), undo=undo)


def check_writable(host: Host) -> Finding:
    """FS-003: nobody but root can write to tracefs."""
    why = "Who can write to tracefs can place kprobes, and by them read all of the kernel's memory: that is root."
    mount = mounted(host)
    if mount is None:
        return Finding("FS-003", State.SKIP, "tracefs is not mounted (FS-001)", why=why)
    evidence, writable = [], []
    root = host.stat(mount.point)
    evidence.append(Evidence(f"stat({mount.point})", _who(root)))
    for name in ("", *_DANGEROUS):
        path = f"{mount.point}/{name}".rstrip("/")
        try:
            found = host.stat(path)
        except OSError:
            continue
        if others_write(found):
            writable.append(path)
            evidence.append(Evidence(f"stat({path})", _who(found)))
    if not writable:
        return Finding("FS-003", State.PASS, "nobody but root can write to tracefs", tuple(evidence), why)
    mode = mode_of(root)
    is_open = mode & 0o001 or (mode & 0o010 and root.st_gid)
    fixes = _close_fixes(host, mount)
    if is_open:
        title = f"others than root can write to tracefs ({len(writable)} of its files that were looked at)"
        return Finding("FS-003", State.FAIL, title, tuple(evidence), why, (), fixes)
    title = "files in tracefs are writable for others, behind a closed door: their modes stay until a reboot"
    return Finding("FS-003", State.WARN, title, tuple(evidence), why, (), (_reboot(),))


def _who(found: os.stat_result) -> str:
    return f"mode {mode_of(found):04o}, uid {found.st_uid}, gid {found.st_gid}"


def _close_fixes(host: Host, mount: Mount) -> tuple[Fix, ...]:
    program = find(host, "mount")
    if not program or not _may_mount(host):
        return ()
    old, gid = _old_options(host, mount), host.stat(mount.point).st_gid
    if all(each.endswith(f":{gid}") for each in owners(host, mount.point)):
        change = _remount(program, mount.point, "mode=700,gid=0", old)
    else:  # gid= is for every file at once: nothing could give each its own group back
        change = _remount(program, mount.point, "mode=700", old.partition(",")[0])
    title = "close tracefs to all but root again"
    advice = (
        "This shuts the door of tracefs at once. Modes that chmod gave to single files inside stay as they are until "
        "the next reboot; nobody else gets to them any more. Remove what sets them at boot, too (LEFT-001)."
    )
    return (Fix("FS-003.close", title, (change,), "until-reboot", _UNDO_CLOSE, advice=advice),)


def _reboot() -> Fix:
    advice = "Reboot when it suits you: the kernel then makes all files of tracefs anew, with its own modes."
    return Fix("FS-003.reboot", "give the files their modes back", (), "permanent", "nothing to undo", advice=advice)


def check_debugfs(host: Host) -> Finding:
    """FS-004: debugfs, which nothing here needs, is closed to all but root."""
    why = "debugfs has hundreds of files that were made for kernel developers only. denet-tui never needs it."
    found = [mount for mount in host.mounts() if mount.kind == "debugfs"]
    if not found:
        seen = (Evidence("/proc/self/mountinfo", "no line of type debugfs"),)
        return Finding("FS-004", State.PASS, "debugfs is not mounted", seen, why)
    evidence, is_open, bare = [], [], []
    for mount in found:
        root = host.stat(mount.point)
        evidence.append(Evidence("/proc/self/mountinfo", f"debugfs on {mount.point}, {_options(mount)}, {_who(root)}"))
        if mode_of(root) & 0o007 or (mode_of(root) & 0o070 and root.st_gid):
            is_open.append(mount)
        if {"nosuid", "nodev", "noexec"} - set(mount.options):
            bare.append(mount)
    if not is_open and not bare:
        return Finding("FS-004", State.PASS, "debugfs is closed to all but root", tuple(evidence), why)
    where = ", ".join(dict.fromkeys(mount.point for mount in (*is_open, *bare)))
    title = f"debugfs on {where} " + ("is open to others than root" if is_open else "lacks nosuid, nodev or noexec")
    fixes = _debugfs_fixes(host, (is_open or bare)[0])
    return Finding("FS-004", State.WARN, title, tuple(evidence), why, (), fixes)


def _debugfs_fixes(host: Host, mount: Mount) -> tuple[Fix, ...]:
    program = find(host, "mount")
    if not program or not _may_mount(host):
        return ()
    flags = ("nosuid", "nodev", "noexec")
    before = ",".join(flag if flag in mount.options else flag.replace("no", "", 1) for flag in flags)
    old = f"{before},{_old_options(host, mount)}"
    change = _remount(program, mount.point, f"{','.join(flags)},mode=700,gid=0", old)
    return (Fix("FS-004.close", "close debugfs to all but root", (change,), "until-reboot", _UNDO_CLOSE),)


def _unless_hidden(identity: str, look: Callable[[Host], Finding]) -> Callable[[Host], Finding]:
    """The same look, `unknown` where the mounts or a mount point cannot be read."""

    def run(host: Host) -> Finding:
        try:
            return look(host)
        except OSError as error:
            seen = (Evidence(str(error.filename or "/proc/self/mountinfo"), str(error.strerror)),)
            return Finding(identity, State.UNKNOWN, f"cannot be looked at: {error.strerror}", seen)

    return run


CHECKS = (
    Check(
        "FS-001",
        "tracefs",
        "tracefs mounted",
        _unless_hidden("FS-001", check_mounted),
        after=("FS-002", "FS-003", "PROG-001", "E2E-001"),
    ),
    Check(
        "FS-002",
        "tracefs",
        "event files",
        _unless_hidden("FS-002", check_events),
        after=("FS-003", "PROG-001", "E2E-001"),
    ),
    Check("FS-003", "tracefs", "who can write to tracefs", _unless_hidden("FS-003", check_writable), after=("FS-002",)),
    Check("FS-004", "tracefs", "debugfs", _unless_hidden("FS-004", check_debugfs)),
)
