"""System calls made in a child and malformed on purpose: how the kernel turns them down shows what answered.

bpf(2) and perf_event_open(2) look at their arguments before they look at the caller (from Linux 5.19 for bpf), so
E2BIG or EINVAL means that the call arrived; any other answer came from in front of it: a seccomp filter.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Callable

from denet_tui.bpf import maps

_PROG_LOAD, _TOO_LARGE = 5, 1 << 20
"""A union bpf_attr of more than a page is E2BIG, whatever is in it."""
_NO_SUCH_FLAGS = (1 << 64) - 1
_PERF_TYPE_SOFTWARE, _PERF_COUNT_SW_DUMMY = 1, 9
_DISABLED, _EXCLUDE_KERNEL, _EXCLUDE_HV, _CLOEXEC = 1, 1 << 5, 1 << 6, 8
_PR_SET_DUMPABLE = 4
_libc = ctypes.CDLL(None, use_errno=True)


def bpf_malformed() -> int:
    """How a bpf(2) call that cannot work is answered: E2BIG by the kernel; see `in_child`."""
    return in_child(lambda: maps.system_call("bpf", _PROG_LOAD, 0, _TOO_LARGE))


def perf_malformed() -> int:
    """How a perf_event_open(2) call that cannot work is answered: EINVAL by the kernel; see `in_child`."""
    return in_child(lambda: maps.system_call("perf_event_open", 0, 0, -1, -1, _NO_SUCH_FLAGS))


def perf_harmless() -> int:
    """How an event that counts nothing, of the caller alone and outside the kernel, is answered; see `in_child`.

    The kernel as released gives it to every process, at every kernel.perf_event_paranoid; a distribution's patch
    refuses it with EACCES at its own levels above 2.
    """
    flags = _DISABLED | _EXCLUDE_KERNEL | _EXCLUDE_HV
    fields = struct.pack("<IIQQQQQ16x", _PERF_TYPE_SOFTWARE, 64, _PERF_COUNT_SW_DUMMY, 0, 0, 0, flags)
    attributes = ctypes.create_string_buffer(fields, len(fields))
    return in_child(lambda: maps.system_call("perf_event_open", ctypes.addressof(attributes), 0, -1, -1, _CLOEXEC))


def in_child(call: Callable[[], object]) -> int:
    """0 where the call worked, its errno, or minus the signal that ended the child; raises OSError without a child.

    A child, because a filter may end the caller; not dumpable, so that it leaves no core file behind.
    """
    pid = os.fork()
    if pid == 0:
        answer = 255
        try:
            _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
            call()
            answer = 0
        except OSError as error:
            answer = min(error.errno or 255, 255)
        finally:
            os._exit(answer)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)
