"""Why loading or attaching failed: one function for each cause, which looks at what the process may do.

Every function takes the failure and the facts, so that the table in errors.py can name any of them.
"""
# ruff: noqa: ARG001 - a cause that needs no look at the failure, or at the facts, has the same parameters

from __future__ import annotations

import errno
import os
import re

from denet_tui.bpf.facts import UNLIMITED, Facts
from denet_tui.bpf.failure import Explanation, LoadError, look, one_line, split
from denet_tui.bpf.privilege import CAP_BPF, CAP_PERFMON, CAP_SYS_ADMIN
from denet_tui.system import called

OUT_OF_MEMORY = r"failed to map segment|std::bad_alloc|out of memory|MemoryError|Cannot allocate memory"
"""As the dynamic linker, C++, LLVM, Python and the kernel say it."""
NO_READING = r"(?:unknown func|cannot use helper) bpf_probe_read_kernel"
"""As the verifier of Linux 6.1 and of 6.12 says it, where the kernel is locked down to confidentiality."""
_MIB = 1 << 20
_MEMLOCK_NEEDED = 64 * _MIB
"""The maps with their default sizes, charged to RLIMIT_MEMLOCK below Linux 5.11."""

_RAISE_LOCKED = "raise it (`ulimit -l unlimited` as root, then denet-tui from that shell)"


# Who is refused: capabilities, and what stands in for their lack.


def refused(error: LoadError, facts: Facts) -> Explanation:
    """EPERM from bpf(2): the first of the known reasons that is true of this process."""
    start = f"the kernel refuses bpf(2) ({os.strerror(error.number or errno.EPERM)})"
    if facts.user_namespace:
        return Explanation(
            f"{start}: this is a user namespace (/proc/self/uid_map), where even root has no capability that counts",
            "run denet-tui outside of it (as real root, not in a rootless container)",
            "PRIV-003",
        )
    before = () < facts.kernel < (5, 8)
    needed = {"CAP_SYS_ADMIN": CAP_SYS_ADMIN} if before else {"CAP_BPF": CAP_BPF, "CAP_PERFMON": CAP_PERFMON}
    missing = [name for name, number in needed.items() if not facts.holds(number, CAP_SYS_ADMIN)]
    if missing:
        return _lacks(facts, start, missing, [needed[name] for name in missing])
    if (5, 11) > facts.kernel > () and facts.memlock not in (None, UNLIMITED) and _short(facts.memlock):
        return Explanation(
            f"{start}: RLIMIT_MEMLOCK is {facts.memlock} bytes, and Linux below 5.11 charges maps to it, root's too",
            _RAISE_LOCKED,
            "KERN-007",
        )
    if facts.seccomp:
        return Explanation(
            f"{start} whatever the capabilities are: a seccomp filter is on this process (Seccomp: {facts.seccomp} in "
            "/proc/self/status), as containers have",
            "run denet-tui outside of it, or allow bpf and perf_event_open in its profile",
            "PRIV-004",
        )
    if facts.confined:
        return Explanation(
            f"{start}: the capabilities are there, but the process is confined by a security module ({facts.confined})",
            "run denet-tui unconfined, or allow bpf in that policy",
            "PRIV-004",
        )
    modules = f" ({facts.security})" if facts.security else ""
    return Explanation(
        f"{start}, though the capabilities are there and no seccomp filter is: a security module{modules} or what this "
        "machine runs in is in the way",
        look(),
        "PRIV-004",
    )


def _short(memlock: int | None) -> bool:
    return memlock is not None and memlock < _MEMLOCK_NEEDED


def _lacks(facts: Facts, start: str, names: list[str], numbers: list[int]) -> Explanation:
    words = " and ".join(names)
    if not all(facts.could_hold(number, CAP_SYS_ADMIN) for number in numbers):
        return Explanation(
            f"{start}: {words} is not in the bounding set of this process (CapBnd), so no process in here can have it",
            f"run denet-tui outside, or give the container {words}",
            "PRIV-002",
        )
    who = "root" if facts.uid == 0 else "this process"
    return Explanation(f"{start}: {who} lacks {words} (CapEff in /proc/self/status)", called.how_as_root(), "PRIV-001")


def perfmon_missing(error: LoadError, facts: Facts) -> Explanation:
    """The text that bcc has whenever a load ends in EPERM, also where this is root."""
    if not facts.user_namespace and facts.holds(CAP_BPF) and not facts.holds(CAP_PERFMON, CAP_SYS_ADMIN):
        return Explanation(
            "the kernel refuses to load the program: CAP_BPF is there, CAP_PERFMON is missing",
            f"{called.how_as_root()}, or add CAP_PERFMON",
            "PRIV-001",
        )
    return refused(error, facts)


def _fewer_rows() -> str:
    return f"keep fewer rows ({called.with_sudo('… --rows 8192')}: only root may)"


def verifier(error: LoadError, facts: Facts) -> Explanation:
    """EACCES while loading: the verifier, whose log libbcc prints; without a log, a security module."""
    if facts.confined and not re.search(r"processed \d+ insns|^\d+: \(", error.output, re.MULTILINE):
        return refused(error, facts)
    return Explanation(
        "the kernel's verifier rejects the program; this is a mistake in denet-tui, not a permission of yours",
        f"please report it, with `denet-tui --version` and the log of {called.with_sudo('selftest', '--debug')}",
        "PROG-001",
    )


def locked_down(error: LoadError, facts: Facts) -> Explanation:
    """A kernel that is locked down keeps bpf_probe_read_kernel from all programs, as if it did not know it."""
    return Explanation(
        "the kernel is locked down to confidentiality: tracefs is empty, and BPF programs may not read its memory",
        "boot with lockdown=integrity",
        "KERN-008",
    )


# tracefs and perf_event_open


def tracefs_unreadable(error: LoadError, facts: Facts) -> Explanation:
    """The event's files cannot be opened or do not exist."""
    if facts.tracefs is None:
        return Explanation(
            "tracefs is not mounted", called.rooted("mount -t tracefs tracefs /sys/kernel/tracing"), "FS-001"
        )
    if facts.lockdown == "confidentiality":
        return locked_down(error, facts)
    if error.number == errno.EACCES or "permission denied" in error.text.lower() + error.output.lower():
        return Explanation(
            f"the event files in {facts.tracefs} cannot be read by this process",
            f"use --attach-method raw, which needs no tracefs, or {called.how_as_root()}",
            "FS-002",
        )
    return Explanation(
        f"an event is missing in {facts.tracefs}: {one_line(error.text)}",
        "use --attach-method raw, which needs no tracefs",
        "FS-002",
    )


def event_file(error: LoadError, facts: Facts) -> Explanation:
    """`open(…/id)` fails: by the reason in its own line, wherever that is."""
    line = next(line for line in _seen(error).splitlines() if "/id)" in line)
    number = errno.EACCES if "permission" in line.lower() else errno.ENOENT
    return tracefs_unreadable(LoadError(error.stage, line, number), facts)


def perf_denied(error: LoadError, facts: Facts) -> Explanation:
    """EACCES from perf_event_open(2)."""
    if not facts.holds(CAP_PERFMON, CAP_SYS_ADMIN):
        return Explanation(
            "perf_event_open is refused: this process lacks CAP_PERFMON",
            f"use --attach-method raw, or {called.how_as_root()}",
            "PRIV-001",
        )
    if facts.paranoid is not None and facts.paranoid >= 3 and not facts.holds(CAP_SYS_ADMIN):
        return Explanation(
            f"perf_event_open is refused: kernel.perf_event_paranoid is {facts.paranoid}, which this distribution's "
            "kernel holds against CAP_PERFMON too",
            "use --attach-method raw, which needs no perf_event_open",
            "KERN-006",
        )
    return Explanation(
        "perf_event_open is refused (Permission denied), though CAP_PERFMON is there: a security module is in the way",
        "use --attach-method raw, which needs no perf_event_open",
        "KERN-006",
    )


def perf_not_permitted(error: LoadError, facts: Facts) -> Explanation:
    """EPERM from perf_event_open(2)."""
    if facts.seccomp:
        return Explanation(
            f"perf_event_open is refused by a seccomp filter (Seccomp: {facts.seccomp} in /proc/self/status)",
            "use --attach-method raw, or allow perf_event_open in the container's profile",
            "PRIV-004",
        )
    return perf_denied(error, facts)


# bcc


def no_bcc(error: LoadError, facts: Facts) -> Explanation:
    """Python's bcc or libbcc is missing, another one, or broken."""
    if "install" in error.text:  # toolchain.py has found out which package
        return Explanation(*split(error.text), "BCC-001")
    text = one_line(_seen(error))
    if "cannot import name" in text:
        return Explanation(
            f"the bcc that Python finds is not the BPF Compiler Collection ({text}): PyPI's unrelated bcc shadows it",
            "remove that one (`pip uninstall bcc`)",
            "BCC-001",
        )
    if "No module named" in text:
        return Explanation("bcc (the BPF Compiler Collection) is not installed", look(), "BCC-001")
    return Explanation(f"bcc's library is broken ({text})", "reinstall the distribution's bcc", "BCC-001")


def headers(error: LoadError, facts: Facts) -> Explanation:
    """The kernel headers, or what stands in for them, are not found."""
    return Explanation(
        "bcc did not find the small headers that denet-tui brings in place of the kernel's; it is damaged",
        "install denet-tui again",
        "BCC-003",
    )


# Limits and what the kernel does not have


def no_files(error: LoadError, facts: Facts) -> Explanation:
    """RLIMIT_NOFILE is used up."""
    limit = f" is {facts.open_files}" if facts.open_files is not None else " is too low"
    return Explanation(f"no more files can be opened: RLIMIT_NOFILE{limit}", "raise it (`ulimit -n 1024`)", "LIM-001")


def no_memory(error: LoadError, facts: Facts) -> Explanation:
    """RLIMIT_AS, the memory cgroup, or the kernel's own memory is used up."""
    if facts.address_space not in (None, UNLIMITED):
        return Explanation(
            f"no memory can be mapped: RLIMIT_AS is {facts.address_space} bytes, and bcc brings LLVM",
            "raise it (`ulimit -v unlimited`)",
            "LIM-001",
        )
    if facts.memory_limit is not None and facts.memory_limit != UNLIMITED:
        return Explanation(
            f"no memory is left: its memory cgroup allows {facts.memory_limit // _MIB} MiB (memory.max)",
            f"allow at least 256 MiB, or {_fewer_rows()}",
            "LIM-001",
        )
    return Explanation("the kernel has no memory for the maps", _fewer_rows(), "LIM-001")


def no_system_call(error: LoadError, facts: Facts) -> Explanation:
    """ENOSYS: a kernel without the call, or something that pretends so."""
    what = "perf_event_open(2)" if "perf_event_open" in error.text else "bpf(2)"
    start = f"{what} does not exist here (Function not implemented)"
    if facts.machine:
        return Explanation(
            f"{start}: this is {facts.machine}, which has no BPF",
            "run denet-tui on a machine with a Linux kernel",
            "KERN-002",
        )
    if facts.seccomp:
        return Explanation(
            f"{start}, says a seccomp filter (Seccomp: {facts.seccomp} in /proc/self/status)",
            "run denet-tui outside of it, or allow bpf and perf_event_open in its profile",
            "PRIV-004",
        )
    if facts.bpf_in_kernel is False:
        return Explanation(
            f"{start}: the kernel was built without CONFIG_BPF_SYSCALL",
            "boot a kernel of your distribution",
            "KERN-002",
        )
    return Explanation(f"{start}, though the kernel has it: something around this process hides it", look(), "KERN-002")


def too_big(error: LoadError, facts: Facts) -> Explanation:
    """E2BIG: too many programs on an event, or too large a map."""
    if error.stage == "attach":
        return Explanation(
            "64 programs are attached to this event already, and the kernel takes no more (E2BIG)",
            f"use --attach-method raw, or end other tracers ({called.rooted('bpftool prog')} names them)",
            "OTHER-001",
        )
    return Explanation("a map is larger than the kernel allows (E2BIG)", _fewer_rows(), "LIM-001")


def invalid(error: LoadError, facts: Facts) -> Explanation:
    """EINVAL: a program, map or event that this kernel does not know."""
    version = ".".join(map(str, facts.kernel)) or "?"
    return Explanation(
        f"the kernel ({version}) does not know this program, map or event (EINVAL): {one_line(error.text)}",
        look() if facts.kernel >= (5, 8) else f"Linux 5.8 or later is needed; {look()}",
        "KERN-001",
    )


def busy(error: LoadError, facts: Facts) -> Explanation:
    """EBUSY, which no kernel was seen to give."""
    return Explanation(
        f"the kernel says busy: {one_line(error.text)}; tracers do not exclude each other, so this is unexpected",
        f"{called.rooted('bpftool prog')} shows which processes have programs loaded; please report it",
        "OTHER-001",
    )


def refused_by_errno(error: LoadError, facts: Facts) -> Explanation:
    """EPERM, by what was being done."""
    if error.stage == "attach" and error.method == "tracefs":
        return perf_not_permitted(error, facts)
    return refused(error, facts)


def denied_by_errno(error: LoadError, facts: Facts) -> Explanation:
    """EACCES, by what was being done."""
    if error.stage == "load":
        return verifier(error, facts)
    if error.stage == "attach" and error.method == "tracefs" and "/id" not in error.text:
        return perf_denied(error, facts)
    return tracefs_unreadable(error, facts) if error.stage in ("tracefs", "attach") else refused(error, facts)


def died(error: LoadError, facts: Facts) -> Explanation:
    """The loader was killed by a signal."""
    found = re.search(r"SIG[A-Z]+", error.text)
    name = found[0] if found else ""
    if name == "SIGSYS":
        return Explanation(
            "the loader was killed by SIGSYS: a seccomp filter kills any process that calls bpf(2)",
            "run denet-tui outside of it, or allow bpf and perf_event_open in its profile",
            "PRIV-004",
        )
    if name == "SIGKILL" and facts.memory_limit not in (None, UNLIMITED):
        explanation = no_memory(error, Facts(memory_limit=facts.memory_limit))
        return Explanation(f"the loader was killed by SIGKILL: {explanation.cause}", explanation.fix, "LIM-001")
    if re.search(OUT_OF_MEMORY, error.output, re.IGNORECASE):
        return no_memory(error, facts)
    return Explanation(one_line(error.text), "run it again with --debug to see what it printed", "E2E-001")


def missing(error: LoadError, facts: Facts) -> Explanation:
    """ENOENT, by what was being done."""
    if error.stage in ("tracefs", "attach") and error.method != "raw":
        return tracefs_unreadable(error, facts)
    return Explanation(f"the kernel does not have what is needed: {one_line(error.text)}", look(), "KERN-001")


def not_counted(error: LoadError, facts: Facts) -> Explanation:
    """Attached, but the maps stay empty."""
    if facts.kernel and facts.kernel < (5, 19) and not facts.holds(CAP_BPF, CAP_SYS_ADMIN):
        return Explanation(
            "attached, but this process cannot read the maps: Linux below 5.19 wants CAP_BPF for that",
            "keep CAP_BPF in the process that watches",
            "KERN-001",
        )
    if facts.pid_namespace:
        return Explanation(
            "attached, but nothing was counted: this is a PID namespace, whose process ids the kernel does not mean",
            "run denet-tui outside of it, or start the command with `denet-tui run`",
            "NS-001",
        )
    return Explanation("attached, but nothing was counted", look(), "E2E-001")


def no_locked_memory(error: LoadError, facts: Facts) -> Explanation:
    """The hint at RLIMIT_MEMLOCK, which some print with every EPERM."""
    cause = "Linux below 5.11 charges maps to RLIMIT_MEMLOCK, root's too"
    if facts.kernel >= (5, 11):
        return Explanation(f"{cause}; this kernel does not, so that it is something else", look(), "KERN-007")
    return Explanation(cause, _RAISE_LOCKED, "KERN-007")


def not_attached(error: LoadError, facts: Facts) -> Explanation:
    """Attaching fails, with no errno in its text: bcc has it in another line."""
    raw = error.method == "raw"
    return Explanation(
        f"the program is loaded, and then not attached: {one_line(error.text)}; a line before it says why",
        look() if raw else "use --attach-method raw, which needs no tracefs",
        "E2E-001" if raw else "FS-002",
    )


def _seen(error: LoadError) -> str:
    return f"{error.text}\n{error.output}"
