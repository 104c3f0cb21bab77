"""What a machine is and what runs on it, for the head of a report: read only, through a Host."""

from __future__ import annotations

import platform
import re

from denet_tui import __version__
from denet_tui.bpf.toolchain import ToolchainError
from denet_tui.checks.host import Host, parse_fields

SYSCTLS = (
    "kernel/unprivileged_bpf_disabled",
    "kernel/perf_event_paranoid",
    "kernel/kptr_restrict",
    "kernel/bpf_stats_enabled",
    "kernel/pid_max",
    "net/core/bpf_jit_enable",
    "net/core/bpf_jit_harden",
    "net/core/bpf_jit_kallsyms",
)
CAPABILITY_SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp")
_FILESYSTEMS = frozenset({"tracefs", "debugfs", "bpf", "sysfs", "proc", "securityfs", "cgroup2"})
_CONFIG = re.compile(
    r"^(?:# )?CONFIG_(?:\w*BPF\w*|FTRACE_SYSCALLS|\w*TRACEPOINT\w*|DEBUG_INFO_BTF|PERF_EVENTS)\b.*", re.MULTILINE
)
_LIBRARIES = re.compile(r"^lib(?:bcc|LLVM|clang-cpp)[-.].*so")
_FOLDERS = ("/usr/lib", "/usr/lib64", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu")


def system(host: Host) -> dict[str, str]:
    """Kernel, machine, distribution and the versions of everything that takes part."""
    from importlib import metadata  # takes as long to import as all of click

    release = {name: value.strip("\"'") for name, value in _assignments(host.text("/etc/os-release") or "").items()}
    found = {
        "kernel": host.release,
        "machine": host.machine,
        "kernel build": (host.text("/proc/version") or "").strip(),
        "distribution": release.get("PRETTY_NAME") or release.get("NAME", "unknown"),
        "denet-tui": __version__,
        "python": platform.python_version(),
        "bcc": _bcc(host),
    }
    for name in ("textual", "click", "psutil"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    found["libbcc and LLVM"] = ", ".join(_libraries(host)) or "not found"
    return found


def capabilities(host: Host) -> dict[str, str]:
    """Capability sets (hexadecimal, man 7 capabilities) and what else limits this process."""
    try:
        fields = host.status()
    except OSError:
        return {}
    return {name: fields[name] for name in CAPABILITY_SETS if name in fields}


def sysctls(host: Host) -> dict[str, str]:
    """The settings that matter, by name; the reason in brackets where one cannot be read."""
    found = {}
    for name in SYSCTLS:
        try:
            value = host.read(f"/proc/sys/{name}").strip()
        except OSError as error:
            value = f"({error.strerror})"
        found[name.replace("/", ".")] = value
    return found


def mounts(host: Host) -> list[str]:
    """One line for each mount that matters."""
    try:
        found = host.mounts()
    except OSError as error:
        return [f"/proc/self/mountinfo: {error.strerror}"]
    return [
        f"{each.kind} on {each.point} ({','.join((*each.options, *each.super_options))})"
        for each in found
        if each.kind in _FILESYSTEMS
    ]


def config(host: Host) -> list[str]:
    """The lines of the kernel's configuration that matter, and where they are from; empty where it is not readable."""
    import zlib

    for path in ("/proc/config.gz", f"/boot/config-{host.release}", f"/lib/modules/{host.release}/config"):
        try:
            data = host.read_bytes(path)
            if path.endswith(".gz"):
                data = zlib.decompressobj(31).decompress(data, 1 << 22)
        except (OSError, zlib.error):
            continue
        return [path, *(match[0] for match in _CONFIG.finditer(data.decode(errors="replace")))]
    return []


def _bcc(host: Host) -> str:
    try:
        return host.find_bcc().version
    except ToolchainError:
        return "not found"


def _libraries(host: Host) -> list[str]:
    found: set[str] = set()
    for folder in _FOLDERS:
        try:
            found |= {name for name in host.names(folder) if _LIBRARIES.match(name)}
        except OSError:
            continue
    return sorted(found)


def _assignments(text: str) -> dict[str, str]:
    return parse_fields(re.sub(r"(?m)^(\w+)=", r"\1:", text))
