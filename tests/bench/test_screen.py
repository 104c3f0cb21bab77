"""What drawing costs, and how soon a key is seen: the live screen in a terminal of 120x40, fed twice a second."""

from __future__ import annotations

import os
import pty
import random
import re
import select
import signal
import statistics
import sys
import termios
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.bench

SECONDS, KEYS = 20, 120
_CURSOR = re.compile(rb"\x1b\[(\d+);(\d+)H(?:\x1b\[[\d;]*m)*\xe2\x96\xb8")
"""A cell that is addressed by row and column and begins with the cursor's mark."""


class Terminal:
    """The screen under test, behind a pseudo-terminal that somebody reads all the time."""

    def __init__(self, *words: str) -> None:
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            termios.tcsetwinsize(0, (40, 120))
            # Not os.execv: what readline puts into the environment (COLUMNS, LINES), os.environ does not know.
            env = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
            env.pop("NO_COLOR", None)
            os.execve(sys.executable, [sys.executable, "-m", "tests.bench.screen", *words], env)
        self._tail = b""
        self.written = 0
        self.cursors: dict[int, int] = {}
        """Row of the cursor by the column that it is in."""

    def read(self, seconds: float, *, until_moved: bool = False) -> bool:
        """Take in what is drawn; True as soon as a cursor is in another row, where that is waited for."""
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            if not select.select([self._fd], [], [], left)[0]:
                break
            text = self._tail + os.read(self._fd, 1 << 16)
            self.written += len(text) - len(self._tail)
            self._tail = text[-100:]
            before = dict(self.cursors)
            self.cursors.update((int(column), int(row)) for row, column in _CURSOR.findall(text))
            moved = any(before.get(column, row) != row for column, row in self.cursors.items())
            if until_moved and moved:
                return True
        return False

    def type(self, keys: bytes) -> None:
        os.write(self._fd, keys)

    def spent_s(self) -> float:
        """CPU time so far; the kernel counts it in 1/100 s."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._fd)


@pytest.fixture
def terminal(request):
    made = Terminal(*map(str, request.param))
    deadline = time.monotonic() + 60
    while len(made.cursors) < 2:
        made.read(0.5)
        assert time.monotonic() < deadline, "nothing is drawn"
    made.read(5)
    yield made
    made.close()


def paint_ms(terminal, keys):
    """From each key to the cursor drawn in another row, at any moment of a tick."""
    found = []
    for turn in range(keys):
        terminal.read(random.uniform(0.05, 0.3))
        started = time.perf_counter()
        terminal.type(b"jk"[turn % 2 : turn % 2 + 1])
        assert terminal.read(5, until_moved=True), "a key was not seen"
        found.append((time.perf_counter() - started) * 1e3)
    return found


@pytest.mark.parametrize(
    ("terminal", "keys", "most_percent"),
    [((300, 40), b"\t", 12), ((2000, 40), b"\t", 25), ((300, 40), b"7", 12)],
    indirect=["terminal"],
    ids=["300", "2000", "files"],
)
def test_screen(terminal, keys, most_percent):
    terminal.type(keys)  # to the process tree, whose rows stay where they are, or to another tab
    terminal.read(1)
    spent, written = terminal.spent_s(), terminal.written
    terminal.read(SECONDS)
    percent = 100 * (terminal.spent_s() - spent) / SECONDS
    written = (terminal.written - written) / SECONDS / 2
    latencies = paint_ms(terminal, KEYS)
    late = statistics.quantiles(latencies, n=20)[-1]
    print(
        f"\nscreen process: {percent:.1f} % of a core, {written / 1024:.0f} KB written a tick; "
        f"key to paint: median {statistics.median(latencies):.0f} ms, 95 % within {late:.0f} ms, "
        f"all within {max(latencies):.0f} ms"
    )
    assert percent < most_percent
    assert late < 100
