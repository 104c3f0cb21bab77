"""Can this kernel run the BPF program at all: KERN-001, -002, -007, -008, -009; settings are in sysctls.py."""

from __future__ import annotations

import errno
import re
import zlib
from collections.abc import Iterator

from denet_tui.bpf import btf
from denet_tui.checks import capabilities as caps
from denet_tui.checks import sysctls
from denet_tui.checks.host import Host
from denet_tui.checks.model import BOTH, Check, Evidence, Finding, Fix, State

_FEATURES = (
    ((4, 17), "no raw tracepoints (from 4.17)"),
    ((5, 6), "maps are read row by row (at once from 5.6)"),
    ((5, 8), "loading needs CAP_SYS_ADMIN (CAP_BPF and the ring buffer from 5.8)"),
    ((5, 11), "maps count against RLIMIT_MEMLOCK (against the memory cgroup from 5.11)"),
    ((5, 19), "the watching process keeps CAP_BPF (not from 5.19)"),
)
"""What an older kernel lacks, and the version that brought it. Distributions backport: it is only a first guess."""

_MAPS_BYTES = 64 << 20
"""What the maps need at most on kernels that charge them to RLIMIT_MEMLOCK (37 MB seen with the default sizes)."""
_LARGEST_CONFIG = 4 << 20
_LOCKDOWN = "/sys/kernel/security/lockdown"
_RAW_NEEDS = {"x86_64": "pt_regs.orig_ax", "aarch64": "pt_regs.syscallno"}
"""Where a raw tracepoint of sys_exit finds the syscall's number, by machine; as in bpf/loader.py."""


def version_of(release: str) -> tuple[int, int] | None:
    """(6, 1) of `6.1.0-18-amd64`; None if it does not begin like one."""
    found = re.match(r"(\d{1,4})\.(\d{1,4})", release)
    return (int(found[1]), int(found[2])) if found else None


def version(host: Host) -> Finding:
    """KERN-001: what this version lacks, feature by feature."""
    evidence = (Evidence("uname -r", host.release),)
    found = version_of(host.release)
    if found is None:
        return Finding("KERN-001", State.UNKNOWN, f"{host.release!r} is no kernel version", evidence)
    has_bpf = caps.knows_bpf(host)
    lacks = [text for since, text in _FEATURES if found < since and not (has_bpf and since == (5, 8))]
    name = f"Linux {found[0]}.{found[1]}"
    if found < _FEATURES[0][0]:
        return Finding(
            "KERN-001",
            State.FAIL,
            f"{name}: {lacks[0]}",
            (*evidence, *(Evidence("version", text) for text in lacks[1:])),
            "Raw tracepoints need least. The other attach method, tracefs tracepoints, works on older kernels.",
            ("raw",),
            (_newer_kernel("KERN-001"),),
        )
    title = f"{name} has everything" if not lacks else f"{name} works; {'; '.join(lacks)}"
    return Finding("KERN-001", State.PASS, title, evidence)


def _newer_kernel(check_id: str) -> Fix:
    return Fix(
        f"{check_id}.kernel",
        "use the distribution's current kernel",
        (),
        "permanent",
        "boot the old one",
        advice="install the distribution's current kernel and reboot; until then use `--attach-method tracefs`",
    )


def config(host: Host) -> Finding:
    """KERN-002: built with bpf(2) and with programs on tracepoints. No configuration to read is no answer, not a no."""
    if _has_no_bpf(host):
        return _without_bpf("this kernel has no bpf(2)", (Evidence("bpf(2), malformed", "ENOSYS"),))
    path, options = _options(host)
    if not options:
        title = f"how this kernel was built is not known ({path}); E2E-001 tries it"
        return Finding("KERN-002", State.UNKNOWN, title)
    shown = ("BPF_SYSCALL", "BPF_EVENTS", "FTRACE_SYSCALLS", "DEBUG_INFO_BTF")
    values = {name: options.get(f"CONFIG_{name}", "n") for name in shown}
    evidence = (Evidence(path, ", ".join(f"{name}={value}" for name, value in values.items())),)
    needed = [name for name in ("BPF_SYSCALL", "BPF_EVENTS") if values[name] != "y"]
    if needed:
        return _without_bpf(f"this kernel was built without {' and '.join(needed)}", evidence)
    less = {"FTRACE_SYSCALLS": "the tracepoints of single syscalls", "DEBUG_INFO_BTF": "BTF (see KERN-009)"}
    lacks = [text for name, text in less.items() if values[name] != "y"]
    if lacks:
        return Finding("KERN-002", State.WARN, f"this kernel was built without {' and '.join(lacks)}", evidence)
    return Finding("KERN-002", State.PASS, "this kernel was built with everything", evidence)


def _without_bpf(title: str, evidence: tuple[Evidence, ...]) -> Finding:
    why = "Without it no BPF program can watch syscalls, with whatever privilege."
    return Finding("KERN-002", State.FAIL, title, evidence, why, BOTH, (_newer_kernel("KERN-002"),))


def _has_no_bpf(host: Host) -> bool:
    """Whether bpf(2) is answered with ENOSYS and no filter can have done it (as on gVisor and WSL 1)."""
    try:
        return host.status().get("Seccomp") == "0" and host.probe_bpf() == errno.ENOSYS
    except OSError:
        return False


def _options(host: Host) -> tuple[str, dict[str, str]]:
    """(where from, option -> value) of the running kernel's build; (what was tried, {}) where there is none."""
    tried = []
    for path, text in _configs(host):
        found = dict(re.findall(r"^(CONFIG_\w+)=(.*)$", text, re.MULTILINE))
        if found:
            return path, found
        tried.append(path)
    return f"none in {', '.join(tried)}", {}


def _configs(host: Host) -> Iterator[tuple[str, str]]:
    """Where distributions keep it; the kernel's own copy first. Empty text where there is none."""
    places = (
        "/proc/config.gz",
        f"/boot/config-{host.release}",
        f"/lib/modules/{host.release}/config",
        f"/usr/lib/modules/{host.release}/config",
    )
    for path in places:
        try:
            data = host.read_bytes(path)
            if path.endswith(".gz"):
                data = zlib.decompressobj(wbits=31).decompress(data, _LARGEST_CONFIG)
        except (OSError, zlib.error):
            data = b""
        yield path, data.decode(errors="replace")


def memlock(host: Host) -> Finding:
    """KERN-007: below 5.11 the maps fit into RLIMIT_MEMLOCK, or the loader may raise it (libbcc does)."""
    found = version_of(host.release)
    if found is None or found >= (5, 11):
        return Finding("KERN-007", State.SKIP, "this kernel does not count maps against RLIMIT_MEMLOCK")
    soft, hard = host.limit("MEMLOCK")
    evidence = (Evidence("getrlimit(RLIMIT_MEMLOCK)", f"soft {soft:.0f}, hard {hard:.0f}"),)
    if max(soft, hard) >= _MAPS_BYTES or (caps.mask(host, "CapEff") or 0) >> caps.CAP_SYS_RESOURCE & 1:
        return Finding("KERN-007", State.PASS, "RLIMIT_MEMLOCK is no obstacle", evidence)
    return Finding(
        "KERN-007",
        State.FAIL,
        f"RLIMIT_MEMLOCK of {hard / 2**20:.1f} MiB is too small for the maps",
        evidence,
        "Below Linux 5.11 maps are locked memory. Creating them fails with `Operation not permitted`, as root, too.",
        BOTH,
        (
            Fix(
                "KERN-007.raise",
                "raise the limit where denet-tui is started",
                (),
                "until-reboot",
                "nothing stays",
                advice="as root: `ulimit -l unlimited`, then start denet-tui from that shell; in a systemd service: "
                "`LimitMEMLOCK=infinity`; docker: `--ulimit memlock=-1`",
            ),
        ),
    )


def lockdown(host: Host) -> Finding:
    """KERN-008: not locked down to confidentiality, where BPF programs may not read kernel memory."""
    try:
        text = host.read(_LOCKDOWN).strip()
        source = _LOCKDOWN
    except OSError as error:
        source, text = "/proc/cmdline", _asked_for_lockdown(host)
        if not text:
            return _no_lockdown_file(host, error)
    chosen = re.search(r"\[(\w+)\]", text)
    evidence = (Evidence(source, text[:200]),)
    if chosen is None:
        return Finding("KERN-008", State.UNKNOWN, f"{source} does not say what is in force", evidence)
    if chosen[1] != "confidentiality":
        return Finding("KERN-008", State.PASS, f"lockdown is {chosen[1]}: no obstacle", evidence)
    return Finding(
        "KERN-008",
        State.FAIL,
        "the kernel is locked down to confidentiality: BPF programs may not read its memory",
        evidence,
        "denet-tui's program reads ids and exit statuses from the kernel's structures, and tracefs is empty. "
        "Lockdown can only be lowered by booting anew.",
        BOTH,
        (
            Fix(
                "KERN-008.boot",
                "boot with lockdown=integrity",
                (),
                "permanent",
                "boot with the old kernel command line",
                weakens="root can read kernel memory; changing it stays forbidden",
                advice="put `lockdown=integrity` in place of `lockdown=confidentiality` on the kernel command line "
                "and reboot",
            ),
        ),
        ("https://man7.org/linux/man-pages/man7/kernel_lockdown.7.html",),
    )


def _asked_for_lockdown(host: Host) -> str:
    """What the kernel command line asks for, written as in the lockdown file; empty where it does not."""
    try:
        found = re.search(r"(?:^|\s)lockdown=(integrity|confidentiality)(?:\s|$)", host.read("/proc/cmdline"))
    except OSError:
        return ""
    return f"[{found[1]}]" if found else ""


def _no_lockdown_file(host: Host, error: OSError) -> Finding:
    evidence = (Evidence(_LOCKDOWN, error.strerror or "unreadable"),)
    try:
        mounted = any(mount.kind == "securityfs" for mount in host.mounts())
    except OSError:
        mounted = False
    if mounted and error.errno == errno.ENOENT:
        return Finding("KERN-008", State.PASS, "this kernel has no lockdown", evidence)
    why = "securityfs is not mounted, and nothing on the kernel command line asks for it"
    return Finding("KERN-008", State.UNKNOWN, f"lockdown: {why if not mounted else error.strerror}", evidence)


def types(host: Host) -> Finding:
    """KERN-009: the kernel describes its own structures (BTF), as raw tracepoints need it."""
    wanted = ["task_struct.pid", _RAW_NEEDS.get(host.machine, "pt_regs")]
    try:
        data = host.kernel_btf()
        lacks = sorted(set(wanted) - set(btf.Btf(data).offsets(wanted)))
        problem = f"it lacks {' and '.join(lacks)}" if lacks else ""
        seen = f"{len(data)} bytes"
    except OSError as error:
        seen = error.strerror or "unreadable"
        if error.errno != errno.ENOENT:
            title = f"the kernel's BTF cannot be read: {seen}"
            return Finding("KERN-009", State.UNKNOWN, title, (Evidence(str(btf.VMLINUX), seen),))
        problem = "it is not there: the kernel was built without it, or /sys is hidden"
    except btf.BtfError as error:
        problem, seen = str(error), f"{len(data)} bytes"
    evidence = (Evidence(str(btf.VMLINUX), seen),)
    if not problem:
        return Finding("KERN-009", State.PASS, "the kernel's BTF has what raw tracepoints need", evidence)
    return Finding(
        "KERN-009",
        State.FAIL,
        f"no usable BTF of this kernel: {problem}",
        evidence,
        "Raw tracepoints need to know where the kernel keeps ids; BTF says so. Tracefs tracepoints work without it, "
        "but know no exit statuses and command lines.",
        ("raw",),
        (_newer_kernel("KERN-009"),),
        ("https://docs.kernel.org/bpf/btf.html",),
    )


_OWN = (
    Check("KERN-001", "kernel", "kernel version", version),
    Check("KERN-002", "kernel", "kernel configuration", config),
    Check("KERN-007", "kernel", "locked memory", memlock),
    Check("KERN-008", "kernel", "lockdown", lockdown),
    Check("KERN-009", "kernel", "BTF", types),
)
CHECKS: tuple[Check, ...] = tuple(sorted((*_OWN, *sysctls.CHECKS), key=lambda check: check.id))
