"""Kernel settings that people blame, and what each really does: KERN-003 to KERN-006.

A setting is the last resort, and never weaker than what distributions ship (Documentation/admin-guide/sysctl).
"""

from __future__ import annotations

import errno
import os

from denet_tui.bpf.privilege import CAP_PERFMON, CAP_SYS_ADMIN
from denet_tui.checks import capabilities as caps
from denet_tui.checks.host import Host
from denet_tui.checks.model import Check, Evidence, Finding, Fix, SetValue, State, WriteFile
from denet_tui.system import called

_FOLDER = "/etc/sysctl.d"
_LEFTOVER = f"{_FOLDER}/10-ebpf.conf"
"""Written by the setup script of another guide (see LEFT-001)."""
_NET_DOC = "https://docs.kernel.org/admin-guide/sysctl/net.html"
_KERNEL_DOC = "https://docs.kernel.org/admin-guide/sysctl/kernel.html"


def path_of(key: str) -> str:
    """The file of a sysctl key."""
    return f"/proc/sys/{key.replace('.', '/')}"


def value_of(host: Host, key: str) -> int:
    """The value of a key; raises OSError, and ValueError where it is no number."""
    return int(host.read(path_of(key)).strip())


def jit(host: Host) -> Finding:
    """KERN-003: BPF programs become machine code; interpreted ones work, only slower."""
    key = "net.core.bpf_jit_enable"
    value = _value("KERN-003", host, key, "outside of the initial network namespace it is hidden")
    if isinstance(value, Finding):
        return value
    evidence = (Evidence(path_of(key), str(value)),)
    if value == 0:
        return Finding(
            "KERN-003",
            State.WARN,
            "the BPF JIT is off: everything works, and every watched syscall takes longer",
            evidence,
            "The kernel interprets the program instead of running it as machine code. What is counted stays exact.",
            fixes=_settings(host, "KERN-003", key, 1, weakens="BPF programs of root become machine code in the kernel"),
            links=(_NET_DOC,),
        )
    title = "the BPF JIT is on" if value == 1 else "the BPF JIT is on, and writes each program to the kernel log"
    return Finding("KERN-003", State.PASS, title, evidence)


def unprivileged(host: Host) -> Finding:
    """KERN-004: processes without capabilities cannot use bpf(2). This never matters for those with them."""
    key = "kernel.unprivileged_bpf_disabled"
    value = _value("KERN-004", host, key, "this kernel has no such setting")
    if isinstance(value, Finding):
        return value
    evidence = (Evidence(path_of(key), str(value)),)
    if value != 0:
        until = "until the next boot" if value == 1 else "and only root can change that"
        return Finding("KERN-004", State.PASS, f"bpf(2) is for privileged processes only, {until}", evidence)
    return Finding(
        "KERN-004",
        State.WARN,
        "every process on this machine may use bpf(2): tracing does not need that",
        (*evidence, *_set_by(host, key)),
        "Some guides set this to 0. It helps no process that has the capabilities, and it opens the kernel's "
        "BPF verifier to everybody. denet-tui works the same with 2, the usual value.",
        fixes=_settings(host, "KERN-004", key, 2),
        links=(_KERNEL_DOC,),
    )


def pointers(host: Host) -> Finding:
    """KERN-005: kptr_restrict has no effect on denet-tui; it is only said where a leftover of a guide lowered it."""
    key = "kernel.kptr_restrict"
    value = _value("KERN-005", host, key, "this kernel has no such setting")
    if isinstance(value, Finding):
        return value
    evidence = (Evidence(path_of(key), str(value)),)
    blamed = [each for each in _set_by(host, key) if each.source == _LEFTOVER]
    if value == 0 and blamed:
        return Finding(
            "KERN-005",
            State.WARN,
            f"kernel addresses are shown to everybody because of {_LEFTOVER}: tracing does not need that",
            (*evidence, *blamed),
            "Another guide's setup lowered it. Addresses of the kernel help those who attack it.",
            fixes=(
                Fix(
                    "KERN-005.leftover",
                    "remove what the other guide left behind",
                    (),
                    "permanent",
                    "nothing to undo",
                    advice="apply the fix of LEFT-001 that removes the file; the distribution's own value is back "
                    "after the next boot",
                ),
            ),
            links=(_KERNEL_DOC,),
        )
    return Finding("KERN-005", State.PASS, f"kptr_restrict is {value}; it has no effect on tracing", evidence)


def paranoid(host: Host) -> Finding:
    """KERN-006: perf events, which only tracefs tracepoints need, are not refused by a distribution's level 3 or 4.

    The kernel as released treats these levels like 2. Debian's patch refuses all but SYS_ADMIN, with EACCES:
    trying it is the only way to know.
    """
    key = "kernel.perf_event_paranoid"
    value = _value("KERN-006", host, key, "this kernel has no perf events")
    if isinstance(value, Finding):
        return value
    evidence = [Evidence(path_of(key), str(value))]
    passed = f"perf_event_paranoid is {value}: "
    held = caps.mask(host, "CapEff") or 0
    if value <= 2:
        return Finding("KERN-006", State.PASS, f"{passed}no obstacle", tuple(evidence))
    try:
        answer = host.probe_perf_event()
    except OSError as error:
        title = f"{passed}whether this kernel refuses events then could not be tried: {error.strerror}"
        return Finding("KERN-006", State.UNKNOWN, title, tuple(evidence))
    evidence.append(Evidence("perf_event_open(2), a software event", errno.errorcode.get(answer, str(answer))))
    if held >> CAP_SYS_ADMIN & 1:
        return Finding("KERN-006", State.PASS, f"{passed}no obstacle for root", tuple(evidence))
    if answer != errno.EACCES:
        return Finding("KERN-006", State.PASS, f"{passed}this kernel gives events all the same", tuple(evidence))
    if not held >> CAP_PERFMON & 1:
        title = f"{passed}tracefs tracepoints work with {called.power()} only; raw tracepoints do not care"
        return Finding("KERN-006", State.PASS, title, tuple(evidence))
    weakens = "processes without privilege may count their own events again, as on a kernel without this patch"
    return Finding(
        "KERN-006",
        State.FAIL,
        f"{passed}this distribution's kernel refuses perf events even with CAP_PERFMON",
        tuple(evidence),
        "Only tracefs tracepoints need perf events. Raw tracepoints do not: change this only where those cannot work.",
        ("tracefs",),
        _settings(host, "KERN-006", key, 2, weakens=weakens),
        (_KERNEL_DOC,),
    )


def _value(check_id: str, host: Host, key: str, absent: str) -> int | Finding:
    """The value, or the finding that there is none to look at."""
    path = path_of(key)
    try:
        return value_of(host, key)
    except FileNotFoundError:
        return Finding(check_id, State.SKIP, f"{key} is not there: {absent}", (Evidence(path, "not there"),))
    except PermissionError as error:
        return Finding(check_id, State.UNKNOWN, f"{key}: needs root", (Evidence(path, str(error.strerror)),))
    except OSError as error:
        return Finding(check_id, State.UNKNOWN, f"{key}: {error.strerror}", (Evidence(path, str(error.strerror)),))
    except ValueError:
        return Finding(check_id, State.UNKNOWN, f"{key} is not a number", (Evidence(path, host.read(path)[:80]),))


def _set_by(host: Host, key: str) -> list[Evidence]:
    """Lines of configuration files that set a key (man 5 sysctl.d)."""
    found = []
    files = ["/etc/sysctl.conf"]
    for folder in ("/usr/lib/sysctl.d", "/run/sysctl.d", _FOLDER):
        try:
            files += [f"{folder}/{name}" for name in host.names(folder) if name.endswith(".conf")]
        except OSError:
            continue
    for path in files:
        try:
            lines = host.read(path).splitlines()
        except OSError:
            continue
        for line in lines:
            name = line.partition("=")[0].strip().lstrip("-").replace("/", ".")
            if name == key:
                found.append(Evidence(path, line.strip()[:200]))
    return found


def _settings(host: Host, check_id: str, key: str, value: int, weakens: str = "") -> tuple[Fix, ...]:
    """Setting a key until the next boot, and for good with a file of our own that comes after all others."""
    now = SetValue(path_of(key), str(value))
    until_boot = Fix(
        f"{check_id}.set",
        f"set {key} to {value} until the next boot",
        (now,),
        "until-reboot",
        "sets it back to what it was",
        weakens,
    )
    if host.uid == 0 and not host.access(path_of(key), os.W_OK):
        return ()  # /proc/sys is read-only, as in a container
    try:
        host.names(_FOLDER)
    except OSError:
        return (until_boot,)
    file = f"{_FOLDER}/99-zz-denet-tui-{key.rpartition('.')[2]}.conf"
    text = f"# Written by denet-tui setup ({check_id}); undone by denet-tui setup --undo.\n{key} = {value}\n"
    for_good = Fix(
        f"{check_id}.keep",
        f"set {key} to {value} now and at every boot",
        (WriteFile(file, text), now),
        "permanent",
        f"removes {file} and sets it back to what it was",
        weakens,
    )
    return (until_boot, for_good)


CHECKS: tuple[Check, ...] = (
    Check("KERN-003", "kernel", "BPF JIT", jit),
    Check("KERN-004", "kernel", "unprivileged_bpf_disabled", unprivileged),
    Check("KERN-005", "kernel", "kptr_restrict", pointers),
    Check("KERN-006", "kernel", "perf_event_paranoid", paranoid),
)
