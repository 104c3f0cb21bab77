"""The self-test: a process makes 1,000 known calls, and what was counted is compared with that."""

from __future__ import annotations

import errno
from typing import Any

from denet_tui.bpf import burst
from denet_tui.bpf.burst import Outcome
from denet_tui.bpf.tracer import Tracer
from denet_tui.syscalls import numbers

_ON_BAD_DESCRIPTOR = """
    read write close lseek fstat fsync fdatasync dup dup2 dup3 fcntl ioctl getdents getdents64 pread64 pwrite64 readv
    writev preadv pwritev preadv2 pwritev2 ftruncate fallocate fadvise64 readahead fchmod fchown fchdir fstatfs
    flock syncfs sync_file_range sendfile tee splice vmsplice copy_file_range
    getsockname getpeername getsockopt setsockopt bind connect listen accept accept4 recvfrom sendto recvmsg
    sendmsg recvmmsg sendmmsg shutdown epoll_ctl inotify_add_watch inotify_rm_watch timerfd_gettime timerfd_settime
    fgetxattr flistxattr fsetxattr fremovexattr utimensat futimesat pidfd_send_signal pidfd_getfd
"""
"""They fail with EBADF (a few with EINVAL or EFAULT before that): descriptor -1 does not exist."""
_ON_BAD_ADDRESS = """
    open openat creat access faccessat faccessat2 stat lstat newfstatat statx statfs readlink readlinkat getxattr
    lgetxattr listxattr llistxattr mkdir mkdirat rmdir unlink unlinkat rename renameat renameat2 link linkat symlink
    symlinkat chdir chmod fchmodat chown lchown fchownat truncate memfd_create execve
    uname times time gettimeofday sysinfo nanosleep pipe pipe2 getresuid getresgid sigaltstack capget getcpu
"""
"""They fail with EFAULT (a few with EINVAL): address -1 is in no process, and is looked at before anything is done."""
_ON_BAD_ARGUMENT = """
    openat2 getcwd select epoll_wait epoll_create1 inotify_init1 timerfd_create socket close_range
    clock_gettime clock_getres clock_nanosleep getitimer getrusage getrlimit getpriority getgroups getsid getpgid
    sched_getaffinity sched_getparam sched_getscheduler sched_get_priority_max sched_get_priority_min
    sched_rr_get_interval mmap munmap mprotect madvise mremap mincore msync membarrier waitid wait4
    rt_sigaction rt_sigprocmask prctl arch_prctl ioprio_get futex
"""
"""They fail with EINVAL, ESRCH or the like: -1 is no clock, no policy, no process, no aligned address."""
_WITHOUT_EFFECT = "getpid getppid gettid getuid geteuid getgid getegid getpgrp sched_yield getrandom poll brk"
"""They change nothing whatever they are given; brk(-1) only tells where the break is."""
HARMLESS = tuple(f"{_ON_BAD_DESCRIPTOR} {_ON_BAD_ADDRESS} {_ON_BAD_ARGUMENT} {_WITHOUT_EFFECT}".split())
"""Calls that change nothing when their first argument is -1 and the others are 0, where this machine has them."""


def run(tracer: Tracer, name: str) -> Outcome:
    """Make and count burst.CALLS calls of `name` (one of HARMLESS); raises ValueError for any other."""
    if name not in HARMLESS or name not in numbers():
        known = " ".join(sorted(set(HARMLESS) & numbers().keys()))
        raise ValueError(f"{name!r} cannot be called without effect; choose one of: {known}")
    return burst.count(tracer, numbers()[name])


def explain(outcome: Outcome) -> str:
    """The outcome in one or two lines."""
    words = ", ".join(f"{errno.errorcode.get(number, number)} {count:,}" for number, count in outcome.errnos.items())
    line = f"{outcome.name}: {outcome.made:,} calls made, {outcome.counted:,} counted" + (
        f" ({words})" if words else ""
    )
    return line + (": exact" if outcome.exact else f": NOT exact{'; ' + outcome.loss if outcome.loss else ''}")


def as_object(outcome: Outcome) -> dict[str, Any]:
    """The outcome for `selftest --json`; errnos by name."""
    return {
        "syscall": outcome.name,
        "made": outcome.made,
        "counted": outcome.counted,
        "errnos": _by_name(outcome.errnos),
        "expected_errnos": _by_name(outcome.expected_errnos),
        "loss": outcome.loss,
        "exact": outcome.exact,
    }


def _by_name(errnos: dict[int, int]) -> dict[str, int]:
    return {errno.errorcode.get(number, str(number)): count for number, count in errnos.items()}
