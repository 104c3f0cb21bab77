"""The screen on a real terminal: however it is left, the terminal is as it was."""

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

ROOT = Path(__file__).parents[3]
ENTER, LEAVE = b"\x1b[?1049h", b"\x1b[?1049l"
SHOW_CURSOR, PASTES = b"\x1b[?25h", b"\x1b[?2004h"


class OnTerminal:
    """The demo on a pseudo terminal of 100x30."""

    def __init__(self, *options: str) -> None:
        self.master, follower = pty.openpty()
        import fcntl
        import struct

        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.screens.live.demo", "--interval", "0.05", *options],
            stdin=follower, stdout=follower, stderr=follower, cwd=ROOT, start_new_session=True,
            env={**os.environ, "TERM": "xterm-256color"},
        )  # fmt: skip
        os.close(follower)
        self.seen = b""

    def read_until(self, wanted: bytes, seconds: float = 15) -> None:
        """Read until `wanted` has been written."""
        due = time.monotonic() + seconds
        while wanted not in self.seen:
            if not self.read(max(0.0, due - time.monotonic())):
                raise AssertionError(f"{wanted!r} never came; the last was {self.seen[-300:]!r}")

    def read(self, seconds: float) -> bool:
        """Read what comes next; False if nothing does."""
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False
        self.seen += data
        return bool(data)

    def end(self) -> int:
        """Read all that is left; the exit status."""
        due = time.monotonic() + 15
        while time.monotonic() < due and self.read(5):
            pass
        return self.process.wait(10)


@pytest.fixture
def demo() -> Iterator[OnTerminal]:
    terminal = OnTerminal()
    terminal.read_until(ENTER)
    terminal.read_until(b"openat")
    yield terminal
    terminal.process.kill()
    terminal.process.wait()
    os.close(terminal.master)


def restored(seen: bytes) -> bool:
    return seen.rindex(LEAVE) > seen.rindex(ENTER) and SHOW_CURSOR in seen[seen.rindex(ENTER) :]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_leaves_the_terminal_as_it_was(demo: OnTerminal, number: signal.Signals) -> None:
    demo.process.send_signal(number)
    assert demo.end() == 0
    assert restored(demo.seen)
    assert b"kill, " in demo.seen.split(LEAVE)[-1]


def test_q_and_l(demo: OnTerminal) -> None:
    os.write(demo.master, b"q")
    demo.read_until(b"still running")
    os.write(demo.master, b"l")
    assert demo.end() == 0
    assert restored(demo.seen)
    assert b"leave, " in demo.seen.split(LEAVE)[-1]


def test_a_terminal_that_goes_away_ends_it(demo: OnTerminal) -> None:
    os.close(demo.master)
    demo.process.send_signal(signal.SIGHUP)
    demo.master = os.open(os.devnull, os.O_RDONLY)
    assert demo.process.wait(15) is not None


def test_being_continued_starts_no_second_reader_that_nobody_ends(demo: OnTerminal) -> None:
    tasks = Path(f"/proc/{demo.process.pid}/task")
    begun, demo.seen = len(list(tasks.iterdir())), b""
    demo.process.send_signal(signal.SIGCONT)
    demo.read_until(PASTES)
    assert len(list(tasks.iterdir())) == begun
    os.write(demo.master, b"q")
    demo.read_until(b"still running")
    os.write(demo.master, b"l")
    assert demo.end() == 0
    assert termios.tcgetattr(demo.master)[3] & (termios.ECHO | termios.ICANON) == termios.ECHO | termios.ICANON


CONTINUED = """
import os, signal
from textual.app import App
from denet_tui.screens.pastes import PasteDriver
class Continued(App):
    def on_mount(self):
        with self._driver._writer_thread._queue.mutex:
            os.kill(os.getpid(), signal.SIGCONT)
        self.set_timer(0.5, self.exit)
Continued(driver_class=PasteDriver).run()
"""
"""The signal comes while the main thread writes."""


def test_being_continued_waits_for_no_lock_that_it_holds_itself() -> None:
    terminal, follower = pty.openpty()
    words = [sys.executable, "-c", CONTINUED]
    with subprocess.Popen(words, stdin=follower, stdout=follower, stderr=follower, cwd=ROOT) as process:
        os.close(follower)
        reading = Thread(target=lambda: list(iter(lambda: _some(terminal), b"")))
        reading.start()
        try:
            assert process.wait(20) == 0
        finally:
            process.kill()
            reading.join()
            os.close(terminal)


def _some(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other end is closed
        return b""


def test_less_memory_than_promised() -> None:
    terminal = OnTerminal("--ticks", "30")
    terminal.read_until(b"exited 3")
    os.write(terminal.master, b"q")
    assert terminal.end() == 0
    said = terminal.seen.split(LEAVE)[-1].decode()
    os.close(terminal.master)
    assert said.split(", ")[0].endswith("ended")
    assert int(said.split(" MB")[0].split()[-1]) < 90
