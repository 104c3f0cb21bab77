"""May this process load BPF programs, and if not, what holds it back: PRIV-001 to PRIV-004.

The loader is executed by this process and has what this process has, so this process's own sets are looked at;
but for members of the group of service.py, for whom systemd executes it.
"""

from __future__ import annotations

import errno
import re

from denet_tui.bpf.request import GROUP, SOCKET
from denet_tui.checks import capabilities as caps
from denet_tui.checks import installed, service
from denet_tui.checks.host import Host
from denet_tui.checks.model import BOTH, Check, Evidence, Finding, Fix, State
from denet_tui.syscalls import how_ended
from denet_tui.system import called

_STATUS = "/proc/self/status"
_SERVED = Evidence(SOCKET, "lets this session in (PRIV-005, PRIV-006)")
_INITIAL_USER_NAMESPACE = 0xEFFFFFFD
"""Inode of the initial user namespace (PROC_USER_INIT_INO in include/linux/proc_ns.h)."""
_CAPABILITIES_7 = "https://man7.org/linux/man-pages/man7/capabilities.7.html"
_FILTER = "2"
"""Seccomp: of /proc/self/status (man 2 seccomp): 0 none, 1 strict, 2 filter."""
_READS_WITHOUT_CAPABILITY = (5, 19)
"""From here on bpf(2) looks at its arguments before it looks at the caller."""


def effective(host: Host) -> Finding:
    """PRIV-001: the effective set holds SYS_ADMIN, or BPF and PERFMON (from Linux 5.8)."""
    missing = caps.missing(host, "CapEff")
    if missing is None:
        return _unread(host, "PRIV-001", "the capabilities of this process")
    if in_user_namespace(host):
        return Finding(
            "PRIV-001",
            State.SKIP,
            "capabilities inside a user namespace say nothing about loading (see PRIV-003)",
            _seen(host, "CapEff"),
        )
    if not missing:
        return Finding("PRIV-001", State.PASS, f"{_who(host)} may load BPF programs", _seen(host, "CapEff"))
    if service.is_open(host):
        title = f"your own commands need no privilege: {service.UNIT} has the program loaded for members of the group"
        return Finding("PRIV-001", State.PASS, title, (*_seen(host, "CapEff"), _SERVED))
    lacks = f"{_who(host)} lacks {caps.spoken(missing)}"
    if caps.missing(host, "CapBnd") or _no_new_privileges(host):
        return Finding("PRIV-001", State.SKIP, f"{lacks}, and PRIV-002 says why", _seen(host, "CapEff"))
    return Finding(
        "PRIV-001",
        State.FAIL,
        lacks,
        _seen(host, "CapEff"),
        "The kernel lets a process load tracing programs with CAP_BPF and CAP_PERFMON together, or with "
        "CAP_SYS_ADMIN; one of the two alone is not enough. denet-tui needs it for the moment that loading takes.",
        BOTH,
        _ways_up(host),
        (_CAPABILITIES_7,),
    )


def _ways_up(host: Host) -> tuple[Fix, ...]:
    """How a person gets there from a shell; denet-tui cannot raise itself."""
    alone = host.uid != 0 and bool(called.why_no_way())
    sudo = Fix(
        "PRIV-001.sudo",
        "have an administrator let you watch" if alone else f"start denet-tui with {called.sudo()}",
        (),
        "until-reboot",
        "nothing stays",
        advice=called.how_as_root()
        if alone
        else f"run {called.with_sudo('run', '--', 'CMD')}: the loader is root for a moment, "
        "everything else runs as you",
    )
    if host.uid == 0 or not caps.knows_bpf(host):
        return (sudo,)
    group = Fix(
        "PRIV-001.group",
        f"become a member of {GROUP}, whose members need no {called.power()}",
        (),
        "permanent",
        "nothing to undo",
        advice=f"PRIV-006 says what is missing: membership ({called.rooted(f'gpasswd --add USER {GROUP}')}) or a "
        "new login",
    )
    gid = host.status().get("Gid", "").split()[:1] or [str(host.uid)]
    wanted = "-all,+bpf,+perfmon"
    line = (
        f"setpriv --reuid={host.uid} --regid={gid[0]} --init-groups --inh-caps={wanted} "
        f"--ambient-caps={wanted} --bounding-set={wanted} --no-new-privs -- {called.program()} …"
    )
    setpriv = Fix(
        "PRIV-001.setpriv",
        "start denet-tui as yourself with these two capabilities and nothing else of root's",
        (),
        "until-reboot",
        "nothing stays",
        advice=f"run {called.rooted(line)}",
    )
    return (sudo, setpriv, group) if service.is_there(host) else (sudo, setpriv)


def bounding(host: Host) -> Finding:
    """PRIV-002: neither the bounding set nor no_new_privs keeps the capabilities out of reach."""
    missing = caps.missing(host, "CapBnd")
    if missing is None:
        return _unread(host, "PRIV-002", "the bounding set of this process")
    evidence = _seen(host, "CapBnd", "NoNewPrivs")
    if service.is_open(host):
        title = "what this session cannot have does not matter: systemd starts the loader, outside of it"
        return Finding("PRIV-002", State.PASS, title, (*evidence, _SERVED))
    if missing:
        return Finding(
            "PRIV-002",
            State.FAIL,
            f"the bounding set of this process lacks {caps.spoken(missing)}: not even root can have it here",
            evidence,
            "What is not in the bounding set is lost when the loader is executed, and root cannot bring it back. "
            "Containers and systemd services cut this set.",
            BOTH,
            (_outside("PRIV-002", "docker and podman: `--cap-add BPF --cap-add PERFMON`; a systemd service: "
                      "`CapabilityBoundingSet=CAP_BPF CAP_PERFMON`"),),
            (_CAPABILITIES_7,),
        )  # fmt: skip
    if _no_new_privileges(host) and caps.missing(host, "CapEff") and not in_user_namespace(host):
        return Finding(
            "PRIV-002",
            State.FAIL,
            f"no_new_privs is set: {called.sudo()} cannot work in this session",
            evidence,
            "A process with this flag, and all that it starts, never gets more privilege than it has. "
            "Editors, sandboxes and services set it for the shells that they open.",
            BOTH,
            (_outside("PRIV-002", "a systemd service: `NoNewPrivileges=no`"),),
            ("https://docs.kernel.org/userspace-api/no_new_privs.html",),
        )
    return Finding("PRIV-002", State.PASS, "nothing keeps the capabilities out of reach", evidence)


def namespace(host: Host) -> Finding:
    """PRIV-003: this is the initial user namespace; a container is said, but is no fault."""
    try:
        uids = " ".join(host.read("/proc/self/uid_map").split())
    except OSError as error:
        uids = error.strerror or "unreadable"
    evidence = (*_container(host), Evidence("/proc/self/uid_map", uids))
    foreign = in_user_namespace(host)
    if foreign is None:
        return Finding("PRIV-003", State.UNKNOWN, f"the user namespace could not be read: {uids}", evidence)
    if foreign:
        return Finding(
            "PRIV-003",
            State.FAIL,
            "this is a user namespace, where root is not the machine's root",
            evidence,
            "bpf(2) asks for capabilities in the initial user namespace. Those of `unshare -U` or of a rootless "
            "container look the same but do not count.",
            BOTH,
            (_outside("PRIV-003", "rootless podman or docker: start the container as root, with `--cap-add BPF "
                      "--cap-add PERFMON`"),),
            ("https://man7.org/linux/man-pages/man7/user_namespaces.7.html",),
        )  # fmt: skip
    if len(evidence) > 1:
        title = "inside a container, which is fine as long as it was given the capabilities (PRIV-001, PRIV-004)"
        return Finding("PRIV-003", State.PASS, title, evidence)
    return Finding("PRIV-003", State.PASS, "the initial user namespace", evidence)


def in_user_namespace(host: Host) -> bool | None:
    """True in any user namespace but the initial one; None if nothing says.

    The map alone does not tell: root can make a namespace with the identity map.
    """
    try:
        return host.namespace("user") != _INITIAL_USER_NAMESPACE
    except OSError:
        pass
    try:
        return host.read("/proc/self/uid_map").split() != ["0", "0", str(2**32 - 1)]
    except OSError:
        return None


def _container(host: Host) -> tuple[Evidence, ...]:
    found = []
    for path in ("/run/.containerenv", "/.dockerenv", "/run/systemd/container"):
        try:
            host.stat(path)
            found.append(Evidence(path, "exists"))
        except OSError:
            continue
    try:
        groups = host.read("/proc/self/cgroup")
    except OSError:
        groups = ""
    if named := re.search(r"^.*/(docker|libpod|lxc|kubepods|containerd)[-./].*$", groups, re.MULTILINE):
        found.append(Evidence("/proc/self/cgroup", named[0][:200]))
    return tuple(found)


def seccomp(host: Host) -> Finding:
    """PRIV-004: bpf(2) and perf_event_open(2) arrive in the kernel (see calls.py for how that shows)."""
    try:
        answers = {"bpf(2)": host.probe_bpf(), "perf_event_open(2)": host.probe_perf()}
    except OSError as error:
        title = f"whether a filter refuses bpf(2) could not be tried: {error.strerror}"
        return Finding("PRIV-004", State.UNKNOWN, title)
    mode = _field(host, "Seccomp")
    evidence = (
        Evidence(_STATUS, f"Seccomp: {mode or 'not said'}"),
        *(Evidence(f"{call}, malformed", _spoken(answer)) for call, answer in answers.items()),
    )
    if mode == "0":
        return Finding("PRIV-004", State.PASS, "no seccomp filter on this process", evidence)
    if answers["bpf(2)"] == errno.EPERM and _asks_first(host):
        title = "a seccomp filter is on, and whether it refuses bpf(2) cannot be told without the capabilities"
        return Finding("PRIV-004", State.UNKNOWN, title, evidence)
    refused = [c for c, a in answers.items() if a != (errno.E2BIG if c == "bpf(2)" else errno.EINVAL)]
    if not refused:
        title = "bpf(2) and perf_event_open(2) arrive in the kernel" + ("; a filter is on" if mode == _FILTER else "")
        return Finding("PRIV-004", State.PASS, title, evidence)
    ends = " by ending the caller" if any(answers[call] < 0 for call in refused) else ""
    return Finding(
        "PRIV-004",
        State.FAIL,
        f"a seccomp filter refuses {' and '.join(refused)}{ends}",
        evidence,
        "The call does not reach the kernel, so no capability helps. Containers, sandboxes and services filter calls.",
        BOTH if "bpf(2)" in refused else ("tracefs",),
        (_outside("PRIV-004", "docker and podman: a profile that allows these two calls (docker's own does with "
                  "`--cap-add BPF --cap-add PERFMON`); a systemd service: `SystemCallFilter=@system-service bpf "
                  "perf_event_open`"),),
        ("https://docs.kernel.org/userspace-api/seccomp_filter.html",),
    )  # fmt: skip


def _asks_first(host: Host) -> bool:
    """Whether the kernel itself would answer EPERM to this caller before it looks at the arguments."""
    version = re.match(r"(\d+)\.(\d+)", host.release)
    is_old = version is not None and (int(version[1]), int(version[2])) < _READS_WITHOUT_CAPABILITY
    return is_old and bool(caps.missing(host, "CapEff") or in_user_namespace(host))


def _spoken(answer: int) -> str:
    """`EPERM`, or `the caller was killed by SIGSYS`."""
    if answer < 0:
        return f"the caller {how_ended(answer)}"
    return errno.errorcode.get(answer, str(answer)) if answer else "worked"


def _outside(check_id: str, more: str) -> Fix:
    return Fix(
        f"{check_id}.outside",
        "run denet-tui where this is not in the way",
        (),
        "until-reboot",
        "nothing stays",
        advice=f"start denet-tui from a plain shell of the machine (a new login, outside of this sandbox). {more}",
    )


def _who(host: Host) -> str:
    return "root" if host.uid == 0 else "this process"


def _no_new_privileges(host: Host) -> bool:
    return _field(host, "NoNewPrivs") == "1"


def _field(host: Host, name: str) -> str:
    try:
        return host.status().get(name, "")
    except OSError:
        return ""


def _seen(host: Host, *names: str) -> tuple[Evidence, ...]:
    return tuple(Evidence(_STATUS, f"{name}: {_field(host, name)}") for name in names)


def _unread(host: Host, check_id: str, what: str) -> Finding:
    try:
        host.status()
        why = "it says nothing of them"
    except OSError as error:
        why = error.strerror or "unreadable"
    return Finding(check_id, State.UNKNOWN, f"{what}: {why}", (Evidence(_STATUS, why),))


CHECKS: tuple[Check, ...] = (
    Check("PRIV-001", "capabilities", "capabilities of the process that loads", effective),
    Check("PRIV-002", "capabilities", "bounding set and no_new_privs", bounding),
    Check("PRIV-003", "permissions", "user namespace and container", namespace),
    Check("PRIV-004", "permissions", "seccomp", seccomp),
    *service.CHECKS,
    *installed.CHECKS,
)
