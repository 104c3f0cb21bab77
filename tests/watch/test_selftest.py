"""The self-test: its calls change nothing, are counted exactly, and are refused where they would have an effect."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from denet_tui.syscalls import numbers
from denet_tui.watch.selftest import HARMLESS
from tests.real import DENET, environment, run

HERE = sorted(set(HARMLESS) & numbers().keys())
WITH_EFFECTS = {
    *(
        "exit",
        "exit_group",
        "fork",
        "vfork",
        "clone",
        "clone3",
        "kill",
        "tkill",
        "tgkill",
        "reboot",
        "mount",
        "umount2",
    ),
    *("pivot_root", "chroot", "setuid", "setgid", "setsid", "setpgid", "umask", "alarm", "pause", "sync", "unshare"),
    *("sethostname", "settimeofday", "swapon", "init_module", "bpf", "ptrace", "personality", "setgroups", "ppoll"),
    *("eventfd", "eventfd2", "inotify_init", "epoll_create", "rt_sigreturn", "set_tid_address", "vhangup"),
}


def test_nothing_with_an_effect_is_called() -> None:
    assert len(HARMLESS) == len(set(HARMLESS))
    assert not set(HARMLESS) & WITH_EFFECTS
    assert {"read", "openat", "execve", "getpid"} <= set(HERE)


STATE = """
import ctypes, os, signal, sys
def state():
    fields = ("Uid", "Gid", "Groups", "Umask", "CapEff", "SigBlk", "SigIgn", "SigCgt", "Seccomp", "Cpus_allowed")
    status = [line for line in open("/proc/self/status") if line.startswith(fields)]
    limits = open("/proc/self/limits").read()
    descriptors = {name: os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")[:3]}
    files = sorted(os.listdir("."))
    return (status, limits, len(os.listdir("/proc/self/fd")), descriptors, files, os.getcwd(), os.getpriority(0, 0),
            os.getsid(0), os.getpgid(0), os.sched_getscheduler(0), signal.getitimer(signal.ITIMER_REAL),
            open("/proc/self/comm").read(), open("/proc/sys/kernel/hostname").read())
def changes(number):  # forked from one small process: 150 interpreters would take long
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    state()
    before = state()
    for _ in range(10):
        call(ctypes.c_long(number), -1, 0, 0, 0, 0, 0)
    after = state()
    os._exit(before != after)
call = ctypes.CDLL(None, use_errno=True).syscall
print(*(word for word in sys.argv[1:] if changes(int(word))))
"""


def changing(names: list[str], folder: Path) -> list[str]:
    """Of these calls those that change the process that makes them, or end it."""
    known = {str(numbers()[name]): name for name in names}
    words = [sys.executable, "-c", STATE, *known]
    done = subprocess.run(words, cwd=folder, stdout=subprocess.PIPE, text=True, check=True, timeout=60)
    return [known[word] for word in done.stdout.split()]


def test_each_call_leaves_the_process_and_its_folder_as_they_were(tmp_path: Path) -> None:
    assert changing(HERE, tmp_path) == []
    assert list(tmp_path.iterdir()) == []
    with_effects = ["umask", "setsid", "eventfd2", "exit_group"]
    assert changing(with_effects, tmp_path) == with_effects


def test_no_call_of_the_kernel_is_confused_with_another() -> None:
    assert ctypes.CDLL(None).syscall(ctypes.c_long(numbers()["getpid"])) == os.getpid()


EVERY = """
from denet_tui.bpf.handover import Loading
from denet_tui.bpf.request import Request
from denet_tui.bpf.tracer import Tracer
from denet_tui.watch import selftest
import sys
tracer = Tracer(Loading(Request("raw")).receive())
wrong = [outcome for outcome in (selftest.run(tracer, name) for name in sys.argv[1:]) if not outcome.exact]
print(*wrong, sep="\\n")
sys.exit(bool(wrong))
"""


@pytest.mark.root
def test_every_call_is_counted_exactly() -> None:
    done = subprocess.run(
        [sys.executable, "-c", EVERY, *HERE], env=environment(), capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


@pytest.mark.root
def test_json_says_what_was_made_and_counted() -> None:
    done = run([*DENET, "selftest", "--syscall", "openat", "--json"])
    assert json.loads(done.stdout) == {
        "way": "raw",
        "syscall": "openat",
        "made": 1000,
        "counted": 1000,
        "errnos": {"EFAULT": 1000},
        "expected_errnos": {"EFAULT": 1000},
        "loss": "",
        "exact": True,
    }


@pytest.mark.root
@pytest.mark.slow
def test_where_proc_hides_processes_it_counts_all_the_same() -> None:
    """Under sudo the child is not to be looked into, by its own user neither: hidepid hides it from who counts."""
    hidden = ["unshare", "--mount", "sh", "-c", 'mount -t proc -o hidepid=2 proc /proc && exec "$@"', "sh"]
    done = run([*hidden, "env", "SUDO_UID=65534", "SUDO_GID=65534", *DENET, "selftest", "--json"])
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["exact"] is True
    held = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    held += ["--inh-caps=-all,+bpf,+perfmon", "--ambient-caps=-all,+bpf,+perfmon"]
    done = run([*hidden, *held, sys.executable, "-IB", "-m", "denet_tui.bpf.prober", "prove", "raw"])
    assert json.loads(done.stdout.splitlines()[-1])["outcome"]["counted"] == 1000, done.stdout
