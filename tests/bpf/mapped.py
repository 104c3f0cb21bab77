"""Run by a test, as root: `python -m tests.bpf.mapped UID PROGRAM..` in a user namespace of root's making, in which UID
of the machine is root with all capabilities.
"""

import ctypes
import os
import sys
from pathlib import Path

CLONE_NEWUSER, PR_SET_DUMPABLE = 0x10000000, 4
uid, *argv = sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)
made, entered = os.pipe(), os.pipe()
child = os.fork()
if child == 0:
    libc.unshare(CLONE_NEWUSER)
    os.write(made[1], b"x")
    os.read(entered[0], 1)
    os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
    os.execvp(argv[0], argv)
os.read(made[0], 1)
for name in ("uid_map", "gid_map"):
    Path(f"/proc/{child}/{name}").write_text(f"0 {uid} 1")
os.write(entered[1], b"x")
os.waitpid(child, 0)
