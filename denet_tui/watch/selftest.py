"""The self-test: a process makes 1,000 known calls, and what was counted is compared with that."""

from __future__ import annotations

import errno

from denet_tui.bpf import burst
from denet_tui.bpf.burst import Outcome
from denet_tui.bpf.names import numbers
from denet_tui.bpf.tracer import Tracer

_ON_BAD_DESCRIPTOR = (
    "read write close lseek fstat fsync fdatasync dup fcntl ioctl getdents64 pread64 pwrite64 readv writev ftruncate"
    " fchmod fchown fchdir flock getsockname getpeername listen accept recvfrom sendto shutdown"
)
_WITHOUT_EFFECT = "getpid getppid gettid getuid geteuid getgid getegid getpgrp sched_yield sync_file_range getrandom"
HARMLESS = (*_ON_BAD_DESCRIPTOR.split(), *_WITHOUT_EFFECT.split())
"""Calls that change nothing when their first argument is -1: they fail with EBADF, or take no argument."""


def run(tracer: Tracer, name: str) -> Outcome:
    """Make and count burst.CALLS calls of `name` (one of HARMLESS); raises ValueError for any other."""
    if name not in HARMLESS or name not in numbers():
        raise ValueError(f"{name!r} cannot be called without effect; choose one of: {' '.join(sorted(HARMLESS))}")
    return burst.count(tracer, numbers()[name])


def explain(outcome: Outcome) -> str:
    """The outcome in one or two lines."""
    words = ", ".join(f"{errno.errorcode.get(number, number)} {count:,}" for number, count in outcome.errnos.items())
    line = f"{outcome.name}: {outcome.made:,} calls made, {outcome.counted:,} counted" + (
        f" ({words})" if words else ""
    )
    return line + (": exact" if outcome.exact else f": NOT exact{'; ' + outcome.loss if outcome.loss else ''}")
