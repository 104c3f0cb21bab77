"""Run by a test, as root: `python -m tests.bpf.mapped UID INSIDE PROGRAM..` in a user namespace of root's making.

In it UID of the machine is INSIDE: as 0 it has all capabilities there, else none.
"""

import ctypes
import os
import sys
from pathlib import Path

CLONE_NEWUSER, PR_SET_DUMPABLE = 0x10000000, 4
uid, inside, *argv = sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)
made, entered = os.pipe(), os.pipe()
child = os.fork()
if child == 0:
    libc.unshare(CLONE_NEWUSER)
    os.write(made[1], b"x")
    os.read(entered[0], 1)
    os.setgroups([])
    os.setresgid(*[int(inside)] * 3)
    os.setresuid(*[int(inside)] * 3)
    libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
    os.execvp(argv[0], argv)
os.read(made[0], 1)
for name in ("uid_map", "gid_map"):
    Path(f"/proc/{child}/{name}").write_text(f"{inside} {uid} 1")
os.write(entered[1], b"x")
os.waitpid(child, 0)
