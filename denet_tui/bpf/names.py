"""Names of syscalls by ABI and number, numbers by name, and their classes."""

from __future__ import annotations

import platform
from functools import cache

from system_calls import syscalls as _table_of

from denet_tui.model import ABI_IA32, ABI_NATIVE, ABI_X32, Syscall

X32_BIT = 0x40000000
_ARCHITECTURES = {"aarch64": "arm64", "riscv64": "riscv64", "ppc64le": "powerpc64", "s390x": "s390x"}
_PREFIXES = {ABI_NATIVE: "", ABI_IA32: "ia32:", ABI_X32: "x32:"}


@cache
def numbers(abi: int = ABI_NATIVE) -> dict[str, int]:
    """Syscall numbers of this machine by name, for one ABI (x32's without its marker bit)."""
    machine = platform.machine()
    if machine == "x86_64":
        architecture = {ABI_IA32: "i386", ABI_X32: "x32"}.get(abi, "x86_64")
    else:
        architecture = _ARCHITECTURES.get(machine, machine)
    table: dict[str, int] = _table_of().load_arch_table(architecture)
    return {name: number & ~X32_BIT for name, number in table.items()}


@cache
def _names(abi: int) -> dict[int, str]:
    return {number: name for name, number in numbers(abi).items()}


@cache
def syscall(abi: int, nr: int) -> Syscall:
    """The syscall with this number; unknown ones are named `syscall_N`, foreign ABIs get a prefix (`ia32:read`)."""
    number = nr & ~X32_BIT if abi == ABI_X32 else nr
    return Syscall(abi, nr, _PREFIXES[abi] + _names(abi).get(number, f"syscall_{number}"))
