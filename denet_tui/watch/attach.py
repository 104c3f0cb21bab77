"""Running processes, each with its living descendants, watched from now on."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from denet_tui.bpf import accounts, facts, maps, privilege
from denet_tui.bpf.tracer import Tracer
from denet_tui.model import RunInfo
from denet_tui.system import called
from denet_tui.watch.launch import Start, StartError, command_line
from denet_tui.watch.processes import descendants, stat, used_by_threads
from denet_tui.watch.worker import Attached

_NAMED = 3
"""Of several processes: how many stand in the title of a run."""


def attach_processes(start: Start, pids: Sequence[int], interval_s: float = 0.5) -> tuple[Attached, Tracer, RunInfo]:
    """Running processes and their living descendants, watched from now on; raises StartError, LoadError.

    Of several those that end before that are left out, which a note says.
    """
    attached = Attached()
    titles = [_add(start, attached, pid) for pid in pids]
    argv = tuple(command_line(pids[0])) or (f"[{pids[0]}]",)
    if len(pids) > 1:
        more = f" and {len(pids) - _NAMED:,} more" if len(pids) > _NAMED else ""
        argv = (", ".join(titles[:_NAMED]) + more,)
    tracer = start.tracer()
    attached.poll(0)  # while the program was loaded: the id of one that has ended may be another's by now
    info = start.info(argv, argv[0], pids[0] if len(pids) == 1 else 0, tracer, interval_s)  # it begins before any of it
    try:
        table = maps.Map(start.load().maps["accounts"])
        entered = {pid for pid in attached.living if _enter(tracer, table, pid)}
    except NotImplementedError:
        raise StartError(
            "inside a PID namespace (a container) a running process cannot be named to the kernel: "
            "run denet-tui outside, or start the command with `denet-tui run`"
        ) from None
    if not entered:
        raise StartError(_ended(pids[0]))
    return attached, tracer, info._replace(notes=(*info.notes, *(_ended(pid) for pid in pids if pid not in entered)))


def _add(start: Start, attached: Attached, pid: int) -> str:
    """Take a process in; returns its name and id, raises StartError where it cannot be attached to."""
    uid = privilege.real_uid(pid)
    if uid is None:
        raise StartError(f"there is no process {pid}; see `ps -e` or `pgrep NAME`")
    if start.invoker.uid not in (0, uid) and not start.options.as_root:
        who = privilege.find_user(str(uid)).name
        how = called.how_as_root("attach", "--as-root", str(pid))
        how = "to watch it add --as-root" if start.privileged else f"only root may watch it: {how}"
        raise StartError(f"process {pid} belongs to {who}, not to {start.invoker.name}; {how}")
    if (process := _process_of(pid)) != pid:
        raise StartError(f"{pid} is a thread of process {process}: use `denet-tui attach {process}`")
    try:
        attached.add(pid)
        found = stat(pid)
    except ProcessLookupError:
        raise StartError(_ended(pid)) from None
    if found.kernel:
        raise StartError(f"process {pid} ({found.comm}) is a thread of the kernel: it makes no system calls")
    if found.ended:
        raise StartError(f"process {pid} has ended: it only waits for its parent to take note; see `ps -e`")
    return f"{found.comm} ({pid})"


def _ended(pid: int) -> str:
    return f"process {pid} ended before it could be watched; `denet-tui run -- COMMAND` sees all of what lives briefly"


def _process_of(tid: int) -> int:
    """The id of the process that a thread is of; the same id for a process, and where there is neither."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{tid}/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("Tgid:"):
                return int(line.split()[1])
    return tid


def _enter(tracer: Tracer, table: maps.Map, pid: int) -> bool:
    """Watch a process and its descendants, as far as they can be seen; False if it has just ended.

    Raises NotImplementedError.
    """
    tracer.overlooks = facts.hides_others()
    seen: set[int] = set()
    family = [(pid, 0)]
    while family:  # again until none is new: a child may have been born before its parent was entered
        for member, parent in family:
            seen.add(member)
            begun = _begin_account(table, member)
            try:
                tracer.attach(member, parent)
            except (FileNotFoundError, ProcessLookupError):
                if member == pid:
                    return False
                continue
            if begun:
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    accounts.check(table, member, len(os.listdir(f"/proc/{member}/task")))  # noqa: PTH208
        family = [each for each in descendants(pid) if each[0] not in seen]
    return True


def _begin_account(table: maps.Map, tgid: int) -> bool:
    """False if that is not possible: what the process will have used is not known then."""
    try:
        return accounts.open_for_running(table, tgid, used_by_threads(tgid))
    except OSError:  # a thread has just ended
        return False
