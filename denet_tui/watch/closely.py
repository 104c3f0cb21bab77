"""One process that lives, looked at more closely than all are, and signals to it."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

from denet_tui.bpf import names
from denet_tui.bpf.privilege import user_name
from denet_tui.detail import Seen
from denet_tui.model import ProcessInfo
from denet_tui.watch.processes import Stat, age_s, is_another, stat

THREADS = 20
"""Names that are read each time."""


def look(process: ProcessInfo) -> Seen | None:
    """Of this moment; None if there is no such process any more, or /proc hides it."""
    try:
        found = _same(process)
        folder = Path(f"/proc/{process.pid}")
        uid = int((folder / "status").read_bytes().partition(b"\nUid:")[2].split()[1])
    except OSError:
        return None
    threads, cwd = dict[int, str](), None
    with suppress(OSError):
        for tid in sorted(map(int, os.listdir(folder / "task")))[:THREADS]:  # noqa: PTH208 - names, not paths
            with suppress(OSError):  # it has just ended
                threads[tid] = names.comm((folder / f"task/{tid}/comm").read_bytes().removesuffix(b"\n"))
    with suppress(OSError):
        cwd = str((folder / "cwd").readlink())
    return Seen(uid, user_name(uid), cwd, round(age_s(found) * 1e9), threads)


def _same(process: ProcessInfo) -> Stat:
    """What /proc has of it; raises ProcessLookupError where its id is no process's or another's by now."""
    found = stat(process.pid)
    if found.ended or is_another(found, process.start_ns):
        raise ProcessLookupError(process.pid)
    return found


class Held:
    """A process that signals can be sent to, and to no other that may have its id one day."""

    def __init__(self, process: ProcessInfo) -> None:
        """Raises ProcessLookupError where it has ended, PermissionError where this user may not signal it."""
        self._pidfd = os.pidfd_open(process.pid)
        try:
            self.send(0)
            _same(process)  # looked at after it is held: what had the id before has ended by then
        except BaseException:
            self.close()
            raise

    def send(self, number: int) -> None:
        """Raises ProcessLookupError or PermissionError."""
        signal.pidfd_send_signal(self._pidfd, number)

    def close(self) -> None:
        """Let go of it."""
        os.close(self._pidfd)
