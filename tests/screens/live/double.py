"""A session that is none: it publishes handmade snapshots of a build with compilers below it."""

from __future__ import annotations

import errno
import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping

from denet_tui.detail import Usage
from denet_tui.model import (
    NOTHING,
    Counters,
    ErrorKey,
    InFlight,
    LogEntry,
    Loss,
    ProcessInfo,
    RunInfo,
    Snapshot,
    Syscall,
)
from denet_tui.watch.output import CommandOutput

NAMES = (
    "read", "write", "openat", "close", "fstat", "mmap", "munmap", "brk", "futex", "epoll_wait", "clone3", "execve",
    "wait4", "getpid", "newfstatat", "lseek", "pread64", "ioctl", "rt_sigaction", "rt_sigprocmask", "getdents64",
    "readlink", "access", "pipe2", "dup2", "fcntl", "socket", "connect", "sendto", "recvfrom", "poll", "ppoll",
    "clock_nanosleep", "getrandom", "sched_yield", "madvise", "mprotect", "prlimit64", "set_robust_list", "exit_group",
)  # fmt: skip
NUMBERS = (0, 1, 257, 3, 5, 9, 11, 12, 202, 232, 435, 59, 61, 39, 262, 8, 17, 16, 13, 14, 217, 89, 21, 293, 33, 72, 41,
           42, 44, 45, 7, 271, 230, 318, 24, 28, 10, 302, 273, 231)  # fmt: skip
SYSCALLS = tuple(Syscall(0, nr, name) for nr, name in zip(NUMBERS, NAMES, strict=True))
TICK_NS = 500_000_000
START_NS = 1_000_000_000_000

INFO = RunInfo(
    argv=("/usr/bin/make", "-j4", "all"),
    executable="/usr/bin/make",
    pid=4242,
    method="raw",
    user="dev",
    interval_s=0.5,
    start_wall_ms=1_700_000_000_000,
    start_ns=START_NS,
)


def counters(calls: int, *, each_ns: int = 2_000, errors: int = 0, pending: int = 0) -> Counters:
    """`calls` calls that took about `each_ns` each."""
    returns = calls - pending
    if returns <= 0:
        return Counters(calls=calls)
    lane = max(0, min(23, each_ns.bit_length() - 8))
    slow = min(23, lane + 3)
    few = returns // 200
    buckets = ((returns - few) << (64 * lane)) + (few << (64 * slow))
    return Counters(calls, returns, errors, 0, returns * each_ns, each_ns * 9, buckets)


def wave(tick: int, place: int, scale: int) -> int:
    """A number of calls that changes with the tick, different at every place."""
    return max(0, int(scale * (1.1 + math.sin(tick / (5 + place % 7) + place))))


class Build:
    """Counts of `size` processes with `width` syscalls each, one tick at a time."""

    def __init__(self, size: int = 9, width: int = 14, loss: Loss = Loss()) -> None:  # noqa: B008 (frozen)
        self.tick = 0
        self.loss = loss
        self.width = width
        self._counted: list[dict[Syscall, Counters]] = [{} for _ in range(size)]

    def step(self, ticks: int = 1, *, status: int | None = None) -> Snapshot:
        """The snapshot after so many more ticks; with `status`, the last one."""
        for _ in range(ticks - 1):
            self._count()
        recents = self._count()
        return self._snapshot(recents, status)

    def _count(self) -> list[dict[Syscall, Counters]]:
        self.tick += 1
        recents: list[dict[Syscall, Counters]] = []
        for place, counted in enumerate(self._counted):
            recent: dict[Syscall, Counters] = {}
            if self._alive(place):
                for at in range(self.width):
                    number = (at + place * 3) % len(SYSCALLS) if place else at
                    calls = wave(self.tick, place + number, 9_000 // (1 + number * (1 + place)))
                    if calls:
                        each = 300 * 3 ** (number % 9)
                        recent[SYSCALLS[number]] = counters(
                            calls, each_ns=each, errors=calls // 7 if number == 2 else 0
                        )
            for syscall, added in recent.items():
                counted[syscall] = counted.get(syscall, NOTHING).plus(added)
            recents.append(recent)
        return recents

    def _alive(self, place: int) -> bool:
        return place == 0 or not (place % 4 == 3 and self.tick > 6 + place)

    def _snapshot(self, recents: list[dict[Syscall, Counters]], status: int | None) -> Snapshot:
        processes = [self._process(place, recent, status) for place, recent in enumerate(recents)]
        whole = added(process.syscalls for process in processes)
        recent = added(recents)
        return Snapshot(
            time_ns=START_NS + self.tick * TICK_NS,
            wall_ms=INFO.start_wall_ms + self.tick * 500,
            elapsed_ns=self.tick * TICK_NS,
            interval_ns=TICK_NS,
            syscalls=whole,
            recent=recent,
            errnos=errnos(whole),
            processes=tuple(processes),
            total=total(whole.values()),
            delta=total(recent.values()),
            loss=self.loss,
            running=status is None,
            status=status,
        )

    def _process(self, place: int, recent: dict[Syscall, Counters], status: int | None) -> ProcessInfo:
        counted = dict(self._counted[place])
        names = ("make", "sh", "cc1", "as", "ld", "collect2", "ccache")
        name = names[0] if not place else names[1 + place % 6]
        over = status is not None or not self._alive(place)
        methods = (0, 3 << 8, 9)
        return ProcessInfo(
            tgid=4242 + place,
            pid=4242 + place,
            ppid=4242 + (place - 1) // 2 if place else 1,
            comm=name,
            cmdline=(f"/usr/bin/{name}", "-j4", "all")
            if not place
            else (f"/usr/bin/{name}", f"-O{place % 3}", "main.c"),
            start_ns=START_NS + place,
            end_ns=START_NS + self.tick * TICK_NS if over else None,
            status=(status if not place else methods[place % 3]) if over else None,
            usage=Usage(cpu_percent=7.0 * place % 100, rss_bytes=(place + 1) * 3_700_000, threads=1 + place % 3),
            total=total(counted.values()),
            delta=total(recent.values()),
            syscalls=counted,
            recent=recent,
            errnos=errnos(counted),
        )


def errnos(counted: Mapping[Syscall, Counters]) -> dict[ErrorKey, int]:
    """Every error is ENOENT, but each fifth EACCES."""
    found = {}
    for syscall, numbers in counted.items():
        if numbers.errors:
            found[syscall, errno.EACCES] = numbers.errors // 5
            found[syscall, errno.ENOENT] = numbers.errors - numbers.errors // 5
    return found


def added(parts: Iterable[dict[Syscall, Counters]]) -> dict[Syscall, Counters]:
    """The sums over several tables."""
    whole: dict[Syscall, Counters] = {}
    for part in parts:
        for syscall, more in part.items():
            whole[syscall] = whole.get(syscall, NOTHING).plus(more)
    return whole


def total(parts: Iterable[Counters]) -> Counters:
    """The sum of several counters."""
    whole = NOTHING
    for part in parts:
        whole = whole.plus(part)
    return whole


def empty() -> Snapshot:
    """The snapshot before the command's first system call."""
    return Build(size=1, width=0).step()._replace(processes=(), elapsed_ns=0)


class OwnTerminal:
    """The terminal of a command that is none: remembers what is done to it."""

    def __init__(self) -> None:
        self.output = CommandOutput()
        self.asking: InFlight | None = None
        self.sizes: list[tuple[int, int]] = []
        self.typed = b""

    def type(self, data: bytes) -> bool:
        self.typed += data
        return True

    def resize(self, columns: int, rows: int) -> None:
        self.sizes.append((columns, rows))


class Session:
    """What the screen takes for a session: publishes `snapshots` at once, then whatever `feed` brings."""

    def __init__(self, snapshots: Iterable[Snapshot] = (), info: RunInfo = INFO) -> None:
        self.info = info
        self.interval_s = info.interval_s
        self.latest: Snapshot | None = None
        self.terminal: OwnTerminal | None = None
        self.log: list[LogEntry] = []
        self.stopped = False
        self.snapshots = list(snapshots)
        self._publish: Callable[[Snapshot], None] | None = None

    def run(self, publish: Callable[[Snapshot], None], stop: threading.Event) -> None:
        self._publish = publish
        for snapshot in self.snapshots:
            self.feed(snapshot)
        while self.latest is None or self.latest.running:
            if stop.wait(0.01):
                self.stopped = True
                return

    def feed(self, snapshot: Snapshot) -> None:
        """Publish one more snapshot."""
        self.latest = snapshot
        assert self._publish is not None
        self._publish(snapshot)


class Ticking(Session):
    """Goes on publishing at its interval, for `ticks` ticks."""

    def __init__(self, build: Build, ticks: int, interval_s: float = 0.5, info: RunInfo = INFO) -> None:
        super().__init__(info=info)
        self._build, self._ticks, self.interval_s = build, ticks, interval_s

    def run(self, publish: Callable[[Snapshot], None], stop: threading.Event) -> None:
        self._publish = publish
        due = time.monotonic()
        for tick in range(self._ticks):
            self.feed(self._build.step(status=0x300 if tick == self._ticks - 1 else None))
            due += self.interval_s
            if stop.wait(max(0.0, due - time.monotonic())):
                return
