"""Frozen values of what is watched besides the calls; model.py has them in its processes and snapshots."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from denet_tui.touched import Touched

KEPT_EXECS = 100
"""Of a process: the newest."""
_KEPT_GAPS = 5


class Exec(NamedTuple):
    """A program that a process has become at `at_ns`, or (with an errno) has not; None is what is not known.

    `path` is as it was given; `cut` and `path_cut` say that there is more of the words and of the path.
    """

    tgid: int
    at_ns: int
    path: str | None
    argv: tuple[str, ...] | None
    cwd: str | None
    uid: int
    errno: int | None
    cut: bool = False
    path_cut: bool = False
    user: str | None = None
    """The name of `uid` on the machine that it ran on."""

    @property
    def file(self) -> str | None:
        """Its file, where the words name another: the process that starts it may call it anything."""
        if self.errno or self.path is None or not self.argv:
            return None
        named = self.argv[0].removeprefix("-")  # of a shell that is logged into
        same = self.path if "/" in named else self.path.rpartition("/")[2]
        return None if named == same else self.path + "…" * self.path_cut


class Programs(NamedTuple):
    """What a process has executed, also in vain: the newest, and how many there were before these."""

    kept: tuple[Exec, ...] = ()
    dropped: int = 0

    def plus(self, executed: Exec) -> "Programs":
        """With one more."""
        all_of_them = (*self.kept, executed)
        return Programs(all_of_them[-KEPT_EXECS:], self.dropped + max(0, len(all_of_them) - KEPT_EXECS))

    @property
    def last(self) -> Exec | None:
        """The program that it is, where its exec was watched."""
        return next((each for each in reversed(self.kept) if not each.errno), None)

    def ran(self, end_ns: int | None) -> list[tuple[Exec, int | None]]:
        """Each with how long (ns) the program ran; None for what did not run, and for what still does."""
        found, until_ns = list[tuple[Exec, int | None]](), end_ns
        for each in reversed(self.kept):
            found.append((each, None if each.errno or until_ns is None else until_ns - each.at_ns))
            until_ns = until_ns if each.errno else each.at_ns
        return found[::-1]


class Wait(NamedTuple):
    """What threads have waited in calls: blocked, and then for a CPU."""

    blocked_ns: int = 0
    runqueue_ns: int = 0

    def plus(self, other: "Wait") -> "Wait":
        """Both added up."""
        return Wait(self.blocked_ns + other.blocked_ns, self.runqueue_ns + other.runqueue_ns)


NO_WAITS: Mapping[Any, Wait] = MappingProxyType({})
"""What has been waited in calls is not known."""


class Time(NamedTuple):
    """Where the time of threads went, each from when it was first seen; the parts are all of it.

    In user space are page faults and interrupts as well, and what watching costs at the entry and exit of a call.
    """

    user_ns: int = 0
    kernel_ns: int = 0
    """On a CPU, in calls."""
    runqueue_ns: int = 0
    """Able to run, waiting for a CPU."""
    blocked_ns: int = 0
    waits: Mapping[Any, Wait] = NO_WAITS
    """By syscall, what of it was in calls that are counted."""
    unknown_ns: int = 0
    """Where, the kernel has not told."""

    def plus(self, other: "Time") -> "Time":
        """Both added up; the waits are those of this one."""
        user, kernel, runqueue, blocked, _, unknown = other
        return Time(
            self.user_ns + user,
            self.kernel_ns + kernel,
            self.runqueue_ns + runqueue,
            self.blocked_ns + blocked,
            self.waits,
            self.unknown_ns + unknown,
        )

    @property
    def whole_ns(self) -> int:
        """Threads times wall time."""
        return self.user_ns + self.kernel_ns + self.runqueue_ns + self.blocked_ns + self.unknown_ns


class Seen(NamedTuple):
    """What /proc shows at the moment of a process that lives; None is what this user may not know."""

    uid: int
    """Effective."""
    user: str
    cwd: str | None
    age_ns: int
    """How long it has been there."""
    threads: Mapping[int, str] = MappingProxyType({})
    """The names of the first ones, by the thread id that this user sees."""


class Gap(NamedTuple):
    """Ticks that a recording lacks: why, and between which moments, in ns since the start."""

    why: str
    from_ns: int
    until_ns: int

    @property
    def words(self) -> str:
        """One line."""
        return f"{self.why}: nothing is known of {self.from_ns / 1e9:.1f} s to {self.until_ns / 1e9:.1f} s"


class Detail(NamedTuple):
    """What a snapshot has besides the calls; None is what is not watched."""

    execs: tuple[Exec, ...] | None = None
    """All of the interval."""
    turned_away: Mapping[str, int] = MappingProxyType({})
    """By table (`execs`), how many have found it full since the start: they are not told."""
    time: Time | None = None
    """Of all processes since the start; None also where it is not known of one."""
    touched: Touched | None = None
    """Since the start."""
    notes: tuple[str, ...] = ()
    """What has come up since the start, and must be known."""
    left_out: int = 0
    """Ticks before this one that a recording lacks, as its reader was too slow."""
    cpus: int | None = None
    """Of the machine."""
    gaps: tuple[Gap, ...] = ()
    """Other ticks before this one that a recording lacks; the last of many stands for all that follow it."""

    def with_gap(self, gap: Gap) -> "Detail":
        """With one more."""
        if len(self.gaps) < _KEPT_GAPS:
            return self._replace(gaps=(*self.gaps, gap))
        *kept, last = self.gaps
        return self._replace(gaps=(*kept, Gap("more is missing", last.from_ns, gap.until_ns)))

    @property
    def lacks(self) -> list[str]:
        """What of the ticks before this one a recording lacks, a line each."""
        ticks = f"{self.left_out:,} tick{'s' if self.left_out > 1 else ''}"
        slow = f"the recording lacks {ticks}: its reader was too slow for them"
        return [*([slow] if self.left_out else []), *(each.words for each in self.gaps)]


NO_DETAIL = Detail()


class Accounts(NamedTuple):
    """What a process has used since it began, or since it is watched, by the kernel's own accounts; None: not known."""

    cpu_ns: int | None = None
    minor_faults: int | None = None
    major_faults: int | None = None
    read_bytes: int | None = None
    """From disks; so is `write_bytes` to them (man 5 proc_pid_io)."""
    write_bytes: int | None = None
    max_rss_bytes: int | None = None
    """Most memory at a time, as getrusage(2) tells it."""

    @classmethod
    def together(cls, some: "Iterable[Accounts]") -> "Accounts":
        """One or more added up, the largest of their memories; what is not known of one is not known of all."""
        *columns, peaks = zip(*some, strict=True)
        most = None if None in peaks else max(peaks)
        return cls(*(None if None in each else sum(each) for each in columns))._replace(max_rss_bytes=most)


class Usage(NamedTuple):
    """CPU and memory of a process that lives, from /proc, and what it has used so far, or had when it ended."""

    cpu_percent: float = 0.0
    """100 is one core."""
    rss_bytes: int = 0
    vms_bytes: int = 0
    threads: int = 0
    accounts: Accounts = Accounts()


NO_USAGE, UNKNOWN, NOTHING_USED = Usage(), Accounts(), Accounts(0, 0, 0, 0, 0, 0)
