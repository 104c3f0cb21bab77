"""The watched command: found before it is forked, held at a barrier, reaped by the supervisor."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import signal
import socket
import struct
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from denet_tui.model import InFlight
from denet_tui.system.ready import readable
from denet_tui.watch.ends import GRACE_SECONDS
from denet_tui.watch.find import CommandError
from denet_tui.watch.output import CommandOutput

log = logging.getLogger("denet_tui")

_ORPHANED = "the process that started the command was killed; the command is watched on"
_KILLED = "the process that starts the command was killed before it could: start denet-tui again"
_TYPED = 64 * 1024
"""Bytes that wait for a command that does not read its terminal, at most."""
_LAST = 64 * 1024
"""Bytes still read after the command's end: more than a pty holds, or those that outlive it could go on for ever."""


def find(supervisor_of: tuple[int, socket.socket], name: str, search: str) -> str:
    """The file to execute, looked for by the supervisor: as who the command will run as; raises CommandError."""
    channel, line = supervisor_of[1], b""
    with contextlib.suppress(OSError), channel.makefile("rb") as lines:
        channel.sendall(json.dumps({"find": [name, search]}).encode() + b"\n")
        line = lines.readline()
    if not line:
        raise CommandError(_KILLED, 125)
    reply = json.loads(line)
    if "missing" in reply:
        raise CommandError(*reply["missing"])
    return str(reply["found"])


class Command:
    """One command, held until `go`. With `own_terminal` it runs on a pty that is drained into `output`."""

    status: int | None = None
    """Wait status, once it has ended; None if its parent, the supervisor, was killed before that."""
    failure: int | None = None
    """errno of its execve where that failed."""
    stopped = 0
    """The signal that has stopped it, where it has a session of its own and that was not looked at yet."""
    asking: InFlight | None = None
    """The thread that waits for the user to type on its terminal, where that can be told."""
    _pending = b""
    _untyped = 0
    notes: tuple[str, ...] = ()
    """That the supervisor was killed: the wait status is not told then."""

    def __init__(
        self,
        argv: Sequence[str],
        path: str,
        *,
        supervisor_of: tuple[int, socket.socket],
        env: Mapping[str, str],
        own_terminal: bool = False,
        terminals: Sequence[int] = (),
        size: tuple[int, int] = (80, 24),
        stdio: Sequence[int] = (0, 1, 2),
        output: CommandOutput | None = None,
        ignored: Sequence[int] = (),
        policy: str = "kill",
        name: str = "",
    ) -> None:
        """`size` is (columns, rows); `stdio` the command's descriptors 0 to 2; `policy` what happens when we die.

        `terminals` are those of 0 to 2 that become a pty where the command does not lead its session; see Relayed.
        `name` is what Tracer.expect asks for.
        """
        self._supervisor, self._channel = supervisor_of
        self.output = output or CommandOutput()
        of_pty = (0, 1, 2) if own_terminal else terminals
        request = {
            "argv": list(argv),
            "path": path,
            "env": dict(env),
            "pty": list(of_pty),
            "leads": own_terminal,
            "size": _winsize(size).hex(),
            "ignored": list(ignored),
            "name": name,
        }
        given = [descriptor for number, descriptor in enumerate(stdio) if number not in of_pty]
        reply, descriptors = self._launch({"launch": request, "policy": policy}, given)
        self.pid: int = reply["pid"]
        self._pidfd = os.pidfd_open(self.pid)
        self._leads = own_terminal
        self._master = descriptors[0] if descriptors else -1
        self.terminal: str = reply["terminal"]
        """Path of its terminal, empty where it has none of its own."""
        self._over = os.eventfd(0)
        """Readable when the command has ended: what it has written is then read, and not waited for."""
        self._drainer = threading.Thread(target=self._drain, name="output", daemon=True)
        self._typed: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._typist = threading.Thread(target=self._type, name="input", daemon=True)

    def _launch(self, request: dict[str, Any], stdio: list[int]) -> tuple[dict[str, Any], list[int]]:
        try:
            self._send(request, stdio)
            return self._receive()
        except OSError:
            raise CommandError(_KILLED, 125) from None

    def go(self) -> None:
        """Let it run; raises CommandError where its execve fails."""
        if self._master >= 0:
            self._drainer.start()
            self._typist.start()
        try:
            self._send({"go": True})
        except OSError:
            raise CommandError(_KILLED, 125) from None

    def poll(self, seconds: float) -> bool:
        """Wait at most that long for its end; True if it has ended."""
        if self.notes:
            return bool(readable([self._pidfd], seconds))
        if self.status is None and (b"\n" in self._pending or readable([self._channel.fileno()], seconds)):
            try:
                reply, _ = self._receive()
            except OSError:
                log.warning("%s", _ORPHANED)
                self.notes = (_ORPHANED,)
                return self.ended
            self.stopped = reply.get("stopped", 0)
            self.failure = reply.get("failed", self.failure)
            self.status = reply.get("status", self.status)
        return self.status is not None

    @property
    def ended(self) -> bool:
        """As far as `poll` has been told, or needs not be."""
        return self.poll(0) if self.notes else self.status is not None

    def resize(self, columns: int, rows: int) -> None:
        """Give its terminal another size."""
        if self._master >= 0:
            import fcntl
            import termios

            with contextlib.suppress(OSError):
                fcntl.ioctl(self._master, termios.TIOCSWINSZ, _winsize((columns, rows)))

    def type(self, data: bytes) -> bool:
        """Type on its terminal, without waiting for it to read; False if there is no room for more."""
        if self._master < 0 or self._untyped + len(data) > _TYPED:
            return False
        self._untyped += len(data)
        self._typed.put(data)
        return True

    def give_back(self) -> None:
        """No terminal was taken for it."""

    def signal(self, number: int) -> None:
        """Send a signal to it (on a terminal of its own: to its process group)."""
        with contextlib.suppress(OSError):
            if not self.notes:
                self._send({"signal": number})
            elif not self.ended:
                (os.killpg if self._leads else os.kill)(self.pid, number)

    def kill(self) -> None:
        """End it: SIGTERM, and SIGKILL two seconds later."""
        self.signal(signal.SIGTERM)
        deadline = time.monotonic() + GRACE_SECONDS
        while time.monotonic() < deadline:
            if self.poll(deadline - time.monotonic()):
                return
        self.signal(signal.SIGKILL)
        self.poll(1.0)

    def close(self, policy: str = "leave") -> None:
        """Leave it (`leave` or `kill`, where it still runs) and let the supervisor go."""
        with contextlib.suppress(OSError):
            self._send({"policy": policy})
        self._channel.close()
        if self.ended:
            os.eventfd_write(self._over, 1)
            if self._drainer.is_alive():
                self._drainer.join(timeout=1)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self._supervisor, 0)
        os.close(self._pidfd)

    def release(self) -> None:
        """After its end: let its terminal go, and leave the supervisor to the next one.

        Who has outlived it and still has the terminal open keeps it, and what they write is thrown away.
        """
        self._typed.put(b"")
        for thread in (self._drainer, self._typist):
            if thread.is_alive():
                thread.join(timeout=0.5)
        if self._master >= 0 and not self._drainer.is_alive() and not self._typist.is_alive():
            os.close(self._master)
            os.close(self._over)
        self._master = -1
        os.close(self._pidfd)

    def _type(self) -> None:
        """write(2) blocks while the command does not read: here it may."""
        master = self._master
        with contextlib.suppress(OSError):  # EIO: no process has the terminal open any more
            while data := self._typed.get():
                self._untyped -= len(data)
                os.write(master, data)

    def _drain(self) -> None:
        master, left = self._master, _LAST
        while left > 0:
            ready = readable([master, self._over])
            if master not in ready:
                return
            try:
                data = os.read(master, 65536)
            except OSError:  # EIO: the last process with this terminal is gone
                return
            if not data:
                return
            self.output.add(data)
            if self._over in ready:
                left -= len(data)

    def _send(self, message: dict[str, Any], descriptors: list[int] | None = None) -> None:
        data = json.dumps(message).encode() + b"\n"
        sent = socket.send_fds(self._channel, [data], descriptors or [])
        self._channel.sendall(data[sent:])

    def _receive(self) -> tuple[dict[str, Any], list[int]]:
        """The next message; several may have come at once."""
        descriptors: list[int] = []
        while b"\n" not in self._pending:
            data, more, _, _ = socket.recv_fds(self._channel, 65536, 4)
            if not data:
                raise ConnectionError("the supervisor is gone")
            descriptors += more
            self._pending += data
        line, _, self._pending = self._pending.partition(b"\n")
        return json.loads(line), descriptors


def _winsize(size: tuple[int, int]) -> bytes:
    columns, rows = size
    return struct.pack("HHHH", rows, columns, 0, 0)
