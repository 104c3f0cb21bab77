"""Children that use CPU, memory and disks in known shapes; prints what wait4 says of each, as JSON, by pid.

Run by the tests as `python -m tests.watch.uses FOLDER`: what wait4 says comes from the kernel's own accounts.
"""

from __future__ import annotations

import json
import mmap
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

FOLDER = Path(sys.argv[1])
BURNS = "n = 0\nwhile n < 400_000: n += 1"


def burn() -> None:
    exec(BURNS)


def touch() -> None:
    area = mmap.mmap(-1, 64 << 20)
    for page in range(0, len(area), mmap.PAGESIZE):
        area[page] = 1


def write() -> None:
    with (FOLDER / f"written-{os.getpid()}").open("wb") as file:
        file.write(bytes(8 << 20))
        file.flush()
        os.fsync(file.fileno())


def read() -> None:
    path = FOLDER / "read"
    path.write_bytes(bytes(4 << 20))
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        file.read()


def threads() -> None:
    some = [threading.Thread(target=burn) for _ in range(4)]
    for each in some:
        each.start()
    for each in some:
        each.join()


def leader_first() -> None:
    """The leader ends, and another thread goes on: pthread_exit in the main thread."""
    import ctypes

    def last() -> None:
        burn()
        os._exit(0)

    threading.Thread(target=last).start()
    exit_alone = 60 if os.uname().machine == "x86_64" else 93
    ctypes.CDLL(None).syscall(ctypes.c_long(exit_alone), 0)


def nothing() -> None:
    """As short as it gets."""


def another_program() -> None:
    os.execv("/bin/true", ["true"])


SHAPES: tuple[Callable[[], None], ...] = (
    *(nothing,) * 10, *(burn,) * 3, touch, *(write,) * 2, read, *(threads,) * 2, *(another_program,) * 5, leader_first,
)  # fmt: skip


def main() -> None:
    told = {}
    for shape in SHAPES:
        pid = os.fork()
        if pid == 0:
            try:
                shape()
            finally:
                os._exit(0)
        _, _, used = os.wait4(pid, 0)
        told[pid] = {
            "shape": shape.__name__,
            "cpu_ns": round((used.ru_utime + used.ru_stime) * 1e9),
            "minor_faults": used.ru_minflt,
            "major_faults": used.ru_majflt,
            "read_bytes": used.ru_inblock * 512,
            "write_bytes": used.ru_oublock * 512,
            "max_rss_bytes": used.ru_maxrss * 1024,
        }
    subprocess.run(["true"], check=True)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
