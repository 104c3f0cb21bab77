"""Which calls take a path: as strace knows them, and as the kernel has them where they fail."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from denet_tui.bpf import file_calls
from denet_tui.syscalls import numbers
from denet_tui.touched import NOT_IN_FILES
from tests.real import run_summary

pytestmark = pytest.mark.root

PYTHON = str(Path(sys.executable).resolve())
NOT_TOLD = {
    "getcwd": "it fills in a path, and is given none",
    "fsconfig": "its value is a path for one of its commands alone",
}
"""Calls that strace counts among those on files."""
EACH = """
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
done = [9, 11, 12, 28, 202, 231]  # Python's own, for memory, and its end; no other is let through to the kernel
code = [(0x20, 0, 0, 0), *((0x15, len(done) - at, 0, number) for at, number in enumerate(done))]
code += [(0x06, 0, 0, 0x00050000 | 38), (0x06, 0, 0, 0x7FFF0000)]
filters = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *each) for each in code))
program = ctypes.create_string_buffer(struct.pack("<HxxxxxxQ", len(code), ctypes.addressof(filters)))
assert libc.prctl(38, 1, 0, 0, 0) == libc.prctl(22, 2, program, 0, 0) == 0
for number in map(int, sys.argv[1:]):
    if number not in done:
        libc.syscall(number, 0, 0, 0, 0, 0, 0)
os._exit(0)
"""
"""Makes each call by its number, and a seccomp filter refuses it where strace has seen it already."""


@pytest.mark.skipif("open" not in numbers(), reason="has numbers of x86-64")
def test_they_are_all_that_strace_knows(tmp_path: Path) -> None:
    if not shutil.which("strace"):
        pytest.skip("needs strace, which this is compared with")
    known = {name: number for name, number in numbers().items() if number not in range(335, 424)}  # 335 ends its caller
    log = tmp_path / "log"
    traced = ["strace", "-qq", "-e", "trace=%file", "-o", str(log), PYTHON, "-S", "-c", EACH]
    subprocess.run([*traced, *map(str, known.values())], check=True, timeout=60)
    theirs = set(re.findall(r"^(\w+)\(.*ENOSYS", log.read_text(), re.MULTILINE)) & known.keys()
    assert len(theirs) > 50
    classes = file_calls.classes()
    ours = {name for name, number in known.items() if classes.get(number, 0) & file_calls.HAS_PATH}
    assert theirs - ours == theirs & NOT_TOLD.keys()
    assert not ours & NOT_TOLD.keys()


FAILS = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
named = {"below": os.open("/usr", os.O_PATH), "notified": libc.fanotify_init(0, 0)}
libc.mq_open(b"/nope", 0)
libc.mq_unlink(b"/nope")
for number, arguments in eval(sys.argv[1]):
    arguments = [named[each] if isinstance(each, str) else each for each in arguments]
    assert libc.syscall(number, *arguments) == -1
"""
CALLS = {
    "quotactl": ([0x80000100, b"/nowhere/device", 0, 0], "/nowhere/device"),
    "uselib": ([b"/nowhere/library"], "/nowhere/library"),
    "fspick": (["below", b"nope", 0], "/usr/nope"),
    "mount_setattr": (["below", b"nope", 0, b"\1" + b"\0" * 31, 32], "/usr/nope"),
    "setxattrat": (["below", b"nope", 0, b"user.x", b"\0" * 16, 16], "/usr/nope"),
    "getxattrat": (["below", b"nope", 0, b"user.x", b"\0" * 16, 16], "/usr/nope"),
    "listxattrat": (["below", b"nope", 0, None, 0], "/usr/nope"),
    "removexattrat": (["below", b"nope", 0, b"user.x"], "/usr/nope"),
    "open_tree_attr": (["below", b"nope", 0, b"\1" + b"\0" * 31, 32], "/usr/nope"),
    "file_getattr": (["below", b"nope", b"\0" * 24, 24, 0], "/usr/nope"),
    "file_setattr": (["below", b"nope", b"\0" * 24, 24, 0], "/usr/nope"),
    "fanotify_mark": (["notified", 1, 1, "below", b"nope"], "/usr/nope"),
}


def test_the_rarer_ones_are_told_where_they_fail(tmp_path: Path) -> None:
    known = {name: each for name, each in CALLS.items() if name in numbers()}
    calls = [(numbers()[name], arguments) for name, (arguments, _) in known.items()]
    status, found = run_summary([PYTHON, "-S", "-c", FAILS, repr(calls)], tmp_path, "--detail", "files")
    assert status == 0
    told = {each["syscall"]: each["path"] for each in found["failed_paths"]}
    expected = {name: path for name, (_, path) in known.items()} | {"mq_open": "/nope", "mq_unlink": "/nope"}
    assert {name: told.get(name) for name in expected} == expected


MOVE = """
    read readv pread64 preadv preadv2 write writev pwrite64 pwritev pwritev2 sendto recvfrom sendmsg recvmsg sendmmsg
    recvmmsg sendfile splice copy_file_range getdents getdents64 mmap vmsplice tee io_submit io_uring_enter
    process_vm_readv process_vm_writev mq_timedsend mq_timedreceive
"""
"""What moves bytes from or to what a descriptor stands for, or another process's memory."""


def test_what_moves_bytes_is_counted_or_is_said_not_to_be() -> None:
    classes = file_calls.classes()
    known = {name: classes.get(numbers()[name], 0) for name in MOVE.split() if name in numbers()}
    said = set(re.findall(r"\w+", NOT_IN_FILES.replace("io_uring", "io_uring_enter")))
    assert {name for name, does in known.items() if not does & file_calls.HAS_BYTES} == said & known.keys()
