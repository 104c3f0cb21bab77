"""A command in a session of its own, without a screen: this terminal's keys, signals and size are passed on to it.

As sudo's use_pty has it. This terminal itself is never given to the command, which could type into it (TIOCSTI) for
the process that reads it next; and what is typed here reaches no other session by itself. Job control goes on as if
there were one terminal: a command that wants to read while it is in the background is stopped by the kernel, and the
supervisor says so; it is then given the keys, where this process is in the foreground, or else this one stops as well.
"""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import termios
import threading
import time
import tty
from collections.abc import Sequence
from typing import Any

from denet_tui.system.ready import readable
from denet_tui.watch.command import Command
from denet_tui.watch.output import CommandOutput

_TYPED = (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP)
"""What a terminal sends for a key, where it is not raw."""
_WANTS_TO_READ = (signal.SIGTTIN, signal.SIGTTOU)
"""What stops a command in the background that reads its terminal, or changes its modes."""


class _Shown(CommandOutput):
    """All that a terminal of the command's gets, written to this one."""

    def __init__(self, terminal: int) -> None:
        super().__init__()
        self._terminal = terminal

    def add(self, data: bytes) -> None:
        """Wait until it is written; nowhere, where this terminal is gone."""
        with contextlib.suppress(OSError):
            while data:
                data = data[os.write(self._terminal, data) :]


class Relayed(Command):
    """Has a pty in the place of each of its descriptors that is a terminal; the others are as they were passed."""

    def __init__(self, argv: Sequence[str], path: str, *, stdio: Sequence[int], **options: Any) -> None:
        """The arguments are those of Command; must be made, and used, in the main thread."""
        terminals = [number for number in range(3) if os.isatty(stdio[number])]
        self._terminal = _open_terminal(stdio[terminals[0]]) if terminals else -1
        options["output"] = _Shown(self._terminal)
        super().__init__(argv, path, stdio=stdio, terminals=terminals, **options)
        self._wants = bool(terminals) and not any(map(_is_pipe, range(3)))
        """Whether it gets the keys: not in a pipeline, where they may be for `less`, before it asks for them."""
        self._only_writer = tuple(stdio) == (0, 1, 2) and terminals == [0, 1, 2]
        self._before: list[Any] = []
        """Modes of this terminal while the command has it."""
        self._has = threading.Event()
        """Set while the command has this terminal: it is raw then, and its keys are passed on."""

    def go(self) -> None:
        """Let it run, with this terminal where it wants it."""
        for number in _TYPED:
            signal.signal(number, lambda number, _: self.signal(number))
        signal.signal(signal.SIGCONT, lambda *_: self._go_on())
        if self._master >= 0:
            self._fit()
            signal.signal(signal.SIGWINCH, lambda *_: self._fit())
            threading.Thread(target=self._pass_keys, name="keys", daemon=True).start()
        self._take_turns()
        super().go()

    def poll(self, seconds: float) -> bool:
        """As Command's; where the command was stopped by its terminal, so is this process."""
        ended = super().poll(seconds)
        if ended:  # what is typed from now on is for the next reader of this terminal
            os.eventfd_write(self._over, 1)
            self._wants = False
        if self.stopped:
            number, self.stopped = self.stopped, 0
            self._follow(number)
        return ended

    def close(self, policy: str = "leave") -> None:
        """As Command's; all that it has written is on this terminal then, and its modes are as before."""
        if self.ended and self._drainer.is_alive():
            self._drainer.join()
        self._wants = False
        self.give_back()
        super().close(policy)

    def give_back(self) -> None:
        """Give this terminal the modes that it had, unless another process has it by now."""
        if self._has.is_set():
            self._has.clear()
            if self._in_foreground():
                with contextlib.suppress(termios.error):  # it is gone
                    termios.tcsetattr(self._terminal, termios.TCSADRAIN, self._before)

    def _take_turns(self) -> None:
        """Give the command this terminal, where it wants it and it is ours to give."""
        has = self._wants and self._in_foreground()
        if has:
            with contextlib.suppress(termios.error):  # it is gone
                self._make_raw()
            self._has.set()
        else:
            self._has.clear()
        with contextlib.suppress(OSError):
            self._send({"foreground": has})

    def _make_raw(self) -> None:
        if not self._has.is_set():
            first, self._before = not self._before, termios.tcgetattr(self._terminal)
            if first:
                termios.tcsetattr(self._master, termios.TCSANOW, self._before)
        tty.setraw(self._terminal, termios.TCSADRAIN)
        if not self._only_writer:  # what others write needs its carriage returns
            modes = termios.tcgetattr(self._terminal)
            modes[1] |= termios.OPOST
            termios.tcsetattr(self._terminal, termios.TCSADRAIN, modes)

    def _follow(self, number: int) -> None:
        """The command was stopped by this signal."""
        if number in _WANTS_TO_READ:
            self._wants = True
            if self._in_foreground():
                self._go_on()
                return
        elif number != signal.SIGTSTP:  # another process has stopped it, and will let it go on
            return
        self.give_back()
        ours = signal.signal(number, signal.SIG_DFL)
        os.killpg(0, number)  # and here this process waits for SIGCONT
        signal.signal(number, ours)
        if number == signal.SIGTSTP:  # without a shell that could say so (an orphaned group) the kernel stops none
            self._go_on()

    def _go_on(self) -> None:
        self._take_turns()
        self.signal(signal.SIGCONT)

    def _fit(self) -> None:
        with contextlib.suppress(OSError):
            self.resize(*os.get_terminal_size(self._terminal))

    def _in_foreground(self) -> bool:
        try:
            return os.tcgetpgrp(self._terminal) == os.getpgrp()
        except OSError:  # no controlling terminal
            return self._terminal >= 0

    def _pass_keys(self) -> None:
        with contextlib.suppress(OSError):  # EIO: it is gone
            while self._has.wait():
                ready = readable([self._terminal, self._over])
                if self._over in ready:
                    return
                if self._has.is_set():
                    data = os.read(self._terminal, 4096)
                    if not data:
                        return
                    while not self.type(data):
                        time.sleep(0.05)


def _open_terminal(descriptor: int) -> int:
    """The terminal of this process, opened anew: the command's own descriptors may be for one direction only."""
    try:
        return os.open("/dev/tty", os.O_RDWR)
    except OSError:  # it has none, and yet was given one
        return os.dup(descriptor)


def _is_pipe(descriptor: int) -> bool:
    return stat.S_ISFIFO(os.fstat(descriptor).st_mode)
