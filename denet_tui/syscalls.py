"""Names of syscalls by ABI and number, numbers by name, their classes, and the names of errnos and signals.

The classes follow the sections of the kernel's own tables (include/linux/syscalls.h is ordered by the
source file that defines a call: fs/, mm/, net/, ipc/, kernel/signal.c, kernel/time/, security/, …).
No syscall is in two classes.
"""

from __future__ import annotations

import errno
import re
import signal
from collections.abc import Sequence
from functools import cache, lru_cache
from types import MappingProxyType

from system_calls import syscalls as _table_of

from denet_tui.model import ABI_IA32, ABI_NATIVE, ABI_X32, Syscall
from denet_tui.system import uname

X32_BIT = 0x40000000
NUMBERS = 640
"""Numbers of an ABI that are counted one by one; the last stands for all others (bpf/kernel/maps.c)."""
_ARCHITECTURES = {"aarch64": "arm64", "riscv64": "riscv64", "ppc64le": "powerpc64", "s390x": "s390x"}
_PREFIXES = {ABI_NATIVE: "", ABI_IA32: "ia32:", ABI_X32: "x32:"}

_NAME = re.compile(r"(\w+:)?\w{1,64}|(\w+:)?syscall_-\d+", re.ASCII)
_WORD = re.compile(r"\s*!?\s*/[^/]*/\s*|[^,]+")
_UNNAMED = re.compile(r"syscall_(-?\d{1,10})")

OTHER = "other"
"""The class of numbers without a name."""

_MEMBERS = {
    "file": """
        _llseek access cachestat chdir chmod chown chown32 chroot close close_range copy_file_range creat dup dup2 dup3
        epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd
        eventfd2 faccessat faccessat2 fadvise64 fadvise64_64 fallocate fanotify_init fanotify_mark fchdir fchmod
        fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr file_getattr file_setattr
        flistxattr flock fremovexattr fsconfig fsetxattr fsmount fsopen fspick fstat fstat64 fstatat64 fstatfs
        fstatfs64 fsync ftruncate ftruncate64 futimesat getcwd getdents getdents64 getxattr getxattrat
        inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents
        io_pgetevents io_pgetevents_time64 io_setup io_submit io_uring_enter io_uring_register io_uring_setup ioctl
        ioprio_get ioprio_set lchown lchown32 lgetxattr link linkat listmount listns listxattr listxattrat llistxattr
        lookup_dcookie lremovexattr lseek lsetxattr lstat lstat64 mkdir mkdirat mknod mknodat mount mount_setattr
        move_mount name_to_handle_at newfstatat nfsservctl oldfstat oldlstat oldstat open open_by_handle_at open_tree
        open_tree_attr openat openat2 pivot_root poll ppoll ppoll_time64 pread64 preadv preadv2 pselect6
        pselect6_time64 pwrite64 pwritev pwritev2 quotactl quotactl_fd read readahead readdir readlink readlinkat readv
        removexattr removexattrat rename renameat renameat2 rmdir select _newselect sendfile sendfile64 setxattr
        setxattrat splice stat stat64 statfs statfs64 statmount statx swapoff swapon symlink symlinkat sync
        sync_file_range sync_file_range2 syncfs sysfs tee truncate truncate64 umask umount umount2 unlink unlinkat
        userfaultfd uselib ustat utime utimensat utimensat_time64 utimes vmsplice write writev
    """,
    "network": """
        accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg recvmmsg_time64
        recvmsg send sendmmsg sendmsg sendto setsockopt shutdown socket socketcall socketpair
    """,
    "memory": """
        brk get_mempolicy madvise map_shadow_stack mbind membarrier memfd_create memfd_secret migrate_pages mincore
        mlock mlock2 mlockall mmap mmap2 move_pages mprotect mremap mseal msync munlock munlockall munmap
        pkey_alloc pkey_free pkey_mprotect process_madvise process_mrelease process_vm_readv process_vm_writev
        remap_file_pages set_mempolicy set_mempolicy_home_node
    """,
    "process": """
        _exit arch_prctl capget capset clone clone3 execve execveat exit exit_group fork get_robust_list
        get_thread_area getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getpgid getpgrp
        getpid getppid getpriority getresgid getresgid32 getresuid getresuid32 getrlimit getrusage getsid gettid
        getuid getuid32 ioperm iopl kcmp modify_ldt nice personality pidfd_getfd pidfd_open prctl prlimit64 ptrace
        rseq rseq_slice_yield sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr
        sched_getparam sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity
        sched_setattr sched_setparam sched_setscheduler sched_yield set_robust_list set_thread_area set_tid_address
        setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setns setpgid setpriority setregid
        setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit setsid setuid setuid32
        ugetrlimit unshare vfork vm86 vm86old wait4 waitid waitpid
    """,
    "signal": """
        kill pause pidfd_send_signal restart_syscall rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo
        rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sgetmask sigaction
        sigaltstack signal signalfd signalfd4 sigpending sigprocmask sigreturn sigsuspend ssetmask tgkill tkill
    """,
    "ipc": """
        futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake ipc mq_getsetattr mq_notify mq_open
        mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink msgctl msgget msgrcv msgsnd
        pipe pipe2 semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget
    """,
    "time": """
        adjtimex alarm clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64
        clock_nanosleep clock_nanosleep_time64 clock_settime clock_settime64 getitimer gettimeofday nanosleep
        setitimer settimeofday stime time timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64
        timer_settime timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime
        timerfd_settime64 times
    """,
    "security": """
        add_key bpf keyctl landlock_add_rule landlock_create_ruleset landlock_restrict_self lsm_get_self_attr
        lsm_list_modules lsm_set_self_attr request_key seccomp
    """,
    "system": """
        _sysctl acct afs_syscall bdflush break create_module delete_module finit_module ftime get_kernel_syms getcpu
        getpmsg getrandom gtty idle init_module kexec_file_load kexec_load lock mpx olduname oldolduname
        perf_event_open prof profil putpmsg query_module reboot rtas security setdomainname sethostname stty sysinfo
        syslog tuxcall ulimit uname uprobe uretprobe vhangup vserver
    """,
}
_CLASS_OF = {name: kind for kind, names in _MEMBERS.items() for name in names.split()}

MEMBERS = MappingProxyType({kind: frozenset(names.split()) for kind, names in _MEMBERS.items()})
"""The names of the syscalls of every class, of all architectures."""
CLASSES = tuple(_MEMBERS)

_WAITING = """
    accept accept4 clock_nanosleep connect epoll_pwait epoll_pwait2 epoll_wait fcntl flock futex futex_wait futex_waitv
    io_getevents io_pgetevents io_uring_enter mq_timedreceive msgrcv nanosleep pause poll ppoll pselect6 read readv
    recvfrom recvmmsg recvmsg restart_syscall rt_sigsuspend rt_sigtimedwait select semop semtimedop vfork wait4
    waitid
    """
_PARTNERS = "ioctl mq_timedsend msgsnd sendfile sendmmsg sendmsg sendto splice tee vmsplice write writev"
WAITS = frozenset(_WAITING.split())
"""Calls that take as long as another process lets them wait."""
PARTNERS = frozenset(_PARTNERS.split())
"""Calls that do so where what they write to, or ask, is not a file."""

_CHILDREN = frozenset(["wait4", "waitid", "waitpid"])

# Several names share a number; these are the ones that strace and the man pages show.
_ERRNO_NAMES = {**errno.errorcode, errno.EOPNOTSUPP: "EOPNOTSUPP", errno.EDEADLK: "EDEADLK", errno.EAGAIN: "EAGAIN"}


@cache
def numbers(abi: int = ABI_NATIVE) -> dict[str, int]:
    """Syscall numbers of this machine by name, for one ABI (x32's without its marker bit)."""
    machine = uname.machine()
    if machine == "x86_64":
        architecture = {ABI_IA32: "i386", ABI_X32: "x32"}.get(abi, "x86_64")
    else:
        architecture = _ARCHITECTURES.get(machine, machine)
    table: dict[str, int] = _table_of().load_arch_table(architecture)
    return {name: number & ~X32_BIT for name, number in table.items()}


@cache
def _names(abi: int) -> dict[int, str]:
    return {number: name for name, number in numbers(abi).items()}


@cache
def syscall(abi: int, nr: int) -> Syscall:
    """The syscall with this number; unknown ones are named `syscall_N`, foreign ABIs get a prefix (`ia32:read`)."""
    number = nr & ~X32_BIT if abi == ABI_X32 else nr
    return Syscall(abi, nr, _PREFIXES[abi] + _names(abi).get(number, f"syscall_{number}"))


@lru_cache(maxsize=4096)
def named(name: str) -> Syscall:
    """The syscall that `syscall` gives this name; its number is -1 where this machine has none of that name.

    Raises ValueError for what can be no name.
    """
    if not _NAME.fullmatch(name):
        raise ValueError("no name of a system call")
    prefix, colon, plain = name.rpartition(":")
    abi = next((abi for abi, start in _PREFIXES.items() if start == prefix + colon), ABI_NATIVE)
    unnamed = _UNNAMED.fullmatch(plain)
    return Syscall(abi, int(unnamed[1]) if unnamed else numbers(abi).get(plain, -1), name)


@lru_cache(maxsize=4096)
def class_of(call: Syscall) -> str:
    """The class of a syscall, the same in every ABI; `other` for a number without a name."""
    return _CLASS_OF.get(call.name.rpartition(":")[2], OTHER)


def errno_name(number: int) -> str:
    """`ENOENT` for 2; `errno_524` for a number that has no name in user space."""
    return _ERRNO_NAMES.get(number, f"errno_{number}")


def errno_number(name: str) -> int:
    """2 for `ENOENT`, what `errno_name` says; raises ValueError where it says no such thing."""
    number = getattr(errno, name, None) if name.startswith("E") else name.removeprefix("errno_")
    if number is None:
        raise ValueError(f"no errno {name}")
    return int(number)


def signal_name(number: int) -> str:
    """`SIGKILL` for 9; `signal 40` for one without a name of its own, as real-time signals are."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def for_children(call: Syscall) -> bool:
    """Whether it waits for the process's own children: as long as it takes, they are at work."""
    return call.name.rpartition(":")[2] in _CHILDREN


def how_ended(code: int) -> str:
    """How a program ended, after its name: `code` is that of os.waitstatus_to_exitcode, negative for a signal."""
    return f"was killed by {signal_name(-code)}" if code < 0 else f"exited with status {code}"


def words_of(text: str) -> tuple[str, ...]:
    """The words of a choice of syscalls (see `chosen`), which commas part; those inside a /pattern/ do not."""
    return tuple(filter(None, map(str.strip, _WORD.findall(text))))


def chosen(words: Sequence[str]) -> set[tuple[int, int]]:
    """(abi, number) for `Tracer.want` from names, %classes and /regular expressions/, in every ABI that has them.

    What has a ! before it is left out of the others, or of all where there are no others, unnamed numbers included.
    Raises ValueError with what to write instead.
    """
    named, left_out = set[tuple[int, int]](), set[tuple[int, int]]()
    for word in words:
        names = expand(word.removeprefix("!").strip())
        (left_out if word.startswith("!") else named).update(
            (abi, numbers(abi)[name]) for name in names for abi in _PREFIXES if name in numbers(abi)
        )
    found = (named or {(abi, number) for abi in _PREFIXES for number in range(NUMBERS)}) - left_out
    if not found:
        raise ValueError(f"nothing is left to count of --syscalls {','.join(words)}: what has a ! is left out")
    return found


def expand(word: str) -> set[str]:
    """The syscalls that a name, a %class or a /regular expression/ means; raises ValueError, as `chosen` does."""
    known = set[str]().union(*map(numbers, _PREFIXES))
    if word.startswith("%"):
        if word[1:] not in MEMBERS:
            raise ValueError(f"unknown class {word}; there are {', '.join('%' + each for each in CLASSES)}")
        return known & MEMBERS[word[1:]]
    if word.startswith("/"):
        return _matching(word, known)
    if word not in known:
        import difflib  # takes a moment, which a run does not need

        near = difflib.get_close_matches(word, numbers(), n=1)
        raise ValueError(f"unknown syscall {word!r}" + (f"; did you mean {near[0]}?" if near else ""))
    return {word}


def _matching(word: str, known: set[str]) -> set[str]:
    """Those with the pattern anywhere in their name, as grep has it."""
    if len(word) < 3 or word[-1] != "/":
        raise ValueError(f"{word} is no pattern: it stands between two slashes, as in '/^open/'")
    try:
        pattern = re.compile(word[1:-1])
    except re.error as error:
        raise ValueError(f"{word} is no regular expression: {error}") from None
    found = {name for name in known if pattern.search(name)}
    if not found:
        raise ValueError(f"no syscall matches {word}; `denet-tui run --no-tui -- CMD` lists those of a command")
    return found
