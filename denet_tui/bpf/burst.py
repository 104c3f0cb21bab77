"""A known number of one system call, made by a child that is watched, and how many of them were counted."""

from __future__ import annotations

import ctypes
import os
import signal
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from denet_tui.bpf.names import syscall
from denet_tui.model import ABI_NATIVE

if TYPE_CHECKING:
    from denet_tui.bpf.tracer import Tracer

CALLS = 1000
_PR_SET_NAME = 15


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


def count(tracer: Tracer, number: int) -> Outcome:
    """Make and count CALLS native calls of `number`, with -1 as first argument; OSError where the kernel refuses."""
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
    return Outcome(call.name, CALLS, counted, expected, errnos, reading.loss.describe())


def show_yourself(name: str) -> None:
    """Take the name that the kernel side waits for, and fork once: see PID_NAMESPACE in syscalls.c."""
    ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode(), 0, 0, 0)
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


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
