"""The terminal goes, and no signal says so: it is another session's, or the shell between is deaf to hang-ups."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.person import Person
from tests.real import environment
from tests.watch.helpers import DENET, PATIENCE, alive, children, eventually, text_of

pytestmark = pytest.mark.root


@contextmanager
def on_terminal(folder: Path, *argv: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """What was started, and the other side of its terminal, which is not its session's: nobody hangs up on it."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    env = environment() | {"TERM": "xterm-256color"}
    running = subprocess.Popen(
        argv, stdin=slave, stdout=slave, stderr=slave, env=env, cwd=folder, start_new_session=True
    )
    os.close(slave)
    try:
        yield running, master
    finally:
        for pid in (*children(running.pid), running.pid):
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
        running.wait(PATIENCE)


def read_until(master: int, wanted: bytes) -> None:
    seen, due = b"", time.monotonic() + PATIENCE
    while wanted not in seen:
        assert select.select([master], [], [], max(0.0, due - time.monotonic()))[0], seen[-300:]
        seen += os.read(master, 65536)


@pytest.mark.parametrize(("by", "keys"), [("su", b""), ("root", b"Re"), ("root", b"?"), ("root", b"\x10")])
def test_setup_and_its_helper_end_with_the_terminal(person: Person, by: str, keys: bytes) -> None:
    typed = ["su", "-c", f"sudo {' '.join(DENET)} setup", person.name] if by == "su" else [*DENET, "setup"]
    with on_terminal(person.home, *typed) as (running, master):
        read_until(master, b"denet-tui setup")
        family = children(running.pid)
        assert family
        os.write(master, keys)
        os.close(master)
        running.wait(PATIENCE)
        eventually(lambda: not any(map(alive, family)), "the helper has ended, too")


@pytest.mark.parametrize("policy", ["kill", "leave"])
def test_the_live_screen_ends_with_the_terminal_and_does_as_on_quit_says(tmp_path: Path, policy: str) -> None:
    script = "echo $$ > pid; exec sleep 100"
    words = (*DENET, "run", "--on-quit", policy, "--summary", "summary", "--", "sh", "-c", script)
    with on_terminal(tmp_path, *words) as (running, master):
        read_until(master, b"\x1b[?1049h")
        eventually(lambda: text_of(tmp_path / "pid").endswith("\n"), "the command runs")
        command = int(text_of(tmp_path / "pid"))
        os.close(master)
        try:
            running.wait(PATIENCE)
            assert alive(command) is (policy == "leave")
            assert '"kind":"summary"' in text_of(tmp_path / "summary")
        finally:
            if alive(command):
                os.kill(command, signal.SIGKILL)
