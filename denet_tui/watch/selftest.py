"""The self-test: a process makes 1,000 known calls, and what was counted is compared with that."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
from typing import NamedTuple, NoReturn

from denet_tui.bpf.names import numbers, syscall
from denet_tui.bpf.tracer import Tracer
from denet_tui.model import ABI_NATIVE
from denet_tui.watch.keeper import show_yourself

CALLS = 1000

_ON_BAD_DESCRIPTOR = (
    "read write close lseek fstat fsync fdatasync dup fcntl ioctl getdents64 pread64 pwrite64 readv writev ftruncate"
    " fchmod fchown fchdir flock getsockname getpeername listen accept recvfrom sendto shutdown"
)
_WITHOUT_EFFECT = "getpid getppid gettid getuid geteuid getgid getegid getpgrp sched_yield sync_file_range getrandom"
HARMLESS = (*_ON_BAD_DESCRIPTOR.split(), *_WITHOUT_EFFECT.split())
"""Calls that change nothing when their first argument is -1: they fail with EBADF, or take no argument."""


class Outcome(NamedTuple):
    """What was made and what was counted; `errnos` maps errno to its count."""

    name: str
    made: int
    counted: int
    expected_errnos: dict[int, int]
    errnos: dict[int, int]
    loss: str

    @property
    def exact(self) -> bool:
        """True where every call and every errno was counted, and nothing more."""
        return self.made == self.counted and self.errnos == self.expected_errnos and not self.loss


def run(tracer: Tracer, name: str) -> Outcome:
    """Make and count CALLS calls of `name` (one of HARMLESS); raises ValueError for any other."""
    if name not in HARMLESS or name not in numbers():
        raise ValueError(f"{name!r} cannot be called without effect; choose one of: {' '.join(sorted(HARMLESS))}")
    number = numbers()[name]
    name_in_namespace = tracer.expect(held=False)
    child = os.fork()
    if child == 0:
        _make_calls(number, name_in_namespace)
    try:
        os.waitpid(child, os.WUNTRACED)  # it has stopped: none of its own calls is still to come
        if name_in_namespace:
            tracer.hold(child)
        else:
            tracer.attach(child)
        os.kill(child, signal.SIGCONT)
    except OSError:
        os.kill(child, signal.SIGKILL)
        raise
    finally:
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    reading = tracer.read()
    call = syscall(ABI_NATIVE, number)
    counted = sum(rows[call].calls for rows in reading.rows.values() if call in rows)
    errnos = {key[1]: count for mine in reading.errnos.values() for key, count in mine.items() if key[0] == call}
    expected = {code: CALLS} if code > 0 else {}
    return Outcome(name, CALLS, counted, expected, errnos, reading.loss.describe())


def _make_calls(number: int, name: str) -> NoReturn:
    """In the child: stop until watched, make the calls, and exit with their errno."""
    failed = 255
    try:
        if name:
            show_yourself(name)
        call, arguments = ctypes.CDLL(None, use_errno=True).syscall, (ctypes.c_long(number), -1, 0, 0, 0, 0, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
        failed = 0
        for _ in range(CALLS):
            if call(*arguments) == -1:
                failed = ctypes.get_errno()
    finally:
        os._exit(failed)


def explain(outcome: Outcome) -> str:
    """The outcome in one or two lines."""
    words = ", ".join(f"{errno.errorcode.get(number, number)} {count:,}" for number, count in outcome.errnos.items())
    line = f"{outcome.name}: {outcome.made:,} calls made, {outcome.counted:,} counted" + (
        f" ({words})" if words else ""
    )
    return line + (": exact" if outcome.exact else f": NOT exact{'; ' + outcome.loss if outcome.loss else ''}")
