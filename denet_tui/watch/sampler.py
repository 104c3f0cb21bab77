"""From readings of the kernel side to Snapshots: cumulative counters, deltas, and the process tree."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Mapping
from itertools import chain
from operator import attrgetter
from types import MappingProxyType

from denet_tui.bpf import names
from denet_tui.bpf.records import Process, endings
from denet_tui.bpf.tracer import Reading, index_of, without_row
from denet_tui.counts import EMPTY, Counts, summed
from denet_tui.detail import NO_USAGE, NOTHING_USED, UNKNOWN, Accounts, Programs, Time, Usage
from denet_tui.model import (
    KEPT_ENDED,
    NO_LOSS,
    NOTHING,
    Counters,
    ErrorKey,
    InFlight,
    ProcessInfo,
    RunInfo,
    Snapshot,
    Syscall,
    added_up,
)
from denet_tui.syscalls import syscall
from denet_tui.system import clock
from denet_tui.watch.processes import Present
from denet_tui.watch.spending import Spending
from denet_tui.watch.touches import Touches

_START, _INFO, _ACCOUNTS = attrgetter("start_ns"), attrgetter("info"), attrgetter("info.usage.accounts")
_TGID = attrgetter("tgid")
KEPT_LETTERS = 4096
"""Of the command line of one that stays."""


class Known:
    """A process as the sampler knows it; `info` is its newest frozen form."""

    __slots__ = ("errnos", "info", "record", "rows", "spent_ns")

    def __init__(self, info: ProcessInfo) -> None:
        self.info = info
        self.record: Process | None = None  # what it was last made of: the same one again while the process rests
        self.errnos: dict[ErrorKey, int] = {}
        self.rows = EMPTY
        self.spent_ns = 0

    def differs(self, now: Process) -> bool:
        """Whether its record tells of another process by now, or of another exec."""
        return self.record is not now and (self.info.start_ns, self.info.execs) != (now.start_ns, now.execs)


class Sampler:
    """Adds readings up. Needs no kernel: whatever has the form of a Reading can be added."""

    def __init__(
        self,
        start_ns: int,
        command: RunInfo | None = None,
        cgroup_of: Callable[[int], str | None] = lambda _: None,
    ) -> None:
        """`start_ns` is when counting began, by the kernel side's clock; `command` is what is watched."""
        self._command, self._cgroup_of = command, cgroup_of
        self._began = clock.now()
        self._start_ns = self._last_ns = start_ns
        self._known: dict[int, Known] = {}
        self._ended: deque[ProcessInfo] = deque(maxlen=KEPT_ENDED)
        self._ended_count = 0
        self._newly_ended = 0
        self._busy: set[int] = set()
        """Those that made calls in the last interval."""
        self._syscalls: dict[Syscall, Counters] = {}
        self._errnos: dict[ErrorKey, int] = {}
        self._total = NOTHING
        self._loss = NO_LOSS
        self._used = NOTHING_USED
        """By those that have ended."""
        self._spent_ns = 0
        """CPU time of this interval."""
        self._turned_away: dict[str, int] = {}
        self._spending = Spending()
        self._touches = Touches()

    def add(
        self,
        reading: Reading,
        shown: Mapping[int, Present] = MappingProxyType({}),
        *,
        running: bool = True,
        status: int | None = None,
    ) -> Snapshot:
        """The snapshot after a reading; what /proc has `shown` since is by tgid."""
        self._let_rest()
        self._spent_ns = 0
        replaced = self._meet(reading)
        self._add_execs(reading)
        self._add_times(reading)
        self._add_errnos(reading)
        recent = self._add_rows(reading, shown)
        touched = reading.about and self._touches.add(reading.about, self._pid_of, self._living, self._turn_away)
        unsettled = _settle(reading, recent)
        self._loss = self._loss.plus(reading.loss._replace(unsettled=unsettled))
        for call, counters in recent.items():
            self._syscalls[call] = self._syscalls.get(call, NOTHING).plus(counters)
        delta = added_up(recent.values())
        self._total = self._total.plus(delta)
        ended = (*replaced, *self._freeze(reading, shown, running=running))
        snapshot = self._snapshot(reading, recent, delta, ended)
        self._last_ns = reading.time_ns
        detail = snapshot.detail._replace(touched=touched)
        return snapshot._replace(running=running, status=status, detail=detail)

    def _turn_away(self, table: str, count: int = 1) -> None:
        self._turned_away[table] = self._turned_away.get(table, 0) + count

    def _living(self) -> set[int]:
        return {known.info.pid for known in self._known.values()}

    def _pid_of(self, tgid: int) -> int:
        known = self._known.get(tgid)
        return known.info.pid if known else tgid

    def _snapshot(
        self, reading: Reading, recent: Mapping[Syscall, Counters], delta: Counters, ended: tuple[ProcessInfo, ...]
    ) -> Snapshot:
        moment, interval_ns = clock.now(), reading.time_ns - self._last_ns
        return Snapshot(
            time_ns=reading.time_ns,
            wall_ms=(moment.wall_ns - (moment.kernel_ns - reading.time_ns)) // 1_000_000,
            elapsed_ns=reading.time_ns - self._start_ns,
            interval_ns=interval_ns,
            syscalls=MappingProxyType(dict(self._syscalls)),
            recent=MappingProxyType(recent),
            errnos=MappingProxyType(dict(self._errnos)),
            processes=tuple(sorted(chain(self._ended, map(_INFO, self._known.values())), key=_START)),
            total=self._total,
            delta=delta,
            loss=self._loss,
            in_flight=_in_flight(reading),
            detail=reading.detail._replace(
                turned_away=MappingProxyType(dict(self._turned_away)), time=self._time(reading), cpus=os.cpu_count()
            ),
            ended=ended,
            forgotten=self._ended_count - len(self._ended),
            accounts=Accounts.together([self._used, *map(_ACCOUNTS, self._known.values())]),
            cpu_percent=100 * max(self._spent_ns, 0) / interval_ns if interval_ns else 0.0,
            asleep_ns=moment.asleep_since(self._began),
            set_ns=moment.stepped_since(self._began),
        )

    def _meet(self, reading: Reading) -> list[ProcessInfo]:
        """Take note of processes that are new, or that changed what they are (exec).

        Returns those whose id was used again before their end was read.
        """
        replaced, all_known = [], self._known
        changed = [new for new in reading.processes if not (known := all_known.get(new.tgid)) or known.differs(new)]
        for process in sorted(changed, key=_START):
            known = all_known.get(process.tgid)
            if known and not known.info.execs and self._is_command(known.info):  # it begins with its exec
                known.info = known.info._replace(start_ns=process.start_ns)
            if known is None or known.info.start_ns != process.start_ns:
                if known is not None:
                    over = known.info._replace(end_ns=process.start_ns, usage=NO_USAGE, recent=EMPTY, delta=NOTHING)
                    replaced.append(over)
                    self._finish(replaced[-1])
                watched = None if reading.detail.execs is None else Programs()
                self._known[process.tgid] = Known(self._info_of(process)._replace(programs=watched))
            elif known.info.execs != process.execs:
                new = self._info_of(process)
                known.info = known.info._replace(
                    comm=new.comm,
                    cmdline=new.cmdline,
                    cut=new.cut,
                    cgroup=new.cgroup or known.info.cgroup,
                    execs=new.execs,
                    exec_ns=new.exec_ns,
                )
            self._known[process.tgid].record = process
        return replaced

    def _is_command(self, info: ProcessInfo) -> bool:
        return self._command is not None and info.pid == self._command.pid

    def _info_of(self, process: Process) -> ProcessInfo:
        whole = self._whole(process) if process.cut else None
        return ProcessInfo(
            tgid=process.tgid,
            pid=process.pid,
            ppid=self._known[process.parent].info.pid if process.parent in self._known else process.parent,
            comm=process.comm,
            cmdline=whole or process.cmdline,
            cut=process.cut and not whole,
            cgroup=None if process.end_ns else self._cgroup_of(process.pid),
            start_ns=process.start_ns,
            execs=process.execs,
            exec_ns=process.exec_ns or None,
        )

    def _whole(self, process: Process) -> tuple[str, ...] | None:
        """The command line that the kernel side has the beginning of, where that is known without /proc."""
        likely: list[tuple[str, ...]] = []
        parent, command = self._known.get(process.parent), self._command
        if command and process.pid == command.pid:
            script = command.executable, *command.argv[1:]  # after what its first line says, of two words at most
            likely += [command.argv, *((*process.cmdline[:count], *script) for count in (1, 2))]
        elif parent and not process.execs and not parent.info.cut and (parent.info.exec_ns or 0) < process.start_ns:
            likely.append(parent.info.cmdline)
        return next((whole for whole in likely if names.goes_on(process.cmdline, whole)), None)

    def _add_execs(self, reading: Reading) -> None:
        for name, count in reading.detail.turned_away.items():
            self._turn_away(name, count)
        for executed in reading.detail.execs or ():
            known = self._known.get(executed.tgid)
            if known is None or known.info.programs is None:
                continue
            if known.info.start_ns <= executed.at_ns or self._is_command(known.info):
                known.info = known.info._replace(programs=known.info.programs.plus(executed))

    def _add_times(self, reading: Reading) -> None:
        if reading.spent is None:
            return
        times = self._spending.add(reading.spent)
        for tgid, known in self._known.items():
            if (time := times.get(tgid)) != known.info.time:
                known.info = known.info._replace(time=time)

    def _time(self, reading: Reading) -> Time | None:
        return reading.spent and self._spending.total((each.info.time for each in self._known.values()), reading.spent)

    def _add_errnos(self, reading: Reading) -> None:
        for tgid, errnos in reading.errnos.items():
            known = self._known.get(tgid)
            for key, count in errnos.items():
                self._errnos[key] = self._errnos.get(key, 0) + count
                if known is not None:
                    known.errnos[key] = known.errnos.get(key, 0) + count

    def _freeze(
        self,
        reading: Reading,
        shown: Mapping[int, Present],
        *,
        running: bool,
    ) -> tuple[ProcessInfo, ...]:
        """Renew the frozen form of those that rest or have ended; returns the processes that are now final."""
        with_threads = {*map(_TGID, reading.tasks)}
        ends = {each.tgid: each for each in endings(reading.processes, with_threads, reading.time_ns, running=running)}
        there = {*map(_TGID, reading.processes), *with_threads}
        known_now = self._known
        for tgid in self._busy - reading.rows.keys() & known_now.keys():
            known_now[tgid].info = known_now[tgid].info._replace(recent=EMPTY, delta=NOTHING)
        for tgid in shown.keys() - reading.rows.keys() & known_now.keys():
            self._show(known_now[tgid], shown[tgid])
        self._busy = set(reading.rows)
        final = []
        # Lost is what has neither a record nor a thread. In the order of their ends: of many the last to end are kept,
        # and so a parent longer than its children.
        gone = known_now.keys() & ends.keys() | known_now.keys() - there
        for tgid in sorted(gone, key=lambda tgid: (ends[tgid].end_ns if tgid in ends else 0, tgid)):
            known = known_now[tgid]
            if self._end(known, ends.get(tgid), reading.time_ns):
                final.append(known.info)
                self._finish(known.info)
                del known_now[tgid]
        return tuple(sorted(final, key=_START))

    def _end(self, known: Known, end: Process | None, now_ns: int) -> bool:
        """Take note of an end, or (None) that it was lost; False if there is more in the next reading."""
        if end is None:
            known.info = known.info._replace(lost=True, usage=NO_USAGE)
            return True
        used = end.account.used if end.account else UNKNOWN
        self._spend(known, used)
        comm = known.info.comm if end.status is None else end.comm  # nothing is told of another user's end
        known.info = known.info._replace(comm=comm, end_ns=end.end_ns, status=end.status, usage=Usage(accounts=used))
        return end.end_ns <= now_ns

    def _add_rows(self, reading: Reading, shown: Mapping[int, Present]) -> dict[Syscall, Counters]:
        """Add the rows of an interval to their processes; returns them summed by syscall."""
        for tgid, rows in reading.rows.items():
            known = self._known.get(tgid)
            if known is None:  # its record was lost: processes map full
                known = self._known[tgid] = Known(ProcessInfo(tgid, tgid, 0, "?", (), reading.time_ns))
            known.rows = known.rows.plus(rows)
            self._renew(known, rows, shown.get(tgid))
        return summed(reading.rows.values())

    def _renew(self, known: Known, rows: Counts, now: Present | None) -> None:
        """The frozen form of one that has called something; by hand, as `replace` takes twice as long."""
        info, delta = known.info, rows.sum()
        comm, cmdline, cut, usage = info.comm, info.cmdline, info.cut, info.usage
        if now is not None:
            comm, cmdline, cut, usage = self._shown_of(known, now)
        known.info = ProcessInfo(
            info.tgid,
            info.pid,
            info.ppid,
            comm,
            cmdline,
            info.start_ns,
            info.end_ns,
            info.status,
            info.execs,
            info.exec_ns,
            info.lost,
            cut,
            info.cgroup,
            usage,
            info.total.plus(delta),
            delta,
            known.rows,
            rows,
            MappingProxyType(known.errnos.copy()) if known.errnos else info.errnos,
            info.programs,
            info.time,
        )

    def _show(self, known: Known, now: Present) -> None:
        """Take its names and usage of this moment, as far as /proc shows them."""
        info, shown = known.info, self._shown_of(known, now)
        if shown != (info.comm, info.cmdline, info.cut, info.usage):
            comm, cmdline, cut, usage = shown
            known.info = info._replace(comm=comm, cmdline=cmdline, cut=cut, usage=usage)

    def _shown_of(self, known: Known, now: Present) -> tuple[str, tuple[str, ...], bool, Usage]:
        self._spend(known, now.usage.accounts)
        cmdline, cut = (now.cmdline, now.cut) if now.cmdline else (known.info.cmdline, known.info.cut)
        return now.comm or known.info.comm, cmdline, cut, now.usage

    def _spend(self, known: Known, now: Accounts) -> None:
        """Take the CPU time of a process that has come since the last look at it into this interval's."""
        if now.cpu_ns is not None:
            self._spent_ns += now.cpu_ns - known.spent_ns
            known.spent_ns = now.cpu_ns

    def _finish(self, info: ProcessInfo) -> None:
        self._used = Accounts.together((self._used, info.usage.accounts))
        self._spending.end(info.tgid, info.time)
        self._ended.append(_shortened(info))
        self._ended_count += 1
        self._newly_ended += 1

    def _let_rest(self) -> None:
        """What ended in the interval before this one has made no calls since."""
        last = len(self._ended)
        for index in range(max(0, last - self._newly_ended), last):
            self._ended[index] = self._ended[index]._replace(recent=EMPTY, delta=NOTHING)
        self._newly_ended = 0


def _shortened(info: ProcessInfo) -> ProcessInfo:
    """With as much of its command line as is kept of the ended."""
    left, words = KEPT_LETTERS, []
    for word in info.cmdline:
        if left <= 0:
            break
        words.append(word[:left])
        left -= len(word) + 1
    cut = left < -1 or len(words) < len(info.cmdline)
    return info._replace(cmdline=tuple(words), cut=True) if cut else info


def _in_flight(reading: Reading) -> tuple[InFlight, ...]:
    return tuple(
        InFlight(task.tid, task.tgid, syscall(task.abi, task.nr), task.since_ns, task.about, task.earlier)
        for task in reading.tasks
        if task.inside or task.earlier
    )


def _settle(reading: Reading, recent: dict[Syscall, Counters]) -> int:
    """Compare the rows with the totals that cannot fill up, and add to `recent` the calls that have no row.

    Returns by how many calls the two differ beyond those that the kernel side knows to have no row.
    """
    calls = dict(reading.calls)
    for call, counters in recent.items():
        where = (call.abi, index_of(call.abi, call.nr))
        calls[where] = calls.get(where, 0) - counters.calls
    short = extra = 0
    for (abi, index), difference in calls.items():
        if difference > 0:
            call = without_row(abi, index)
            recent[call] = recent.get(call, NOTHING).plus(Counters.without_row(difference))
            short += difference
        extra += max(-difference, 0)
    return abs(short - reading.loss.rows) + extra
