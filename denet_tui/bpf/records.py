"""A watched process as the kernel side's record has it (struct process in kernel/maps.c); times in ns."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from denet_tui.bpf import accounts, names

PROCESS = struct.Struct("<5Q6I16s128sI4x")
_UNKNOWN_STATUS = 0xFFFFFFFF
_LEAVING_NS = 2_000_000_000
"""A process that takes longer from its end until its account is complete has none."""


class Process(NamedTuple):
    """A watched process as the kernel side knows it; `end_ns` and `exec_ns` are 0 until it happens."""

    tgid: int
    parent: int
    start_ns: int
    end_ns: int
    exec_ns: int
    threads: int
    execs: int
    status: int | None
    """Wait status; None if the kernel side cannot know it (no BTF)."""
    comm: str
    cmdline: tuple[str, ...]
    pid: int
    """As this process's PID namespace has it; the tgid itself in the initial one."""
    account: accounts.Account | None = None
    """Of one that has ended, of the command, and of what has had children; None if there is none."""
    parental: bool = False
    """Whether it has had children: /proc adds what those have used that were waited for."""
    cut: bool = False
    """Whether its command line goes on."""

    @property
    def leaving(self) -> bool:
        """Whether it has ended, and its account is not complete yet."""
        return bool(self.end_ns and self.account and not self.account.complete)


def process_of(row: bytes) -> Process:
    """From its tgid and its record."""
    (tgid,) = struct.unpack_from("<I", row)
    fields = PROCESS.unpack_from(row, 4)
    start, end, execed, _, _, parent, threads, execs, status, length, _, comm, cmdline, pid = fields
    ending = None if status == _UNKNOWN_STATUS else status
    name, cut = names.comm(comm), names.is_cut(length)
    words = names.words(cmdline[:length], cut=cut)
    return Process(tgid, parent, start, end, execed, threads, execs, ending, name, words, pid, cut=cut)


def endings(
    processes: Iterable[Process], with_threads: Collection[int], now_ns: int, *, running: bool
) -> Iterator[Process]:
    """Those that have ended; what still takes a CPU to do so has not, unless it takes long or this is the last look."""
    for process in processes:
        goes_on = process.tgid in with_threads
        if not process.end_ns or (running and (goes_on or process.leaving) and now_ns < process.end_ns + _LEAVING_NS):
            continue
        yield process._replace(end_ns=now_ns) if goes_on else process
