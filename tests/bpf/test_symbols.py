"""bcc makes the same program of a few symbols of the kernel as of all, and nobody else gets to see the few."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.real import REPOSITORY

pytestmark = pytest.mark.root

SYMBOLS = Path("/proc/kallsyms")
COMPILED = """
import hashlib, os, sys
from pathlib import Path
from denet_tui.bpf import compiled, loader, macros, symbols, toolchain
from denet_tui.bpf.request import Request
if sys.argv[1] == "few":
    symbols.leave_few()
flags, _ = macros.flags_for(Request("raw", detail="all"), 1234, {})
module = loader.compile_program(toolchain.load(toolchain.find()), flags, loader.program_text())
codes = []
for event in ("sys_enter", "sys_exit", "task_newtask", "sched_process_exec", "sched_process_exit", "sched_switch"):
    code = bytearray(compiled.code_of(module, event))
    for at, _ in compiled.map_uses(code):
        code[at + 4 : at + 8] = bytes(4)  # the descriptor of a map
    codes.append(bytes(code))
print(len(Path("/proc/kallsyms").read_text().splitlines()), hashlib.sha256(b"".join(codes)).hexdigest())
sys.stdout.flush()
os._exit(0)
"""


def compiled(symbols: str) -> tuple[int, str]:
    """How many symbols there were, and a digest of what was compiled."""
    script = [sys.executable, "-c", COMPILED, symbols]
    done = subprocess.run(script, capture_output=True, text=True, timeout=120, cwd=REPOSITORY, check=True)
    number, digest = done.stdout.split()
    return int(number), digest


@pytest.mark.slow
def test_the_same_is_compiled_of_few_symbols_and_they_stay_inside() -> None:
    space = Path("/proc/self/ns/mnt").readlink()
    every, few = compiled("all"), compiled("few")
    assert few[0] == 2 < every[0]
    assert few[1] == every[1]
    assert Path("/proc/self/ns/mnt").readlink() == space
    assert len(SYMBOLS.read_text().splitlines()) > 1000
