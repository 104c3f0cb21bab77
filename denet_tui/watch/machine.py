"""The whole machine: every process there is, and every process that comes."""

from __future__ import annotations

import os
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from denet_tui.bpf.facts import hides_others, in_pid_namespace
from denet_tui.bpf.request import SIZES, scale_for
from denet_tui.bpf.tracer import Tracer
from denet_tui.model import RunInfo
from denet_tui.watch.cgroups import Cgroup
from denet_tui.watch.launch import Options, Start, StartError
from denet_tui.watch.processes import all_pids, stat
from denet_tui.watch.worker import Attached


class Listed(NamedTuple):
    """A living process as /proc has it."""

    pid: int
    parent: int
    born: int
    """Clock ticks since boot."""
    owner: int
    """Effective uid."""
    kernel: bool
    """A kernel thread: it makes no system calls."""


class Machine(Attached):
    """In the place of one process: it has no end, and nothing ends it."""

    def poll(self, seconds: float) -> bool:
        """Wait that long."""
        time.sleep(max(0.0, seconds))
        return False


def scale(options: Options) -> int:
    """How large the maps have to be, for as many processes and threads as there are now, and as many again twice."""
    processes = len(all_pids())
    threads = int(Path("/proc/loadavg").read_text(encoding="ascii").split()[3].partition("/")[2])
    wanted = {"ERRNOS": 24 * processes, "SLOTS": 2 * threads, "TASKS": 2 * threads, "PROCESSES": 4 * processes}
    if options.rows == SIZES["ROWS"]:
        wanted["ROWS"] = 48 * processes
    return scale_for(wanted)


def watch_everything(
    start: Start, say: Callable[[int], None], interval_s: float = 0.5, within: Cgroup | None = None
) -> tuple[RunInfo, Tracer, Attached]:
    """Watch every process of this machine but this one and its children; raises StartError, LoadError.

    `within` a cgroup alone; where the options name a user, that one's alone. `say` is called with the number of
    processes there are, before they are entered.

    The kernel side watches whatever makes a call, forks or executes from here on, so that none has to be found.
    Those that are there already are entered one by one, so that the idle ones show as well.
    """
    if in_pid_namespace():
        raise StartError(
            "inside a PID namespace (a container) the processes of the machine cannot be named to the kernel: "
            "run denet-tui outside, or watch a command with `denet-tui run`"
        )
    tracer = start.tracer()
    tracer.by_user = bool(start.options.user)
    title = f"cgroup {within.path}" if within else "whole machine"
    if start.options.user:
        title = f"processes of {start.runner.name}" + (f" in {title}" if within else "")
    info = start.info((title,), title, 0, tracer, interval_s)
    try:
        tracer.watch_everyone(within.key if within else None)
    except FileNotFoundError:
        raise StartError(f"{title} has gone while the program was loaded") from None
    there = within.processes() if within else all_pids()
    say(len(there))
    enter(tracer, listed(there - {os.getpid()}), start.only_uid)
    return info._replace(notes=(*info.notes, *_notes(start))), tracer, Machine()


def enter(tracer: Tracer, found: Iterable[Listed], only_uid: int | None = None) -> None:
    """Watch these, but for denet-tui's own and kernel threads; of `only_uid` alone where that is given."""
    for each in found:
        ours = each.parent == os.getpid()  # the supervisor, and the loader
        if ours or each.kernel or only_uid not in (None, each.owner):
            continue
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            tracer.attach(each.pid, each.parent)


def listed(wanted: Iterable[int]) -> list[Listed]:
    """What /proc says about these processes, parents before their children; without those that have ended."""
    found = {each.pid: each for each in map(_listed, wanted) if each is not None}
    children: defaultdict[int, list[Listed]] = defaultdict(list)
    for each in sorted(found.values(), key=lambda each: (each.born, each.pid)):
        children[each.parent if each.parent in found else 0].append(each)
    todo, ordered = deque(children[0]), []
    while todo:
        each = todo.popleft()
        ordered.append(each)
        todo.extend(children[each.pid])
    return ordered


def _listed(pid: int) -> Listed | None:
    """None for what has ended, and for what this user may not see."""
    try:
        found, owner = stat(pid), Path(f"/proc/{pid}").stat().st_uid
    except OSError:
        return None
    if found.ended:
        return None
    return Listed(pid, found.parent, found.born, owner, found.kernel)


def _notes(start: Start) -> list[str]:
    notes = ["denet-tui itself is not counted"]
    if start.only_uid is not None and not start.options.user:
        notes.append(f"only the processes of {start.invoker.name} are counted: denet-tui was not started by root")
    if hides_others() and start.only_uid is None:
        notes.append("/proc hides the processes of others here (hidepid): those show with their first call")
    return notes
