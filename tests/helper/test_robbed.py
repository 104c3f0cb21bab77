"""The setup screen and its helper where the uid is the user's own (setpriv): another process of that user gets in."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.person import Person
from tests.watch.helpers import denets, eventually, tmux

pytestmark = pytest.mark.root

ROBBER = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
GETFD, READV, SEIZE = 438, 310, 0x4206

def tries(pid):
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError: # it has ended
        return
    yield "pidfd_getfd", max(libc.syscall(GETFD, pidfd, number, 0) for number in range(64)) >= 0
    yield "ptrace", libc.ptrace(SEIZE, pid, 0, 0) == 0
    for name in ("mem", "environ"):
        try:
            os.close(os.open(f"/proc/{pid}/{name}", os.O_RDONLY))
            yield name, True
        except OSError:
            yield name, False

for pid in map(int, sys.argv[1:]):
    print(pid, *(name for name, got in tries(pid) if got))
"""
"""Says for each process how it gets into it."""

TWO = "-all,+bpf,+perfmon"
SETS = (f"--inh-caps={TWO}", f"--ambient-caps={TWO}", f"--bounding-set={TWO}", "--no-new-privs")

FORKED = """
import os, signal, sys, time
from denet_tui.bpf import handover
from denet_tui.helper import helper
fork = os.fork
def stopping():
    pid = fork()
    if pid == 0:
        os.kill(os.getpid(), signal.SIGSTOP)
    else:
        os.waitpid(pid, os.WUNTRACED)
        print(pid, flush=True)
    return pid
os.fork = stopping
helper.start()
print("started", flush=True)
time.sleep(60)
"""
"""A helper that is stopped where it has just been forked, until it is told to go on."""


def rob(person: Person, *pids: int) -> dict[int, set[str]]:
    """How a process of this user, without any capability, gets into each of these."""
    path = person.home / "robber"
    path.write_text(ROBBER)
    done = person.shell('"$@"', sys.executable, str(path), *map(str, pids))
    assert done.returncode == 0, done.stderr
    return {int(pid): set(ways) for pid, *ways in map(str.split, done.stdout.splitlines())}


def test_nobody_of_the_same_user_gets_into_the_setup_screen_or_its_helper(person: Person, tmp_path: Path) -> None:
    """Whoever had the screen's end of the helper's socket could have the program loaded, and take what it counts."""
    sleeper = subprocess.Popen(person.argv("exec sleep 60"))
    with tmux(tmp_path) as terminal:
        argv = person.argv("exec $denet setup", become=SETS, TERM="screen-256color", LANG="C.UTF-8")
        path = person.home / "typed"
        path.write_text(f"clear; {shlex.join(argv)}\n")
        terminal.line(f". {path}")
        eventually(lambda: re.search("enter goes on|need|left", terminal.screen()), "the setup screen")
        mine = denets(terminal.shell)
        assert len(mine) >= 3, "the screen, its helper, and the supervisor of a command"
        ways = rob(person, sleeper.pid, *mine)
        terminal.type("q")
    sleeper.kill()
    sleeper.wait()
    assert ways.pop(sleeper.pid) == {"pidfd_getfd", "ptrace", "mem", "environ"}, "it gets into others of that user"
    assert ways == {pid: set() for pid in mine}


def test_nor_into_a_helper_that_has_just_been_forked(person: Person) -> None:
    script = person.home / "forked"
    script.write_text(FORKED)
    argv = person.argv('exec "$@"', sys.executable, str(script), become=SETS)
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        pid = int(process.stdout.readline())
        try:
            assert rob(person, pid) == {pid: set()}
        finally:
            os.kill(pid, 18)
        assert process.stdout.readline() == "started\n"
        assert rob(person, pid) == {pid: set()}
        process.kill()
