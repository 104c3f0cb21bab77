"""How soon a key is seen on the setup screen while every check, and the real probe, run."""

from __future__ import annotations

import os
import pty
import statistics
import sys
import termios

import pytest

from tests.bench.test_screen import Terminal, paint_ms
from tests.real import environment

pytestmark = pytest.mark.bench
KEYS = 20
"""For about as long as the checks run."""
ROUNDS = 4


class Setup(Terminal):
    """`denet-tui setup` on this machine."""

    def __init__(self) -> None:
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            termios.tcsetwinsize(0, (40, 120))
            env = {**environment(), "TERM": "xterm-256color", "COLORTERM": "truecolor"}
            env.pop("NO_COLOR", None)
            os.execve(sys.executable, [sys.executable, "-m", "denet_tui", "setup"], env)
        self._tail = b""
        self.written = 0
        self.cursors = {}


def test_a_key_is_seen_while_checks_run():
    terminal = Setup()
    try:
        terminal.read(8)
        terminal.type(b"v")
        terminal.read(0.5)
        terminal.type(b"gjjj")
        terminal.read(0.5)
        idle = paint_ms(terminal, KEYS)
        busy = []
        for _ in range(ROUNDS):
            terminal.type(b"R")
            busy += paint_ms(terminal, KEYS)
            terminal.read(3)
    finally:
        terminal.close()
    late = statistics.quantiles(busy, n=20)[-1]
    print(
        f"\nsetup screen, key to paint: idle median {statistics.median(idle):.0f} ms; while checks run median "
        f"{statistics.median(busy):.0f} ms, 95 % within {late:.0f} ms, all within {max(busy):.0f} ms"
    )
    assert late < 100
