"""Runs a program under a seccomp filter that refuses one system call, as containers and sandboxes do.

`python filtered.py bpf|perf_event_open EPERM|ENOSYS|kill PROGRAM…`; exits with 98 where no filter can be set.
"""

import ctypes
import errno
import os
import struct
import sys

NUMBERS = {"x86_64": {"bpf": 321, "perf_event_open": 298}, "aarch64": {"bpf": 280, "perf_event_open": 241}}
KILL_PROCESS, ERRNO, ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
PR_SET_SECCOMP, MODE_FILTER, PR_SET_NO_NEW_PRIVS = 22, 2, 38
LOAD, EQUAL, GIVE = 0x20, 0x15, 0x06


def refuse(call: str, how: str) -> None:
    """Set the filter; who is not root needs no_new_privs for that (man 2 seccomp)."""
    number = NUMBERS[os.uname().machine][call]
    action = KILL_PROCESS if how == "kill" else ERRNO | getattr(errno, how)
    steps = ((LOAD, 0, 0, 0), (EQUAL, 0, 1, number), (GIVE, 0, 0, action), (GIVE, 0, 0, ALLOW))
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code)))
    libc = ctypes.CDLL(None)
    if os.geteuid() != 0:
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if libc.prctl(PR_SET_SECCOMP, MODE_FILTER, program, 0, 0):
        sys.exit(98)


if __name__ == "__main__":
    refuse(sys.argv[1], sys.argv[2])
    os.execv(sys.argv[3], sys.argv[3:])
