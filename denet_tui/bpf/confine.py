"""What a process of ours that holds descriptors of the kernel side takes from itself, for good."""

from __future__ import annotations

import ctypes
import errno
import re
import struct
from pathlib import Path

from denet_tui.bpf import maps
from denet_tui.system import uname

_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 4, 38
_SET_MODE_FILTER, _FLAG_TSYNC = 1, 1
_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7, "riscv64": 0xC00000F3, "ppc64le": 0xC0000015,
                  "s390x": 0x80000016}  # fmt: skip
"""AUDIT_ARCH_* (include/uapi/linux/audit.h)."""
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
"""Of classic BPF: ld [k], jeq, jge, ret."""
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16 if struct.pack("=H", 1) == b"\1\0" else 20
"""Offsets in struct seccomp_data; of the first argument the lower half, which is what bpf(2) and prctl(2) take."""
_SECOND_ARGUMENT = _FIRST_ARGUMENT + 8
_X32_BIT = 0x40000000
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
_READING_AND_UPDATING = (
    maps.LOOKUP, maps.UPDATE, maps.DELETE, maps.NEXT_KEY, maps.OBJECT_INFO, maps.LOOKUP_BATCH, maps.DELETE_BATCH
)  # fmt: skip
_libc = ctypes.CDLL(None, use_errno=True)


def protect() -> None:
    """Keep other processes of this user from tracing this one and from taking its descriptors (pidfd_getfd).

    Before it gives capabilities away: until then they protect it (man 2 ptrace). An execve takes it back.
    """
    _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def traced_by() -> int:
    """The process that traces a thread of this one (strace, gdb), 0 where there is none.

    One that was there before `protect` stays, and can do all that this process can; after it none comes that may not
    trace all processes.
    """
    statuses = (each.read_text(encoding="utf-8", errors="replace") for each in Path("/proc/self/task").glob("*/status"))
    return max(int(pid) for status in statuses for pid in re.findall(r"^TracerPid:\s*(\d+)", status, re.MULTILINE))


def confine() -> None:
    """Leave all threads of this process, for ever, of bpf(2) what reading and updating maps takes; no new privileges.

    Also refused are perf_event_open, all calls of foreign ABIs, and being traced again. Inherited by what this
    process starts from now on.
    """
    protect()
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    try:
        code = b"".join(_filter(uname.machine()))
        instructions = ctypes.create_string_buffer(code, len(code))
        program = ctypes.create_string_buffer(struct.pack("@HP", len(code) // 8, ctypes.addressof(instructions)))
        maps.system_call("seccomp", _SET_MODE_FILTER, _FLAG_TSYNC, ctypes.addressof(program))
    except (OSError, KeyError) as error:  # no seccomp here: what is left is what the descriptors themselves refuse
        import logging

        logging.getLogger("denet_tui").warning("bpf(2) is not filtered in this process: %s", error)


def _filter(machine: str) -> list[bytes]:
    """The filter, one instruction after the other."""
    commands = _READING_AND_UPDATING
    head = [
        _instruction(_LOAD, _ARCHITECTURE),
        _instruction(_EQUAL, _ARCHITECTURES[machine], yes=1),
        _instruction(_RETURN, _REFUSE),
        _instruction(_LOAD, _NUMBER),
    ]
    if machine == "x86_64":
        head += [_instruction(_AT_LEAST, _X32_BIT, no=1), _instruction(_RETURN, _REFUSE)]
    return [
        *head,
        _instruction(_EQUAL, maps.number_of("perf_event_open"), no=1),
        _instruction(_RETURN, _REFUSE),
        _instruction(_EQUAL, maps.number_of("prctl"), no=6),
        _instruction(_LOAD, _FIRST_ARGUMENT),
        _instruction(_EQUAL, _PR_SET_DUMPABLE, no=3),
        _instruction(_LOAD, _SECOND_ARGUMENT),
        _instruction(_EQUAL, 0, yes=1),
        _instruction(_RETURN, _REFUSE),
        _instruction(_RETURN, _ALLOW),
        _instruction(_EQUAL, maps.number_of("bpf"), yes=1),
        _instruction(_RETURN, _ALLOW),
        _instruction(_LOAD, _FIRST_ARGUMENT),
        *(_instruction(_EQUAL, command, yes=len(commands) - at) for at, command in enumerate(commands)),
        _instruction(_RETURN, _REFUSE),
        _instruction(_RETURN, _ALLOW),
    ]


def _instruction(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    """A struct sock_filter; `yes` and `no` are how many instructions are passed over."""
    return struct.pack("=HBBI", code, yes, no, value)
