"""Reads whose length the verifier of Linux 5.10 would not know: it forgets a number's bound once that is on the stack.

`python lengths.py DETAIL...` prints one JSON object: by detail and user, as 5.10 gets it, per event which instructions
are such reads. It is a process of its own because LLVM stays in memory.
"""

from __future__ import annotations

import json
import struct
import sys
from itertools import product

from denet_tui.bpf import btf, compiled, loader, macros, maps, toolchain
from denet_tui.bpf.request import Request

_READS = {4, 45, 112, 113, 114, 115}
"""Helpers that read memory, by number (bpf_probe_read and its kin in uapi/linux/bpf.h): the length is in register 2."""
_LOAD, _ALU, _JUMP, _ALU_64, _JUMP_32 = 1, 4, 5, 7, 6
"""Classes of instructions, the lowest three bits."""
_ALWAYS, _CALL, _EXIT, _MOVE, _OF_REGISTER = 0x05, 0x85, 0x95, 0xB0, 8


def forgotten(code: bytes) -> list[int]:
    """Which instructions are reads whose length was last loaded, and not compared or cut since then."""
    steps = [(op, both & 15, both >> 4, value) for op, both, _, value in struct.iter_unpack("<BBhi", code)]
    return [at for at, (op, *_, value) in enumerate(steps) if op == _CALL and value in _READS and _loaded(steps[:at])]


def _loaded(before: list[tuple[int, int, int, int]]) -> bool:
    wanted = 2
    for op, written, read, _ in reversed(before):
        kind = op & 7
        if kind in (_JUMP, _JUMP_32) and op not in (_ALWAYS, _CALL, _EXIT) and written == wanted:
            return False
        if kind == _LOAD and written == wanted:
            return True
        if kind in (_ALU, _ALU_64) and written == wanted:
            if op & 0xF0 != _MOVE or not op & _OF_REGISTER:
                return False
            wanted = read
    raise AssertionError("a length comes from nowhere")


def main() -> None:
    maps.kernel_version = lambda: (5, 10)
    btf.Btf.numbers = lambda *_: {}  # type: ignore[method-assign] # it had no functions of the kernel
    found = {}
    for detail, uid in product(sys.argv[1:], (None, compiled.ANY_UID)):
        request = Request("raw", detail=detail)
        flags, _ = macros.flags_for(request, uid, {})
        module = loader.compile_program(toolchain.load(toolchain.find()), flags, loader.program_text())
        found[f"{detail} {uid}"] = {
            event: forgotten(module.dump_func(f"on_{event}".encode()))
            for event in loader.events_of(request, macros.DETAILS.get((detail, "raw"), {}))
        }
        module.cleanup()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
