"""The tick: reads the kernel side on absolute deadlines and publishes a Snapshot each time."""

from __future__ import annotations

import contextlib
import gc
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from denet_tui.bpf.tracer import Reading, Tracer
from denet_tui.model import NO_LOSS, LogEntry, RunInfo, Snapshot
from denet_tui.syscalls import how_ended
from denet_tui.system import clock
from denet_tui.system.cgroup import cgroup_of
from denet_tui.system.ready import readable
from denet_tui.watch.command import Command
from denet_tui.watch.find import refused
from denet_tui.watch.input_wait import reader_of
from denet_tui.watch.log import RING
from denet_tui.watch.output import CommandOutput
from denet_tui.watch.processes import Usages, newest_pid
from denet_tui.watch.sampler import Sampler

log = logging.getLogger("denet_tui")

FIRST_SECONDS = 0.1
"""The first tick comes early, so that a screen is not empty for a whole interval."""
_BEGINS_SECONDS = 0.02
"""Where the command's execve takes longer it comes so much later, again and again."""
_CROWD = 500
"""Ended processes in one reading above which the next comes sooner, so that neither maps nor memory fill up."""
_CROWD_OF_EXECS = 1000
"""The same of executions."""
_STOP_SECONDS = 0.05
"""How long a wish to stop may go unnoticed."""
_PUT_OFF = 4
"""So many intervals a reading that nobody sees may take."""
_KINDS = 40
"""System calls that a process hardly makes more of: room for so many rows of each is there where one is put off."""
_LOOKED_AFTER_S = 0.1
"""How long the end of the last descendant may."""
_COLLECTING = (50_000, 20, 20)
"""Thresholds of Python's garbage collector. Hardly anything that a tick makes is cyclic, and with its own thresholds it
walks thousands of new tuples again and again: with 2,000 processes that was a fifth of all that a tick costs."""


class SnapshotSink(Protocol):
    """Takes every snapshot in turn; see record/."""

    @property
    def failure(self) -> str | None:
        """Why it does not take any more, None if it does."""

    def add(self, snapshot: Snapshot) -> None:
        """One tick."""


class Attached:
    """Processes that run already, in the place of a Command: their end can be waited for, and no more."""

    status: int | None = None
    failure: int | None = None
    output: CommandOutput | None = None
    notes = ()

    def __init__(self) -> None:
        self.living: dict[int, int] = {}
        """Those that have not ended, as far as `poll` has looked, each with its pidfd."""

    def add(self, pid: int) -> None:
        """One more; raises ProcessLookupError where there is no such process."""
        self.living[pid] = os.pidfd_open(pid)

    def go(self) -> None:
        """They run already."""

    def poll(self, seconds: float) -> bool:
        """Wait at most that long for the end of all; True if they have ended."""
        deadline = time.monotonic() + seconds
        while self.living and (ready := readable([*self.living.values()], max(0.0, deadline - time.monotonic()))):
            for pid in [pid for pid, descriptor in self.living.items() if descriptor in ready]:
                os.close(self.living.pop(pid))
        return not self.living

    def give_back(self) -> None:
        """Their terminals are their own."""

    def kill(self) -> None:
        """They were not started by us, so they are not ended by us."""

    def close(self, policy: str = "leave") -> None:  # noqa: ARG002 - the same shape as Command.close
        """Let them go on."""
        while self.living:
            os.close(self.living.popitem()[1])


class Session:
    """One watched command or process, from the barrier to its last snapshot."""

    def __init__(self, info: RunInfo, tracer: Tracer, target: Command | Attached) -> None:
        """`target` must be in the tracer already; it is let go by `run`."""
        gc.set_threshold(*_COLLECTING)
        self.info = info
        self.latest: Snapshot | None = None
        self.interval_s = info.interval_s
        self.target = target
        self._tracer = tracer
        self.recorder: SnapshotSink | None = None
        self.shows_usages = True
        """Whether what processes use is shown or recorded before the end."""
        self.unseen = False
        """Whether nothing is shown or recorded before the end: a reading may then be put off."""
        self.until_last = False
        """Whether the run goes on after the command's end, until its last descendant has ended."""
        self.outlived: Callable[[], object] = lambda: None
        """Called once, where it goes on."""
        self.at_once = False
        """Set to have the next tick now, with what all processes have used so far; its reading takes that back."""
        self._usages = Usages()
        self._sampler = Sampler(info.start_ns, info, cgroup_of)
        self._soonest_s = math.inf
        """How long the maps would take to fill up at the rate of the last interval."""
        self._put_off = 0
        """How often the next reading was."""
        self._newest_pid: int | None = None
        """That of the machine at the last reading; None if no reading may be put off, or it was not known."""
        self._reading = threading.Lock()
        """Held while the kernel side is read: the last reading may come from another thread than the ticks."""
        self._told = NO_LOSS
        """What was lost when that was last written to the log."""
        self._complaints: set[str] = set()
        self._over = threading.Event()
        """Set when the ticks are to end for good; `_ticking` is held until they have."""
        self._ticking = threading.Lock()

    def run(self, publish: Callable[[Snapshot], None], stop: threading.Event) -> None:
        """Let the command go and publish a snapshot per tick until it has ended or `stop` is set.

        The last snapshot is final for a command that has ended. Raises CommandError where it cannot be
        executed, OSError where the kernel side cannot be read.
        """
        with self._ticking:
            self._run(publish, stop)

    def _run(self, publish: Callable[[Snapshot], None], stop: threading.Event) -> None:
        if self._over.is_set():
            return
        if self.latest is None:
            of = f", pid {self.info.pid}" if self.info.pid else ""
            log.info("watching %s%s, as %s", self.info.executable, of, self.info.user)
            for note in self.info.notes:
                log.warning("%s", note)
            self.target.go()
        due = time.monotonic() + min(FIRST_SECONDS, self.interval_s)
        while True:
            ended = self._wait(due, stop)
            if (stop.is_set() or self._over.is_set()) and not ended:
                return  # `conclude` reads once more
            if not (ended or self._has_begun()):
                due = time.monotonic() + _BEGINS_SECONDS
                continue
            publish(self.tick(running=not ended))
            if ended:
                return
            due = max(due + min(self.interval_s, self._soonest_s), time.monotonic())

    def _has_begun(self) -> bool:
        """Whether the command is what it is to be: what its execve does until then is its own in the first reading."""
        if self.latest is not None or not isinstance(self.target, Command):
            return True
        return any(each.execs for each in self._tracer.read_processes() if each.pid == self.info.pid)

    def _may_be_put_off(self) -> bool:
        """Whether nobody misses the reading that is due, and the maps hold what may happen until the next would be.

        They hold all that lives; so only what begins must be few, and all ids of processes and threads are numbered.
        """
        self._put_off += 1
        before = self._newest_pid
        if before is None or self._put_off >= _PUT_OFF or (self._put_off + 1) * self.interval_s > self._soonest_s:
            return False
        now = newest_pid()
        return now is not None and 0 <= now - before < _CROWD // _PUT_OFF

    def tick(self, *, running: bool = True) -> Snapshot:
        """Read once, now."""
        if self.target.failure is not None:
            raise refused(self.info.executable, self.target.failure)
        with self._reading:
            return self._tick(running=running)

    def _read(self) -> Reading:
        return self._tracer.read()

    def _tick(self, *, running: bool) -> Snapshot:
        final = not running or self._over.is_set()
        if final:
            self._tracer.settle()
        self._put_off, self._newest_pid = 0, newest_pid() if self.unseen else None
        asked, self.at_once = self.at_once, False
        reading = self._read()
        living = [process for process in reading.processes if not process.end_ns]
        shown = self._usages.look(living, reading.rows, final=final or asked, shown=self.shows_usages)
        snapshot = self._sampler.add(reading, shown, running=running, status=self.target.status)
        if not running:
            snapshot = self._as_it_ended(snapshot)
        if self.target.notes:
            snapshot = snapshot._replace(detail=snapshot.detail._replace(notes=self.target.notes))
        self._tracer.forget(process.key for process in snapshot.ended)
        self._foresee(reading, snapshot)
        if self.recorder:
            self.recorder.add(snapshot)
        if terminal := self.terminal:
            waiting = snapshot.in_flight if running else ()
            terminal.asking = reader_of(terminal.terminal, waiting, clock.now_ns())
        self._tell(snapshot)
        self.latest = snapshot
        return snapshot

    def _foresee(self, reading: Reading, snapshot: Snapshot) -> None:
        """How long the maps have room for what happens now, and whether also for what may."""
        rows = max(sum(map(len, some.values())) for some in (reading.rows, reading.errnos))
        executed = len(snapshot.detail.execs or ()) / _CROWD_OF_EXECS
        full = max(2 * rows / self._tracer.capacity, len(snapshot.ended) / _CROWD, executed)
        self._soonest_s = snapshot.interval_ns / 1e9 / full if full else math.inf
        if len(reading.processes) * _KINDS > self._tracer.capacity:
            self._newest_pid = None

    def _as_it_ended(self, snapshot: Snapshot) -> Snapshot:
        """With what the kernel side knows of the end: when it was, and how, where no parent of ours was told."""
        all_of_them = (*snapshot.processes, *snapshot.ended)
        found = [each for each in all_of_them if each.pid == self.info.pid]
        first = min(found, key=lambda each: each.start_ns, default=None)  # the others had its id after it
        last = all_of_them if self.until_last else [first] if first else []
        ends = [each.end_ns for each in last if each.end_ns is not None]
        if ends and len(ends) == len(last):
            snapshot = snapshot._replace(elapsed_ns=max(ends) - self.info.start_ns)
        if first and first.end_ns is not None and snapshot.status is None:
            snapshot = snapshot._replace(status=first.status)
        return snapshot

    def _tell(self, snapshot: Snapshot) -> None:
        """Write to the log what was lost since the last time, what cannot be written any more, and the end."""
        if snapshot.loss != self._told:
            log.warning("lost: %s", snapshot.loss.since(self._told).describe())
            self._told = snapshot.loss
        for failure in (self.recorder and self.recorder.failure, self.target.output and self.target.output.failure):
            if failure and failure not in self._complaints:
                self._complaints.add(failure)
                log.error("%s", failure)
        if (said := clock.off_the_clock(snapshot)) and said not in self._complaints:
            self._complaints.add(said)
            log.warning("%s", said)
        if not snapshot.running:
            status = snapshot.status
            how = "ended" if status is None else how_ended(os.waitstatus_to_exitcode(status))
            what = f"pid {self.info.pid}" if self.info.pid else self.info.executable
            log.info("%s %s, after %.1f s", what, how, snapshot.elapsed_ns / 1e9)

    @property
    def terminal(self) -> Command | None:
        """What the command can be asked about its terminal; None if that is not ours."""
        return self.target if isinstance(self.target, Command) and self.target.terminal else None

    @property
    def log(self) -> Sequence[LogEntry]:
        """What denet-tui has to say about itself, the oldest first."""
        return RING.entries

    def conclude(self, how: str) -> Snapshot:
        """End the ticks, and with `kill` the command; returns the last snapshot. May be called again."""
        self._over.set()
        with self._ticking:
            if how == "kill":
                self.target.kill()
            if self.latest is None or self.latest.running:
                self.tick(running=not self.target.poll(0))
        assert self.latest is not None  # noqa: S101 - tick sets it
        return self.latest

    def finish(self, how: str) -> Snapshot:
        """End the watching: `ended`, or `kill` or `leave` a command that still runs. Returns the last snapshot."""
        final = self.conclude(how)
        with contextlib.suppress(OSError):
            self.target.close("leave")
        self._tracer.close()
        return final

    def _wait(self, due: float, stop: threading.Event) -> bool:
        """Until the deadline, a wish to stop, or the end of the command; True for the last."""
        while not (stop.is_set() or self._over.is_set()):
            left = due - time.monotonic()
            if self.target.poll(min(left, _STOP_SECONDS)) and not self._goes_on(min(left, _LOOKED_AFTER_S)):
                return True
            if left <= 0 and not self.at_once and self._may_be_put_off():
                due += self.interval_s
            elif left <= 0 or self.at_once:
                break
        return False

    def _goes_on(self, seconds: float) -> bool:
        """Whether the last descendant is still to end, now that the command has; waits that long where it is."""
        if not self.until_last or all(each.end_ns for each in self._tracer.read_processes()):
            return False
        self.outlived()
        self.outlived = lambda: None
        time.sleep(max(0.0, seconds))
        return True
