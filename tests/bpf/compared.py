"""Whether the program of all users, with one's uid put in, is what bcc compiles for that uid alone.

`python compared.py UID...` prints one JSON object: per uid and event how many places have it, -1 where another
program comes out. It is a process of its own because LLVM stays in memory.
"""

from __future__ import annotations

import json
import sys

from denet_tui.bpf import compiled, loader, macros, toolchain
from denet_tui.bpf.request import Request
from denet_tui.bpf.tracepoints import EVENTS


def codes(uid: int) -> dict[str, bytes]:
    """The program of each event as bcc compiles it for this uid, but for the descriptors of its maps."""
    flags, _ = macros.flags_for(Request("raw"), uid, {})
    module = loader.compile_program(toolchain.load(toolchain.find()), flags, loader.program_text())
    found = {}
    for event in EVENTS:
        code = module.dump_func(f"on_{event}".encode())
        found[event] = compiled.of_uid(code, [offset for offset, _ in compiled.map_uses(code)], 0)
    module.cleanup()
    return found


def compared(uid: int, shared: dict[str, bytes]) -> dict[str, int]:
    """Per event the number of places."""
    found = {}
    for event, alone in codes(uid).items():
        places = compiled.uids_in(shared[event])
        found[event] = len(places) if compiled.of_uid(shared[event], places, uid) == alone else -1
    return found


if __name__ == "__main__":
    of_all = codes(compiled.ANY_UID)
    print(json.dumps({uid: compared(int(uid), of_all) for uid in sys.argv[1:]}))
