"""Names, CPU, memory and I/O of what lives, from /proc and its clocks; the kernel side tells of the ended."""

from __future__ import annotations

import os
import re
import resource
import time
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import NamedTuple

from denet_tui.bpf import names
from denet_tui.bpf.accounts import since
from denet_tui.bpf.records import Process
from denet_tui.detail import NO_USAGE, NOTHING_USED, Accounts, Usage
from denet_tui.model import Counters, ProcessKey, Syscall
from denet_tui.system import clock

BUDGET = 300
"""Processes looked at in one tick, at about 33 µs each; the busy ones first, the idle ones in turn."""
_PIECE = 4096
"""Bytes that are read at once."""
_LONGEST = 2 << 20
"""Bytes of a command line that are read; where the stack may not be larger than usual none is longer (man 2 execve)."""
_OFTEN, _LEAST_OFTEN = 100, 8
"""Processes whose files are read in one tick: of more those of each are read in turn, at least in every eighth look.
That of one that has used no CPU time is soon enough: others may have taken memory from it."""
_MOST_THREADS = 16
"""Of a process with children whose disk bytes are read in each tick; of one with more they are known at its end."""
_TICKS_S, _PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
_DISK = re.compile(rb"^read_bytes: (\d+)\nwrite_bytes: (\d+)", re.MULTILINE)
_PROCESS_CLOCK = 2
"""CPUCLOCK_SCHED of all threads: clock_getcpuclockid(3) makes the clock of a process of its id and this."""
_PF_KTHREAD = 0x00200000
"""include/linux/sched.h."""
_LEFT = 256
"""Descriptors that are left to everything else, below RLIMIT_NOFILE, by those that are kept open."""
_SLACK_S = 0.1
"""What is older than its record by more than this was there before it was watched; what is younger is not it."""


_KEY: Callable[[Process], ProcessKey] = attrgetter("tgid", "start_ns")


class Stat(NamedTuple):
    """What /proc/PID/stat says of a process (man 5 proc_pid_stat); sizes in bytes."""

    comm: str
    parent: int
    flags: int
    """PF_* of include/linux/sched.h."""
    minor_faults: int
    major_faults: int
    threads: int
    born: int
    """Clock ticks since boot."""
    vms: int
    rss: int
    ended: bool
    """It only waits for its parent to take note."""
    headless: bool
    """Its first thread has ended, and others live."""

    @property
    def kernel(self) -> bool:
        """Whether it is a thread of the kernel: these make no system calls."""
        return bool(self.flags & _PF_KTHREAD)


def stat(pid: int | str) -> Stat:
    """Of a process or a thread (`tgid/task/tid`), in one read; raises OSError (ProcessLookupError where it is gone)."""
    return _stat(_read(f"/proc/{pid}/stat"))


def _stat(content: bytes) -> Stat:
    name, _, rest = content.partition(b"(")[2].rpartition(b")")
    fields = rest.split()
    threads = int(fields[17])
    return Stat(
        names.comm(name),
        int(fields[1]),
        int(fields[6]),
        int(fields[7]),
        int(fields[9]),
        threads,
        int(fields[19]),
        int(fields[20]),
        int(fields[21]) * _PAGE,
        fields[0] in (b"Z", b"X") and threads <= 1,
        fields[0] in (b"Z", b"X") and threads > 1,
    )


def _disk(path: str, read: Callable[[str], bytes]) -> tuple[int | None, int | None]:
    """Bytes read from and written to disks, by a file `io`; None if this user may not know."""
    try:
        found = _DISK.search(read(path))
    except OSError:
        return None, None
    return (int(found[1]), int(found[2])) if found else (None, None)


def _disk_of(process: Process, found: Stat, read: Callable[[str], bytes]) -> tuple[int | None, int | None]:
    """Bytes of a living process's own threads: in `io` of the process are those of the children that it waited for."""
    if process.account is None and not process.parental:
        return _disk(f"/proc/{process.pid}/io", read)
    if process.account is None or found.threads > _MOST_THREADS:
        return None, None
    folder, first = f"/proc/{process.pid}/task", str(process.pid)
    if found.threads == 1:
        own = [_disk(f"{folder}/{first}/io", read)]
    else:
        try:
            tids = os.listdir(folder)  # noqa: PTH208 - names, not paths
        except OSError:  # it has just ended
            return None, None
        # Not kept open: threads come and go.
        own = [_disk(f"{folder}/{tid}/io", _read) for tid in tids if not (found.headless and tid == first)]
    together = Accounts.together([process.account.ended, *(Accounts(0, 0, 0, *each, 0) for each in own)])
    return together.read_bytes, together.write_bytes


def _spent_ns(pid: int) -> int:
    """CPU time of a process and all its threads, those that have ended included; raises OSError where it is gone."""
    return time.clock_gettime_ns(~pid << 3 | _PROCESS_CLOCK)


def used_by_threads(tgid: int) -> list[Accounts]:
    """What each thread of a running process has used; raises OSError where one has just ended."""
    _spent_ns(tgid)  # brings the threads that run at this moment up to date
    found = []
    for tid in os.listdir(f"/proc/{tgid}/task"):  # noqa: PTH208 - names, not paths
        thread = f"{tgid}/task/{tid}"
        disk, spent_ns = _disk(f"/proc/{thread}/io", _read), int(_read(f"/proc/{thread}/schedstat").split()[0])
        faults = stat(thread)
        found.append(Accounts(spent_ns, faults.minor_faults, faults.major_faults, *disk, 0))
    return found


def _peak(pid: int) -> int | None:
    """Most memory at a time so far, in bytes (VmHWM)."""
    found = re.search(rb"^VmHWM:\s*(\d+) kB", _read(f"/proc/{pid}/status"), re.MULTILINE)
    return 1024 * int(found[1]) if found else None


def _read(path: str, most: int = _PIECE) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        raise ProcessLookupError(path) from None
    try:
        found = os.read(descriptor, _PIECE)
        return found + os.read(descriptor, most - _PIECE) if len(found) == _PIECE < most else found
    finally:
        os.close(descriptor)


class Present(NamedTuple):
    """What /proc shows of a process that lives; nothing is known of what this user may not read."""

    usage: Usage = NO_USAGE
    comm: str = ""
    cmdline: tuple[str, ...] = ()
    """Its title where it has given itself one; empty where there is none."""
    cut: bool = False
    """Whether the command line goes on."""


class _Files:
    """The files of one process in /proc, which stay open: most of what reading one takes is to find and open it.

    An open one is of this process and no other, whichever has its id next: reading it then raises ProcessLookupError.
    """

    def __init__(self) -> None:
        self._open: dict[str, int] = {}

    def read(self, path: str) -> bytes:
        """What `path` holds now; raises OSError."""
        descriptor = self._open.get(path)
        if descriptor is None:
            try:
                descriptor = self._open[path] = os.open(path, os.O_RDONLY)
            except FileNotFoundError:
                raise ProcessLookupError(path) from None
        return os.pread(descriptor, _PIECE, 0)

    def close(self) -> None:
        """Close them; they are opened again where they are read again."""
        while self._open:
            os.close(self._open.popitem()[1])

    __del__ = close


class _Look(NamedTuple):
    before: Accounts
    """What the process had used when it began to be watched."""
    spent_ns: int
    """CPU time, those threads included that have ended."""
    at_ns: int
    execs: int = 0
    born: int = 0
    """0 before the second look."""
    age: int = 0
    """Looks since its files were read."""
    line: bytes = b""
    """The command line as it was read."""
    present: Present = Present()


class Usages:
    """Looks processes up again and again; keeps what CPU percentages and long command lines need in between."""

    def __init__(self) -> None:
        self._looks: dict[ProcessKey, _Look] = {}
        """The last at each of the living."""
        self._files: dict[ProcessKey, _Files] = {}
        """Of those that are looked at again; three descriptors each, as many as the limit leaves room for."""
        self._most = min(BUDGET, (resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _LEFT) // 3)
        self._turn = 0
        self._often = 1
        """The files of a busy one are read in each look, every second..."""

    def look(
        self,
        living: list[Process],
        busy: Mapping[int, Mapping[Syscall, Counters]],
        *,
        final: bool = False,
        shown: bool = True,
    ) -> dict[int, Present]:
        """By tgid, of processes that the kernel side has as living, as far as /proc shows them.

        `busy` has the rows of those that made calls in this interval. `final`: look at all, and at the most memory
        that each has had. Where nothing is `shown` before that, each is looked at once: what it had used before.
        """
        found: dict[int, Present] = {}
        self._often = min(1 + len(living) // _OFTEN, _LEAST_OFTEN)
        chosen = living if final else self._chosen(living, busy)
        for process in chosen if final or shown else [each for each in chosen if _KEY(each) not in self._looks]:
            present = (None if final else self._without_files(process)) or self._look_at(process, final=final)
            if present is not None:
                found[process.tgid] = present
        there = set(map(_KEY, living))
        for key in self._looks.keys() - there:
            del self._looks[key]
        for key in list(self._files) if final else self._files.keys() - there:
            self._files.pop(key).close()
        return found

    def _chosen(self, living: list[Process], busy: Mapping[int, Mapping[Syscall, Counters]]) -> Iterable[Process]:
        if len(living) <= BUDGET:
            return living
        active = [process for process in living if process.tgid in busy]
        active.sort(key=lambda process: len(busy[process.tgid]), reverse=True)
        start = self._turn % len(living)
        self._turn += BUDGET // 2
        idle = (living + living)[start : start + BUDGET // 2]
        return {process.tgid: process for process in (*active[: BUDGET // 2], *idle)}.values()

    def _look_at(self, info: Process, *, final: bool) -> Present | None:
        """None if there is no such process."""
        key = _KEY(info)
        last = self._looks.get(key)
        read = self._reader(key, known=last is not None)
        try:
            found, spent_ns = _stat(read(f"/proc/{info.pid}/stat")), _spent_ns(info.pid)
            line = _line(read, f"/proc/{info.pid}/cmdline")
            peak = _peak(info.pid) if final else None
        except ProcessLookupError:
            return None
        except OSError:
            return Present()
        if found.ended:
            return Present()
        now = clock.now_ns()
        if (last is None or last.born != found.born) and is_another(found, info.start_ns):
            return None
        accounts = Accounts(spent_ns, found.minor_faults, found.major_faults, *_disk_of(info, found, read), peak)
        age = info.tgid % _LEAST_OFTEN if last and not last.born else 0  # not all of them in the same tick
        born = found.born if last else 0
        last = last or _first_look(info, found, accounts, now)
        cmdline, cut = last.present[2:4] if line == last.line else _words(line)
        usage = Usage(_percent(last, spent_ns, now), found.rss, found.vms, found.threads, since(accounts, last.before))
        present = Present(usage, found.comm, cmdline, cut)
        self._looks[key] = _Look(last.before, spent_ns, now, info.execs, born, age, line, present)
        return present

    def _reader(self, key: ProcessKey, *, known: bool) -> Callable[[str], bytes]:
        """What reads a file of a process: from its second look on one that keeps it open, where there is room."""
        kept = self._files.get(key)
        if kept is None and known and len(self._files) < self._most:
            kept = self._files[key] = _Files()
        return kept.read if kept else _read

    def _without_files(self, process: Process) -> Present | None:
        """The last look with the CPU time of now; None if there is none, or it is time to look at its files again."""
        last = self._looks.get(_KEY(process))
        if last is None:
            return None
        try:
            spent_ns, now = _spent_ns(process.pid), clock.now_ns()
        except OSError:  # it has just ended
            return None
        moved_ns = spent_ns - last.spent_ns
        looks = self._often if moved_ns else _LEAST_OFTEN
        if not last.born or last.execs != process.execs or last.age + 1 >= looks or now <= last.at_ns:
            return None
        _, rss, vms, threads, accounts = last.present.usage
        if moved_ns and accounts.cpu_ns is not None:
            accounts = accounts._replace(cpu_ns=accounts.cpu_ns + moved_ns)
        usage = Usage(_percent(last, spent_ns, now), rss, vms, threads, accounts)
        present = Present(usage, *last.present[1:])
        self._looks[_KEY(process)] = last._replace(spent_ns=spent_ns, at_ns=now, age=last.age + 1, present=present)
        return present


def _words(line: bytes) -> tuple[tuple[str, ...], bool]:
    """The words of a command line, and whether it goes on."""
    cut = len(line) >= _LONGEST
    return names.words(line, cut=cut), cut


def _percent(last: _Look, spent_ns: int, now: int) -> float:
    """Of a CPU since the last look."""
    return 100 * (spent_ns - last.spent_ns) / (now - last.at_ns) if now > last.at_ns else 0.0


def _line(read: Callable[[str], bytes], path: str) -> bytes:
    """A command line, as much of it as is kept; raises OSError."""
    line = read(path)
    return _read(path, _LONGEST) if len(line) == _PIECE else line


def _first_look(process: Process, found: Stat, accounts: Accounts, now: int) -> _Look:
    """As if there had been one when it started, or now for a process that was there before it was watched."""
    if process.account:
        return _Look(process.account.before, process.account.before.cpu_ns or 0, process.start_ns)
    if age_s(found) > (now - process.start_ns) / 1e9 + _SLACK_S:
        return _Look(accounts, accounts.cpu_ns or 0, now)
    return _Look(NOTHING_USED, 0, process.start_ns)


def is_another(found: Stat, start_ns: int) -> bool:
    """Whether the id of a process that is watched since `start_ns` is another's by now: one that is younger."""
    return age_s(found) < (clock.now_ns() - start_ns) / 1e9 - _SLACK_S


def age_s(found: Stat) -> float:
    """How long it has been there, in steps of a clock tick; the machine's sleep is in it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - found.born / _TICKS_S


def newest_pid() -> int | None:
    """The id that was given last to a process or thread here; None if that is not known (man 5 proc_loadavg)."""
    try:
        return int(_read("/proc/loadavg").split()[4])
    except (OSError, ValueError, IndexError):
        return None


def all_pids() -> set[int]:
    """The ids of all processes in /proc."""
    return {int(name) for name in os.listdir("/proc") if name.isdecimal()}  # noqa: PTH208 - names, not paths


def descendants(pid: int) -> list[tuple[int, int]]:
    """(pid, parent) of all living descendants of a process, parents first."""
    import psutil  # takes longer than all the rest here, and a command that is run needs none of it

    try:
        return [(child.pid, child.ppid()) for child in psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return []
