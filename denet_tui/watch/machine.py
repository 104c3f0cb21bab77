"""The whole machine: every process there is, entered one by one, and every process that they fork."""

from __future__ import annotations

import os
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from denet_tui.bpf.facts import in_pid_namespace
from denet_tui.bpf.request import SIZES, scale_for
from denet_tui.bpf.tracer import Reading, Tracer
from denet_tui.model import RunInfo
from denet_tui.watch.launch import Options, Start, StartError
from denet_tui.watch.processes import stat
from denet_tui.watch.worker import Attached, Session

SECONDS_BETWEEN_LOOKS = 2.0
"""How often /proc is searched for processes that are not watched."""
_MOST_PASSES = 50
_KTHREADD = 2
"""Parent of all kernel threads (init/main.c)."""


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
    starts_helpers: bool
    """A kernel thread that others come from, among them programs that the kernel itself starts (modprobe)."""


class Machine(Attached):
    """In the place of one process: it has no end, and nobody ends it."""

    def __init__(self) -> None:
        self.pid = 0

    def poll(self, seconds: float) -> bool:
        """Wait that long."""
        time.sleep(max(0.0, seconds))
        return False

    def close(self, policy: str = "leave") -> None:
        """Nothing was opened."""


class HiddenProcesses:
    """Hides watched processes that have nothing to show, until their first call: so do those that they fork.

    These are kernel threads, which are watched for the programs that the kernel starts.
    """

    def __init__(self, only_uid: int | None = None) -> None:
        """`only_uid`: whose processes alone are watched, the others are not even entered."""
        self.only_uid = only_uid
        self._hidden: set[int] = set()
        """tgids, as long as they are hidden."""
        self._shown: set[tuple[int, int]] = set()

    def meet(self, new: Listed) -> None:
        """Hide a process that was just entered, where it is to be hidden."""
        if new.kernel:
            self._hidden.add(new.pid)

    def without(self, reading: Reading) -> tuple[Reading, list[int]]:
        """The reading without what is hidden, and the tgids among the hidden that have ended."""
        shown, gone = [], []
        for process in sorted(reading.processes, key=lambda process: process.start_ns):  # parents before children
            key = process.tgid, process.start_ns
            if process.tgid in reading.rows or key in self._shown:
                self._hidden.discard(process.tgid)
            elif process.parent in self._hidden:
                self._hidden.add(process.tgid)
            if process.tgid not in self._hidden:
                shown.append(process)
            elif 0 < process.end_ns <= reading.time_ns:  # else it may have made calls since
                gone.append(process.tgid)
        self._shown = {(process.tgid, process.start_ns) for process in shown}
        self._hidden.difference_update(gone)
        return reading._replace(processes=shown), gone


class MachineSession(Session):
    """A session without an end, which also finds processes that got past the kernel side."""

    def __init__(self, info: RunInfo, tracer: Tracer, hidden: HiddenProcesses) -> None:
        super().__init__(info, tracer, Machine())
        self._hidden = hidden
        self._strangers: set[int] = set()
        self._threads: set[int] = set()
        """Those strangers that are kernel threads and stay strangers."""
        self._next_look = 0.0
        self._excused = 0
        """Forks and threads that the kernel side has reported as not watched, and that were not found since."""

    def _read(self) -> Reading:
        reading = super()._read()
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + SECONDS_BETWEEN_LOOKS
            reading = self._look(reading)
        reading, gone = self._hidden.without(reading)
        self._tracer.forget(gone)
        return reading

    def _look(self, reading: Reading) -> Reading:
        """Enter processes that are not watched, and count them as lost: their calls so far were not counted.

        A child is in /proc a moment before the kernel side enters it, so only what was a stranger in the look
        before, too, is one.
        """
        before, self._strangers = self._strangers, strangers(self._tracer)
        lasting = listed((self._strangers & before) - self._threads)
        self._threads = (self._threads & self._strangers) | {each.pid for each in lasting if each.kernel}
        found = enter(self._tracer, lasting, self._hidden)
        self._excused += reading.loss.processes + reading.loss.tasks
        unexpected = max(0, found - self._excused)
        self._excused = max(0, self._excused - found)
        return reading._replace(loss=reading.loss._replace(processes=reading.loss.processes + unexpected))


def scale(options: Options) -> int:
    """How large the maps have to be, for as many processes and threads as there are now, and as many again twice."""
    processes = len(pids())
    threads = int(Path("/proc/loadavg").read_text(encoding="ascii").split()[3].partition("/")[2])
    wanted = {"ERRNOS": 24 * processes, "SLOTS": 2 * threads, "TASKS": 2 * threads, "PROCESSES": 4 * processes}
    if options.rows == SIZES["ROWS"]:
        wanted["ROWS"] = 48 * processes
    return scale_for(wanted)


def watch_everything(
    start: Start, say: Callable[[int], None], interval_s: float = 0.5
) -> tuple[RunInfo, Tracer, HiddenProcesses]:
    """Enter every process of this machine but this one; raises StartError, LoadError.

    `say` is called with the number of processes there are, before they are entered.

    No process is lost between a pass and the kernel side: what a watched process forks is watched before
    it can run. So a process that no pass has met has ancestors that were not watched either, back to one that
    was already there when the pass began, and every pass that finds such a one enters it. When two passes
    find nobody, that chain is at its end; a process that forks and ends again and again, faster than /proc can
    be listed, could still get past them. The session goes on looking (MachineSession), and counts such
    a process as lost.
    """
    if in_pid_namespace():
        raise StartError(
            "inside a PID namespace (a container) the processes of the machine cannot be named to the kernel: "
            "run denet-tui outside, or watch a command with `denet-tui run`"
        )
    tracer, hidden = start.tracer(), HiddenProcesses(start.only_uid)
    info = start.info(("whole machine",), "whole machine", 0, tracer, interval_s)
    say(len(pids()))
    quiet = 0
    for _ in range(_MOST_PASSES):
        quiet = 0 if enter(tracer, listed(strangers(tracer)), hidden) else quiet + 1
        if quiet == 2:
            break
    return replace(info, notes=(*info.notes, *_notes(start))), tracer, hidden


def enter(tracer: Tracer, found: Iterable[Listed], hidden: HiddenProcesses) -> int:
    """Watch these, but for denet-tui's own and kernel threads; returns how many were not watched before."""
    entered = 0
    for each in found:
        ours = each.parent == os.getpid()  # the supervisor, and who loads
        foreign = hidden.only_uid not in (None, each.owner)
        if ours or foreign or (each.kernel and not each.starts_helpers):
            continue
        try:
            if tracer.attach(each.pid, each.parent):
                hidden.meet(each)
                entered += 1
        except (FileNotFoundError, ProcessLookupError):  # it has just ended
            continue
    return entered


def strangers(tracer: Tracer) -> set[int]:
    """The ids of processes that are not watched, beside this one; listed first, so that a new child is rarely one."""
    return pids() - tracer.watched() - {os.getpid()}


def pids() -> set[int]:
    """The ids of all processes in /proc."""
    return {int(name) for name in os.listdir("/proc") if name.isdecimal()}  # noqa: PTH208 - names, not paths


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
    kernel = found.kernel
    starts_helpers = kernel and (pid == _KTHREADD or found.comm.startswith("kworker/u"))
    return Listed(pid, found.parent, found.born, owner, kernel, starts_helpers)


def _notes(start: Start) -> list[str]:
    notes = ["denet-tui itself is not counted"]
    if start.only_uid is not None:
        notes.append(f"only the processes of {start.invoker.name} are counted: denet-tui was not started by root")
    if os.getuid() and not os.access("/proc/1/stat", os.R_OK):
        notes.append("/proc hides the processes of others here (hidepid): they are not counted")
    return notes
