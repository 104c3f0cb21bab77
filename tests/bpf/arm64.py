"""The program as bcc compiles it for aarch64: with the offsets of its registers, all else as on this kernel.

`python -m tests.bpf.arm64` prints one JSON object: the notes for the user, and by event the offsets that its program
uses. It is a process of its own because LLVM stays in memory.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterable

from denet_tui.bpf import btf, loader, macros, toolchain
from denet_tui.bpf.request import Request
from denet_tui.system import uname

REGISTERS = {"pt_regs.regs": 0, "pt_regs.orig_x0": 272, "pt_regs.syscallno": 280, "pt_regs": 336}
"""Of struct pt_regs in arch/arm64/include/asm/ptrace.h of Linux 6.1, and its size."""


class _Btf(btf.Btf):
    def offsets(self, wanted: Iterable[str]) -> dict[str, int]:
        names = set(wanted)
        found = {name: at for name, at in super().offsets(names).items() if not name.startswith("pt_regs")}
        return found | {name: at for name, at in REGISTERS.items() if name in names}


def main() -> None:
    """Compile all of it: every detail, and one cgroup alone."""
    os.environ["ARCH"] = "arm64"  # for bcc's own headers
    uname.machine = lambda: "aarch64"
    btf.Btf = _Btf  # type: ignore[misc]
    request = Request("raw", detail="all", by_cgroup=True)
    flags, notes = macros.flags_for(request, None, {})
    module = loader.compile_program(toolchain.load(toolchain.find()), flags, loader.program_text())
    used = {}
    for event in loader.events_of(request, macros.DETAILS["all", "raw"]):
        code = module.dump_func(f"on_{event}".encode())
        numbers = {at for _, near, far in struct.iter_unpack("<2shi", code) for at in (near, far)}
        used[event] = sorted(numbers & {*REGISTERS.values(), 8, 16})
    print(json.dumps({"notes": notes, "used": used}))


if __name__ == "__main__":
    main()
