"""Capabilities by name, what loading needs of them, and those that a file carries (man 7 capabilities)."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from denet_tui.bpf.privilege import CAP_BPF, CAP_PERFMON, CAP_SYS_ADMIN
from denet_tui.checks.host import Host

CAP_NET_BIND_SERVICE, CAP_SYS_RESOURCE = 10, 24

_IN_ORDER = (
    "chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service "
    "net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct "
    "sys_admin sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap "
    "mac_override mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore"
)
NAMES = tuple(_IN_ORDER.split())
"""By number (include/uapi/linux/capability.h)."""

_REVISION, _EFFECTIVE = 0xFF000000, 1
_WORDS = {0x01000000: 1, 0x02000000: 2, 0x03000000: 2}
"""32-bit words of each set, by revision of the attribute (struct vfs_ns_cap_data)."""
_WITH_ROOT = 0x03000000


def mask(host: Host, kind: str) -> int | None:
    """A set of this process (`CapEff`, `CapBnd`, …) as a bit mask; None if /proc does not say."""
    try:
        return int(host.status()[kind], 16)
    except (OSError, KeyError, ValueError):
        return None


def missing(host: Host, kind: str) -> list[int] | None:
    """What a set lacks for loading BPF programs: SYS_ADMIN has it all, BPF and PERFMON do where they exist (5.8)."""
    held = mask(host, kind)
    if held is None:
        return None
    if held >> CAP_SYS_ADMIN & 1:
        return []
    if not knows_bpf(host):
        return [CAP_SYS_ADMIN]
    return [number for number in (CAP_BPF, CAP_PERFMON) if not held >> number & 1]


def knows_bpf(host: Host) -> bool:
    """Whether this kernel has CAP_BPF; what it says counts before its version, as distributions backport."""
    try:
        return int(host.read("/proc/sys/kernel/cap_last_cap")) >= CAP_BPF
    except (OSError, ValueError):
        version = re.match(r"(\d+)\.(\d+)", host.release)
        return version is None or (int(version[1]), int(version[2])) >= (5, 8)


def spoken(numbers: list[int]) -> str:
    """`CAP_BPF and CAP_PERFMON`."""
    return " and ".join(f"CAP_{name_of(number).upper()}" for number in numbers)


def name_of(number: int) -> str:
    """Name of a capability, without its prefix; its number where it is newer than this list."""
    return NAMES[number] if number < len(NAMES) else str(number)


@dataclass(frozen=True, slots=True)
class FileCapabilities:
    """What a file gives to the process that executes it; masks."""

    permitted: int
    inheritable: int
    effective: bool
    root: int = 0
    """Uid that is root in the user namespace that they are for; 0 is everywhere."""

    @property
    def numbers(self) -> list[int]:
        """All capabilities that are in either set."""
        both = self.permitted | self.inheritable
        return [number for number in range(64) if both >> number & 1]

    @property
    def text(self) -> str:
        """As setcap(8) takes it, for example `cap_perfmon,cap_bpf=ep`."""
        by_sets: dict[str, list[str]] = {}
        for number in self.numbers:
            sets = ("e" if self.effective else "") + ("p" if self.permitted >> number & 1 else "")
            sets += "i" if self.inheritable >> number & 1 else ""
            by_sets.setdefault(sets, []).append(f"cap_{name_of(number)}" if number < len(NAMES) else str(number))
        return " ".join(f"{','.join(names)}={sets}" for sets, names in by_sets.items())


def parse(attribute: bytes) -> FileCapabilities | None:
    """The value of the security.capability attribute; None if it is none (include/uapi/linux/capability.h)."""
    try:
        (magic,) = struct.unpack_from("<I", attribute)
        words = _WORDS[magic & _REVISION]
        sets = struct.unpack_from(f"<{2 * words}I", attribute, 4)
        (root,) = struct.unpack_from("<I", attribute, 20) if magic & _REVISION == _WITH_ROOT else (0,)
    except (struct.error, KeyError):
        return None
    permitted = sum(word << 32 * index for index, word in enumerate(sets[::2]))
    inheritable = sum(word << 32 * index for index, word in enumerate(sets[1::2]))
    return FileCapabilities(permitted, inheritable, bool(magic & _EFFECTIVE), root)
