"""The threads of a running process, as far as the kernel side has to know them before it meets them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from denet_tui.system import clock

_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_PF_EXITING = 0x00000004
"""include/linux/sched.h."""


class Thread(NamedTuple):
    """A thread that has not begun to end; `state` as in /proc/PID/stat (man 5 proc_pid_stat)."""

    tid: int
    state: str
    least_born_ns: int
    """Its start is in the clock tick from here on, in ns since boot."""


def threads(tgid: int) -> list[Thread]:
    """All of them, the leader first; raises FileNotFoundError where none is left.

    The leader stands for the process, and is there also where it has ended itself.
    """
    found, shift_ns = [], clock.shift_ns("boottime")  # /proc moves the start of a process by that
    for tid in sorted(map(int, os.listdir(f"/proc/{tgid}/task")), key=lambda tid: (tid != tgid, tid)):  # noqa: PTH208
        try:
            fields = Path(f"/proc/{tgid}/task/{tid}/stat").read_bytes().rpartition(b")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        ending = int(fields[6]) & _PF_EXITING
        if tid == tgid or not ending:
            least_born_ns = max(int(fields[19]) * _TICK_NS - shift_ns, 0)
            found.append(Thread(tid, "X" if ending else fields[0].decode(), least_born_ns))
    if all(thread.state == "X" for thread in found):
        raise FileNotFoundError(f"process {tgid} has ended")
    return found
