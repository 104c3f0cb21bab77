"""The everyday way, PRIV-005: a systemd socket through which members of a group have the loader count for them.

units/ holds the unit files as they are written to /etc/systemd/system; each begins with the number of its version.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from denet_tui.bpf.facts import in_pid_namespace
from denet_tui.bpf.maps import kernel_version
from denet_tui.bpf.privilege import CAP_BPF, CAP_PERFMON
from denet_tui.bpf.request import GROUP, SOCKET
from denet_tui.bpf.toolchain import ToolchainError
from denet_tui.checks.host import Host, exists, mode_of, parse_fields, program
from denet_tui.checks.model import Change, Check, Evidence, Finding, Fix, RunCommand, State, WriteFile
from denet_tui.syscalls import how_ended
from denet_tui.system import called
from denet_tui.system.visible import how_many

FOLDER = called.FOLDER
"""Where `make install` puts the copy that the service runs."""
UNIT, SLICE = "denet-tui-loader.socket", "denet_tui.slice"
SYSTEMD = "/etc/systemd/system"
PACKAGED = "/usr/lib/systemd/system"
"""Where the Debian package brings the units to, for whoever enables them."""
_WANTED = f"{SYSTEMD}/sockets.target.wants/{UNIT}"
_PROGRAM = f"{FOLDER}/bin/denet-tui"
_MEMBERS_READ = (5, 19)
"""From here on the kernel lets a process without capabilities read the maps that it was handed."""
_MOST_FILES, _SHOWN = 20_000, 5
_TRY_S = 60.0
_NOBODY = 65534
_WHY = (
    "So that nobody has to become root: for each command of a member systemd starts the loader of /opt/denet-tui, with "
    "CAP_BPF and CAP_PERFMON alone. It counts for the uid that the kernel names to it, hands the counters over, ends."
)


@cache
def units() -> dict[str, str]:
    """Text of each unit file, by its name."""
    folder = Path(__file__).parent / "units"
    return {path.name: path.read_text(encoding="ascii") for path in sorted(folder.iterdir())}


def has_systemd(host: Host) -> bool:
    """Whether systemd runs the machine (man 3 sd_booted)."""
    return exists(host, called.BOOTED)


def is_there(host: Host) -> bool:
    """Whether the socket is."""
    return exists(host, SOCKET)


def is_open(host: Host) -> bool:
    """Whether this process, which is not root, has its commands counted through the socket."""
    return host.uid != 0 and host.access(SOCKET, os.W_OK) and not in_pid_namespace(host.stat)


def means(host: Host) -> tuple[str, str]:
    """What it means for the security of the machine."""
    _, names = members(host) or (0, [])
    who = f"members already are {', '.join(names)}" if names else "nobody is one until you add them"
    return (
        f"Members watch their own processes without a password. It stays; {who}.",
        "A mistake in the loader would open CAP_BPF and CAP_PERFMON, and so kernel memory, to these members.",
    )


def members(host: Host) -> tuple[int, list[str]] | None:
    """(gid, names of the members) of our group from /etc/group and /etc/passwd; None if there is none."""
    try:
        lines = host.read("/etc/group").splitlines()
    except OSError:
        return None
    for line in lines:
        fields = line.split(":")
        if len(fields) >= 4 and fields[0] == GROUP and fields[2].isdecimal():
            names = [name.strip() for name in fields[3].split(",") if name.strip()]
            users = [line.split(":") for line in (host.text("/etc/passwd") or "").splitlines()]
            primary = [user[0] for user in users if len(user) > 3 and user[3] == fields[2]]
            return int(fields[2]), list(dict.fromkeys([*names, *primary]))
    return None


def check(host: Host) -> Finding:
    """PRIV-005: what the service runs is root's alone, its units are ours, its socket is the group's, and it counts."""
    if (unsafe := _changeable(host)) is not None:
        return unsafe
    if not has_systemd(host):
        seen = (Evidence(called.BOOTED, "not there"),)
        return Finding(
            "PRIV-005", State.SKIP, f"systemd does not run this machine: {called.power()} is the way here", seen, _WHY
        )
    folder = SYSTEMD if exists(host, f"{SYSTEMD}/{UNIT}") or not exists(host, _WANTED) else PACKAGED
    written = {name: host.text(f"{folder}/{name}") for name in units()}
    if not any(written.values()):
        return _absent(host)
    evidence = [*_seen(host, folder, written)]
    problem = _unlike(host, written) or _closed(host, evidence)
    if problem:
        state, title = problem
        return Finding("PRIV-005", state, title, tuple(evidence), _WHY, fixes=_fixes(host, again=True))
    return _tried(host, evidence)


# What the service runs


def _changeable(host: Host) -> Finding | None:
    """The finding where others than root can change the copy, or where that cannot be told; None if all is well."""
    wrong = []
    for looked, path in enumerate(_installed(host), 1):
        if looked > _MOST_FILES:
            title = f"{FOLDER} has more than {_MOST_FILES} files: not all looked at"
            return Finding("PRIV-005", State.UNKNOWN, title, why=_WHY)
        if problem := _writable_by_others(host, path):
            wrong.append(Evidence(path, problem))
    if not wrong:
        return None
    return Finding(
        "PRIV-005",
        State.FAIL,
        f"others than root can change {how_many(len(wrong), 'file')} of {FOLDER}, which is run with privilege",
        tuple(wrong[:_SHOWN]),
        "Root runs these files under sudo, and the service runs them with CAP_BPF and CAP_PERFMON: who can change one "
        "has that, too.",
        fixes=(
            Fix(
                "PRIV-005.reinstall",
                "remove the copy and install it again",
                (),
                "permanent",
                "install it again",
                advice=f"remove {FOLDER} and run `make install` again: closing the modes alone would keep what "
                "somebody may have changed meanwhile",
            ),
        ),
    )


def _installed(host: Host) -> Iterator[str]:
    """The folder, all below it, and what is above it: who can write there can swap it."""
    if not exists(host, FOLDER):
        return
    yield "/opt"
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
    mode = mode_of(found)
    if found.st_uid or owner:
        return f"belongs to uid {found.st_uid or owner}"
    if mode & stat.S_IWOTH or (mode & stat.S_IWGRP and found.st_gid):
        return f"mode {mode:04o}, group {found.st_gid}"
    return ""


# Where it is not there yet


def _absent(host: Host) -> Finding:
    """Not set up, which is no fault: it is offered where it can work."""
    if why_not := cannot(host):
        title = f"not set up, and members of {GROUP} could not watch without {called.power()} here: {why_not}"
        return Finding("PRIV-005", State.SKIP, title, (Evidence(f"{SYSTEMD}/{UNIT}", "not there"),), _WHY)
    title = f"not set up: members of {GROUP} could watch their own commands without {called.power()}"
    return Finding(
        "PRIV-005", State.SKIP, title, (Evidence(f"{SYSTEMD}/{UNIT}", "not there"),), _WHY, fixes=_fixes(host)
    )


def cannot(host: Host) -> str:
    """Why the socket could not work on this machine, whatever is installed; empty where it could."""
    if not has_systemd(host) or not program(host, "systemctl"):
        return "systemd does not run this machine"
    if kernel_version(host.release) < _MEMBERS_READ:
        return "this kernel lets no process without CAP_BPF read the counters (Linux 5.19 does)"
    if in_pid_namespace(host.stat):
        return "this is a PID namespace (a container), and the service answers none"
    if _systemd_lacks_them(host):
        return "systemd itself lacks CAP_BPF or CAP_PERFMON: this is a container without them"
    if "[confidentiality]" in (host.text("/sys/kernel/security/lockdown") or ""):
        return "the kernel is locked down to confidentiality (KERN-008)"
    if not exists(host, "/sys/kernel/btf/vmlinux"):
        return "raw tracepoints need this kernel's BTF (KERN-009)"
    try:
        host.find_bcc()
    except ToolchainError:
        return "bcc is not installed (BCC-001)"
    if members(host) is None and not (program(host, "groupadd") and program(host, "groupdel")):
        return f"there is neither a group {GROUP} nor groupadd to make it with"
    return ""


def _systemd_lacks_them(host: Host) -> bool:
    bounding = parse_fields(host.text("/proc/1/status") or "").get("CapBnd", "")
    needed = 1 << CAP_BPF | 1 << CAP_PERFMON
    return bool(re.fullmatch(r"[0-9a-f]+", bounding)) and int(bounding, 16) & needed != needed


def _has_copy(host: Host) -> bool:
    """Whether /opt holds a denet-tui that brings these very units, and so knows what they ask of it."""
    try:
        pythons = host.names(f"{FOLDER}/lib")
    except OSError:
        return False
    brought = (f"{FOLDER}/lib/{python}/site-packages/denet_tui/checks/units" for python in pythons)
    return any(all(host.text(f"{each}/{name}") == text for name, text in units().items()) for each in brought)


def _fixes(host: Host, *, again: bool = False) -> tuple[Fix, ...]:
    if cannot(host):
        return ()
    if not _has_copy(host):
        what = "another denet-tui than this one is" if exists(host, FOLDER) else "no denet-tui is"
        return (
            Fix(
                "PRIV-005.install",
                f"install denet-tui in {FOLDER} first",
                (),
                "permanent",
                "make uninstall",
                advice=f"{what} in {FOLDER}, which the service would run: in a clone of denet-tui run `make install`, "
                "and then look again",
            ),
        )
    return (
        Fix(
            "PRIV-005.socket",
            f"let members of {GROUP} watch their own commands without {called.power()}, through {UNIT}",
            _changes(host, again=again),
            "permanent",
            f"stops {UNIT} and deletes its units; the group goes as well where it was made for this and has no members",
            weakens=" ".join(means(host)),
        ),
    )


def _changes(host: Host, *, again: bool) -> tuple[Change, ...]:
    """The steps; where it is there and not right (`again`) the socket is made anew."""
    systemctl = program(host, "systemctl")
    end = ("stop",) if exists(host, _WANTED) else ("disable", "--now")
    restart = RunCommand((systemctl, "restart", UNIT), undo=(systemctl, "restart", UNIT))
    return (
        *_group(host),
        *(WriteFile(f"{SYSTEMD}/{name}", text) for name, text in units().items()),
        RunCommand((systemctl, "daemon-reload")),
        # By itself the slice would stay when the socket goes, and instances that are at work with it.
        RunCommand((systemctl, "start", SLICE), undo=(systemctl, "stop", SLICE)),
        RunCommand((systemctl, "enable", "--now", UNIT), undo=(systemctl, *end, UNIT)),
        *((restart,) if again and is_there(host) else ()),
    )


def _group(host: Host) -> tuple[RunCommand, ...]:
    """Makes the group, with nobody in it, where there is none."""
    if members(host) is not None:
        return ()
    return (RunCommand((program(host, "groupadd"), "--system", GROUP), undo=(program(host, "groupdel"), GROUP)),)


# Where it is there


def _seen(host: Host, folder: str, written: dict[str, str | None]) -> Iterator[Evidence]:
    for name, text in written.items():
        ours = "as denet-tui brings it" if text == units()[name] else "another text than denet-tui brings"
        yield Evidence(f"{folder}/{name}", "not there" if text is None else f"version {_version(text)}, {ours}")
        try:
            for each in host.names(f"{SYSTEMD}/{name}.d"):
                yield Evidence(f"{SYSTEMD}/{name}.d/{each}", "this machine's own settings")
        except OSError:
            continue


def _version(text: str) -> int:
    """Of a unit file; 0 where it does not say."""
    found = re.match(r"# denet-tui units (\d{1,6})\n", text)
    return int(found[1]) if found else 0


def _unlike(host: Host, written: dict[str, str | None]) -> tuple[State, str] | None:
    """What is wrong with the units as installed; those of a newer denet-tui are left alone."""
    if missing := [name for name, text in written.items() if text is None]:
        return State.WARN, f"only some of the units are installed: {', '.join(missing)} missing"
    if not exists(host, f"{FOLDER}/bin/python"):
        return State.WARN, f"{UNIT} is installed, but what it runs is not in {FOLDER}: run `make install`"
    differing = [name for name, text in written.items() if text != units()[name]]
    ours = max(map(_version, units().values()))
    theirs = min((_version(written[name] or "") for name in differing), default=ours)
    if not differing or theirs > ours:
        return None
    how = "of an older denet-tui" if theirs < ours else "changed since they were installed"
    return State.WARN, f"units are {how}: {', '.join(differing)}"


def _closed(host: Host, evidence: list[Evidence]) -> tuple[State, str] | None:
    """What is wrong with the socket: it is root's and the group's, and nobody else gets in."""
    try:
        found, folder = host.lstat(SOCKET), host.lstat(os.path.dirname(SOCKET))  # noqa: PTH120 - a text, no file
    except OSError as error:
        evidence.append(Evidence(SOCKET, str(error.strerror)))
        said = host.run([program(host, "systemctl"), "is-active", UNIT]).stdout.strip() or "not running"
        return State.WARN, f"{UNIT} is installed, but nothing listens there: it is {said}"
    mode, group = mode_of(found), members(host)
    evidence.append(Evidence(SOCKET, f"mode {mode:04o}, uid {found.st_uid}, gid {found.st_gid}"))
    if not stat.S_ISSOCK(found.st_mode) or found.st_uid or folder.st_uid or mode_of(folder) & 0o022:
        return State.FAIL, f"{SOCKET} is not root's: somebody else could answer there"
    if mode & 0o007:
        return State.FAIL, f"{SOCKET} is open to others than members of {GROUP}"
    if group is None or found.st_gid != group[0]:
        return State.WARN, f"{SOCKET} is not the group {GROUP}'s, so its members are refused"
    return None


@dataclass(frozen=True, slots=True)
class Trial:
    """How 1,000 known calls of a member's were counted through the socket."""

    who: str
    exact: bool
    text: str


def _try(host: Host) -> Trial | None:
    """Count as a member; None if this process cannot be one. With no_new_privs: sudo could not have helped."""
    setpriv, group = program(host, "setpriv"), members(host)
    if not setpriv or group is None or not (host.uid == 0 or is_open(host)):
        return None
    try:
        user = host.asker()
        uid, gid, name = (user.uid, user.gid, user.name) if user.uid else (_NOBODY, _NOBODY, "nobody")
    except KeyError:
        uid, gid, name = _NOBODY, _NOBODY, "nobody"
    become = (f"--reuid={uid}", f"--regid={gid}", f"--groups={group[0]}") if host.uid == 0 else ()
    nothing = ("--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all") if host.uid == 0 else ()
    done = host.run([setpriv, *become, *nothing, "--no-new-privs", "--", _PROGRAM, "selftest", "--json"], _TRY_S)
    try:
        said = json.loads(done.stdout)
        return Trial(name, said["exact"] is True, f"{int(said['made']):,} calls made, {int(said['counted']):,} counted")
    except (ValueError, KeyError, TypeError):
        lines = done.stderr.strip().splitlines() or [f"it {how_ended(done.status)}"]
        return Trial(name, exact=False, text=lines[-1])


def _tried(host: Host, evidence: list[Evidence]) -> Finding:
    """Units and socket are right: whether it counts."""
    seen = _try(host)
    if seen is None:
        title = f"members of {GROUP} watch their own commands through {UNIT}; only they and root can try it"
        return Finding("PRIV-005", State.PASS, title, tuple(evidence), _WHY)
    evidence.insert(0, Evidence(f"selftest as {seen.who}, a member of {GROUP}", seen.text))
    if seen.exact:
        title = f"members of {GROUP} watch without {called.power()}: 1,000 known calls counted exactly"
        return Finding("PRIV-005", State.PASS, title, tuple(evidence), _WHY)
    title = f"{UNIT} is there, but a member of {GROUP} cannot watch through it: {seen.text}"
    return Finding("PRIV-005", State.WARN, title, tuple(evidence), _WHY, fixes=_fixes(host, again=True))


_AFTER = ("PRIV-001", "PRIV-006")
CHECKS = (Check("PRIV-005", "capabilities", f"{UNIT}, for members of {GROUP}", check, _AFTER, waits=True, first=False),)
