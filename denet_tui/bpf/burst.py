"""A known number of one system call, made by a child that is watched, and how many of them were counted."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from denet_tui.model import ABI_NATIVE
from denet_tui.syscalls import syscall

if TYPE_CHECKING:
    from denet_tui.bpf.tracer import Tracer

CALLS = 1000
PORTION = 50
Grown = Callable[[int, int], None]
_PR_SET_NAME = 15
_libc = ctypes.CDLL(None, use_errno=True)
"""Opened before any fork: in a child of a process with threads, the dynamic linker's lock may be held for ever."""


class Outcome(NamedTuple):
    """What was made and what was counted; `errnos` maps errno to its count."""

    name: str
    made: int
    counted: int
    expected_errnos: dict[int, int]
    errnos: dict[int, int]
    loss: str

    def to_json(self) -> dict[str, Any]:
        """As the prober tells it."""
        return {**self._asdict(), "expected_errnos": [*self.expected_errnos.items()], "errnos": [*self.errnos.items()]}

    @classmethod
    def of_json(cls, said: dict[str, Any]) -> Outcome:
        """From `to_json`."""
        return cls(**{**said, "expected_errnos": dict(said["expected_errnos"]), "errnos": dict(said["errnos"])})

    @property
    def exact(self) -> bool:
        """Whether every call and every errno was counted, and nothing more."""
        return self.made == self.counted and self.errnos == self.expected_errnos and not self.loss


def count(tracer: Tracer, number: int, grown: Grown | None = None) -> Outcome:
    """Make and count CALLS native calls of `number`, with -1 as first argument; OSError where the kernel refuses.

    `grown` is called after each PORTION of them with the calls made and the calls counted so far.
    """
    call = syscall(ABI_NATIVE, number)
    portion = PORTION if grown else CALLS
    name_in_namespace = tracer.expect(held=False)
    child = os.fork()
    if child == 0:
        _make_calls(number, name_in_namespace, portion)
    counted, errnos, losses = 0, Counter[int](), []
    try:
        os.waitpid(child, os.WUNTRACED)  # it has stopped: none of its own calls is still to come
        tracer.hold(child, held=False)
        status = 0
        for made in range(portion, CALLS + portion, portion):
            os.kill(child, signal.SIGCONT)
            status = os.waitpid(child, os.WUNTRACED)[1]
            reading = tracer.read()
            counted += sum(rows[call].calls for rows in reading.rows.values() if call in rows)
            for mine in reading.errnos.values():
                errnos.update({key[1]: seen for key, seen in mine.items() if key[0] == call})
            losses += [reading.loss.counted] if reading.loss.counted else []
            if grown:
                grown(made, counted)
            if not os.WIFSTOPPED(status):
                break
    except BaseException:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        raise
    code = os.waitstatus_to_exitcode(status)
    return Outcome(call.name, CALLS, counted, {code: CALLS} if code > 0 else {}, dict(errnos), "; ".join(losses))


def show_yourself(name: str) -> None:
    """Take the name that the kernel side waits for, and fork once: see kernel/namespaces.c."""
    _libc.prctl(_PR_SET_NAME, name.encode(), 0, 0, 0)
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def _make_calls(number: int, name: str, portion: int) -> NoReturn:
    """In the child: stop until watched, make the calls, stopping before each portion, and exit with their errno."""
    failed = 255
    try:
        signal.signal(signal.SIGCONT, signal.SIG_DFL)  # a screen's handler would set the terminal up once more
        if name:
            show_yourself(name)
        call, arguments = _libc.syscall, (ctypes.c_long(number), -1, 0, 0, 0, 0, 0)
        failed, me = 0, os.getpid()
        for index in range(CALLS):
            if not index % portion:
                os.kill(me, signal.SIGSTOP)
            if call(*arguments) == -1:
                failed = ctypes.get_errno()
    finally:
        os._exit(failed)
