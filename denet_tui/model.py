"""Frozen values that every room shares; imports nothing of ours but detail.py.

No annotation is postponed here, nor in the files of other values: typing would compile that of each field, and these
are imported at each start.
"""

import struct
from collections.abc import Callable, Collection, Mapping
from functools import partial
from operator import itemgetter
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, Self

from denet_tui.detail import NO_DETAIL, NO_USAGE, UNKNOWN, Accounts, Detail, Programs, Time, Usage

BUCKETS = 24
"""Histogram buckets: bucket 0 is below 256 ns, bucket i is [2**(7+i), 2**(8+i)) ns, the last has no end."""

ABI_NATIVE, ABI_IA32, ABI_X32 = 0, 1, 2

_LANES = struct.Struct(f"<{BUCKETS}Q")
LANE = (1 << 64) - 1
_HISTOGRAM = (1 << 64 * BUCKETS) - 1
_UNKEPT_BIT = 64 * (5 + BUCKETS)
_LANES_OF, _PEAK_OF = itemgetter(0), itemgetter(1)


class Syscall(NamedTuple):
    """One system call of one ABI: ABI number, syscall number, and its name (`read`, `ia32:read`, `syscall_1234`)."""

    abi: int
    nr: int
    name: str


class _Sums(NamedTuple):
    packed: int
    """Everything that adds up, as unsigned 64-bit lanes, little end first: calls, returns, errors, unreturned,
    time_ns, the histogram's buckets, unkept. Adding two of them is one addition."""
    max_ns: int


class Counters(_Sums):
    """What was counted for one syscall of one process, or for any sum of such; times in ns.

    `buckets` is the latency histogram, packed as 24 lanes of 64 bits; `unpack_buckets` opens it.
    """

    __slots__ = ()
    of_lanes: "ClassVar[Callable[[tuple[int, int]], Counters]]"
    """Counters from (packed lanes, max_ns), as the kernel side lays them out."""

    def __new__(
        cls,
        calls: int = 0,
        returns: int = 0,
        errors: int = 0,
        unreturned: int = 0,
        time_ns: int = 0,
        max_ns: int = 0,
        buckets: int = 0,
    ) -> Self:
        """Counters from their parts; `of_lanes` is fast where there are thousands."""
        packed = calls | returns << 64 | errors << 128 | unreturned << 192 | time_ns << 256 | buckets << 320
        return tuple.__new__(cls, (packed, max_ns))

    @classmethod
    def without_row(cls, calls: int) -> "Counters":
        """Calls of which nothing is known but their number."""
        return cls.of_lanes((calls | calls << _UNKEPT_BIT, 0))

    @property
    def calls(self) -> int:
        """Calls entered."""
        return self[0] & LANE

    @property
    def returns(self) -> int:
        """Calls that returned."""
        return self[0] >> 64 & LANE

    @property
    def errors(self) -> int:
        """Returned calls that failed; restarts are not failures."""
        return self[0] >> 128 & LANE

    @property
    def unreturned(self) -> int:
        """Calls that ended with their thread (exit, exit_group, a fatal signal)."""
        return self[0] >> 192 & LANE

    @property
    def time_ns(self) -> int:
        """Time spent in the returned calls."""
        return self[0] >> 256 & LANE

    @property
    def buckets(self) -> int:
        """The packed histogram."""
        return self[0] >> 320 & _HISTOGRAM

    @property
    def unkept(self) -> int:
        """Calls without a row (Loss.rows): counted, but what became of them is not known."""
        return self[0] >> _UNKEPT_BIT

    @property
    def in_flight(self) -> int:
        """Calls that have neither returned nor died with their thread."""
        return self.calls - self.returns - self.unreturned - self.unkept

    @property
    def mean_ns(self) -> float:
        """Mean time of a returned call in ns, 0.0 where none returned."""
        return self.time_ns / self.returns if self.returns else 0.0

    def plus(self, other: "Counters") -> "Counters":
        """The sum of two counters (the larger of their maxima)."""
        return Counters.of_lanes((self[0] + other[0], self[1] if self[1] > other[1] else other[1]))


Counters.of_lanes = partial(tuple.__new__, Counters)
NOTHING = Counters()


def unpack_buckets(packed: int) -> tuple[int, ...]:
    """The 24 bucket counts of a packed histogram, shortest latency first."""
    return _LANES.unpack(packed.to_bytes(_LANES.size, "little"))


def bucket_floor_ns(index: int) -> int:
    """The shortest latency in ns that falls into bucket `index`."""
    return 0 if index == 0 else 1 << (7 + index)


class InFlight(NamedTuple):
    """A thread inside a syscall at the moment of the reading; `since_ns` is by the clock of Snapshot.time_ns."""

    tid: int
    tgid: int
    syscall: Syscall
    since_ns: int
    about: str | None = None
    """Path, file or peer, where it is known."""
    earlier: bool = False
    """Whether it had begun before its thread was attached to: that was at `since_ns` then."""


class Loss(NamedTuple):
    """What could not be counted, each a number of events; all zero means that nothing was lost."""

    rows: int = 0
    """Calls that found pid_syscall_map full: in the per-syscall totals, in no process."""
    returns: int = 0
    """Returns that found pid_syscall_map full: counted as calls, their time and error not."""
    errnos: int = 0
    """Errors that found the errno map full: counted as errors, the errno not known."""
    tasks: int = 0
    """Threads and processes that found the task map full: not watched at all."""
    processes: int = 0
    """Forks that found the process map full: neither the child nor its descendants are watched."""
    reused: int = 0
    """Process ids used again before the first one was read: two processes share one row."""
    missed: int | None = 0
    """Runs of the BPF programs that the kernel skipped: an entry without its exit, or an exit without its entry that
    no filter and no tracer explains. None if that cannot be seen: programs on tracefs tracepoints are skipped while
    the CPU is in another BPF operation (trace_call_bpf in kernel/trace/bpf_trace.c), entry and exit together."""
    foreign: int = 0
    """Threads that are another user's, or have become so: what they do is not counted."""
    hidden: int | None = 0
    """None if /proc hides what is another user's from denet-tui: whether there is such a process is not known."""
    begun: int = 0
    """Threads that were first met as a call of theirs failed: it began before that, or was refused since (attach)."""
    unsettled: int = 0
    """Calls by which the per-process rows and the per-syscall totals differ beyond `rows`."""

    @property
    def exact(self) -> bool:
        """Whether nothing at all is short, as far as the kernel side can vouch for it."""
        return not self.short and None not in self

    @property
    def short(self) -> int:
        """Events that are known to be missing."""
        return sum(value for value in self if value)

    @property
    def counted(self) -> str:
        """What is known to be missing and by how much, as one line; empty where nothing is."""
        lost = ((value, *_LOSS_WORDS[name]) for name, value in self._asdict().items() if value)
        return ", ".join(f"{value:,} {what}{'s' * (value != 1)} {how}" for value, what, how in lost)

    def describe(self) -> str:
        """What keeps the counts from being exact, as one line; empty where nothing does."""
        unseen = " and ".join(_UNSEEN[name] for name, value in self._asdict().items() if value is None)
        return self.counted or (f"nothing is known to be missing, but {unseen}" if unseen else "")

    def plus(self, other: "Loss") -> "Loss":
        """Both added up; what cannot be seen in one of them cannot be seen in the sum."""
        added = (None if one is None or two is None else one + two for one, two in zip(self, other, strict=True))
        return Loss._make(added)

    def since(self, before: "Loss") -> "Loss":
        """What has come since an earlier one."""
        return self.plus(Loss(*(-(each or 0) for each in before)))


_LOSS_WORDS = {
    "rows": ("call", "not assigned to a process (pid_syscall_map full)"),
    "returns": ("return", "without a time (pid_syscall_map full)"),
    "errnos": ("error", "without an errno (errno map full)"),
    "tasks": ("thread", "not watched (task map full)"),
    "processes": ("fork", "not watched (process map full)"),
    "reused": ("process id", "reused before being read"),
    "missed": ("probe run", "skipped by the kernel"),
    "foreign": ("thread", "of another user, or gone on as one, not counted (root can: --as-root)"),
    "begun": ("failed call", "begun before the attach, or refused just after it, not counted"),
    "unsettled": ("call", "not accounted for"),
}
_UNSEEN = {
    "missed": "tracefs tracepoints, and recordings by denet, do not show skipped calls",
    "hidden": "/proc hides what runs below it as another user (hidepid), and none of that is counted",
}


NO_LOSS = Loss()


def added_up(rows: Collection[Counters]) -> Counters:
    """The sum of any number of counters; adds in C where there are thousands."""
    return Counters.of_lanes((sum(map(_LANES_OF, rows)), max(map(_PEAK_OF, rows), default=0)))


ErrorKey = tuple[Syscall, int]
Errnos = Mapping[ErrorKey, int]
"""How often each syscall failed with which errno."""
ProcessKey = tuple[int, int]
"""The tgid and the start: what tells a process from a later one with the same id."""

KEPT_ENDED = 500
"""Ended processes that stay in the snapshots; the totals of all others stay in the sums."""


_NONE: Mapping[Any, Any] = MappingProxyType({})


class ProcessInfo(NamedTuple):
    """One watched process: its identity, how it ended, and what it called; times are by the clock of Snapshot.time_ns.

    `tgid` is the id in the initial PID namespace and `pid` the one that the user sees; they differ
    only inside a PID namespace. `status` is a wait status (see os.waitstatus_to_exitcode), None
    while the process lives and where the kernel could not tell. `lost` is a process whose record the kernel side
    has not got any more: whether it has ended is not known. `cut`: the command line goes on. `cgroup` is its path as it
    was first seen and after each exec, None if it had ended by then or has none. `syscalls` and `total`
    are cumulative, `recent` and `delta` are those of the last interval. `errnos` counts (syscall, errno).
    """

    tgid: int
    pid: int
    ppid: int
    comm: str
    cmdline: tuple[str, ...]
    start_ns: int
    end_ns: int | None = None
    status: int | None = None
    execs: int = 0
    exec_ns: int | None = None
    lost: bool = False
    cut: bool = False
    cgroup: str | None = None
    usage: Usage = NO_USAGE
    total: Counters = NOTHING
    delta: Counters = NOTHING
    syscalls: Mapping[Syscall, Counters] = _NONE
    recent: Mapping[Syscall, Counters] = _NONE
    errnos: Errnos = _NONE
    programs: Programs | None = None
    """None if that is not watched; so is `time`, and where it is not known."""
    time: Time | None = None

    @property
    def key(self) -> ProcessKey:
        """What tells it from a later one with the same id."""
        return self.tgid, self.start_ns

    @property
    def alive(self) -> bool:
        """Whether the kernel has not seen the last thread of the process end; False if that is not known."""
        return self.end_ns is None and not self.lost


class Snapshot(NamedTuple):
    """Everything that was known at one moment; cumulative since the start unless named otherwise.

    Every number in it belongs to one instant, `time_ns` (CLOCK_MONOTONIC of the initial time namespace, which stands
    still while the machine sleeps): the kernel side is read half by half, each half at rest (bpf/kernel/program.c), so
    that the sums agree in every snapshot. `in_flight` is the exception: it lists the threads inside a call when the
    list is read, a little later. `processes` are the living and the most recently ended ones, in the order of their
    start; `forgotten` counts the ended ones that are no longer among them. `wall_ms` is Unix time.
    """

    time_ns: int
    wall_ms: int
    elapsed_ns: int
    """Since the command was let go."""
    interval_ns: int
    """Length of the interval that `recent` and every `delta` cover."""
    syscalls: Mapping[Syscall, Counters]
    recent: Mapping[Syscall, Counters]
    errnos: Errnos
    processes: tuple[ProcessInfo, ...]
    total: Counters
    delta: Counters
    loss: Loss = NO_LOSS
    in_flight: tuple[InFlight, ...] = ()
    ended: tuple[ProcessInfo, ...] = ()
    """Processes whose numbers became final in this interval; each ended one is in exactly one snapshot's `ended`."""
    forgotten: int = 0
    running: bool = True
    """False once the command has ended."""
    status: int | None = None
    """Wait status of the command, None while it runs."""
    accounts: Accounts = UNKNOWN
    """Of all processes together."""
    cpu_percent: float = 0.0
    """Of the interval, with those that ended in it; 100 is one core."""
    asleep_ns: int = 0
    """How long the machine has slept since the start: no other time here counts that."""
    set_ns: int = 0
    """By how much the wall clock was set since the start."""
    detail: Detail = NO_DETAIL

    @property
    def exact(self) -> bool:
        """Whether nothing was lost, every sum agrees, and a recording has all of it."""
        return self.loss.exact and not self.detail.lacks

    @property
    def doubt(self) -> str:
        """What keeps it from being exact, as one line; empty where nothing does."""
        return "; ".join(filter(None, (self.loss.counted, *self.detail.lacks))) or self.loss.describe()


class RunInfo(NamedTuple):
    """What does not change while a command is watched: its `user`, the machine's `cpus`, where it began (`cwd`)."""

    argv: tuple[str, ...]
    executable: str
    pid: int
    """Of the command, as the user sees it; 0 for several, and for the whole machine."""
    method: str
    """`raw` (raw tracepoints) or `tracefs` (tracefs tracepoints)."""
    user: str
    interval_s: float
    start_wall_ms: int
    start_ns: int
    notes: tuple[str, ...] = ()
    """Things about this run that the user must know (running as root, ABI not told apart, ...)."""
    cpus: int | None = None
    cwd: str | None = None


class LogEntry(NamedTuple):
    """A message of denet-tui itself; `time_s` is Unix time, `level` one of debug, info, warning, error."""

    time_s: float
    level: str
    text: str
