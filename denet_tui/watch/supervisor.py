"""The supervisor: parent of the command, and the one process that outlives a killed denet-tui.

Forked from denet-tui before it has threads. It launches commands behind a barrier, one after the
other, reports how they end, and when denet-tui is gone (its socket closes) does with the command
what --on-quit says.
It reads nothing but its socket, and runs as whoever the command runs as. Where that is another user than whose
terminal this is, it leads the session that the command gets, and so the command can be stopped like any job.

Messages are JSON lines. To the supervisor: {"find": [name, PATH]}, {"launch": …} with descriptors,
{"go": true}, {"signal": n}, {"foreground": true|false}, {"policy": "kill"|"leave"}.
From it: {"found": path} or {"missing": [text, status]}, {"pid": n, "terminal": path}, {"failed": errno},
{"stopped": signal} (in a session of its own), {"status": wait status}.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import pty
import signal
import socket
import termios
import time
from typing import Any, NoReturn

from denet_tui.bpf.burst import show_yourself
from denet_tui.bpf.privilege import User, become
from denet_tui.syscalls import numbers
from denet_tui.system.ready import readable
from denet_tui.watch.ends import GRACE_SECONDS
from denet_tui.watch.find import CommandError, resolve

_JOIN_SESSION_KEYRING = 1
"""KEYCTL_JOIN_SESSION_KEYRING of include/uapi/linux/keyctl.h."""


def start(user: User, *, foreign: bool) -> tuple[int, socket.socket]:
    """Fork the supervisor, as that user; returns its pid and the channel to it. Must run before there are threads.

    `foreign`: this session is another user's. The supervisor leaves it, with all that was opened in it.
    """
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        try:
            ours.close()  # which is room for one where no more may be open
            _serve(theirs, user, foreign=foreign)
        finally:
            os._exit(125)
    theirs.close()
    return pid, ours


def _serve(channel: socket.socket, user: User, *, foreign: bool) -> NoReturn:
    """Run the supervisor until denet-tui closes the channel.

    Of denet-tui's descriptors it keeps no other: no BPF program outlives us. Those that the caller
    passed on (`<(…)`, make's job server) are for the command, unless it is another user's; ours are the ones that
    close on exec.
    """
    if foreign:
        _leave_session()
    for number in map(int, os.listdir("/proc/self/fd")):  # noqa: PTH208 - names, not paths
        with contextlib.suppress(OSError):  # the listing's own descriptor is closed by now
            if number > 2 and number != channel.fileno() and (foreign or not os.get_inheritable(number)):
                os.close(number)
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM, signal.SIGTTOU):
        signal.signal(number, signal.SIG_IGN)
    become(user)
    supervisor = _Supervisor(channel, foreign=foreign)
    with contextlib.suppress(OSError):
        supervisor.run()
    supervisor.left_alone()
    os._exit(0)


def _leave_session() -> None:
    """Lead a new one, without a terminal, and with a keyring of its own: a process that has one can read its keys."""
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    libc = ctypes.CDLL(None, use_errno=True)
    failed = libc.syscall(ctypes.c_long(numbers()["keyctl"]), ctypes.c_long(_JOIN_SESSION_KEYRING), None) < 0
    if failed and ctypes.get_errno() not in (errno.ENOSYS, errno.EPERM):  # where it is refused, so is reading keys
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _child_news() -> int:
    """A descriptor that can be read when a child has stopped or ended."""
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return reading


class _Supervisor:
    def __init__(self, channel: socket.socket, *, foreign: bool) -> None:
        self._channel = channel
        self._foreign = foreign
        self._news = _child_news() if foreign else -1
        self._policy = "kill"
        self._pid = 0
        self._pidfd = -1
        self._barrier = -1
        self._errors = -1
        self._master = -1
        self._group = False
        self._pending = b""
        self._received: list[int] = []

    def run(self) -> None:
        while True:
            channel = self._channel.fileno()
            watched = [channel, *(n for n in (self._pidfd, self._errors, self._news) if n >= 0)]
            ready = readable(watched)
            if self._errors in ready:
                self._report_exec()
            if self._news in ready:
                self._report_stop()
            if self._pidfd in ready:
                self._report_end()
            if channel in ready and not self._receive():
                return

    def _receive(self) -> bool:
        """Handle what came in; False when denet-tui is gone."""
        data, descriptors, _, _ = socket.recv_fds(self._channel, 65536, 4)
        self._received += descriptors
        if not data:
            return False
        *lines, self._pending = (self._pending + data).split(b"\n")
        for line in lines:
            self._handle(json.loads(line))
        return True

    def _handle(self, message: dict[str, Any]) -> None:
        self._policy = message.get("policy", self._policy)
        if "foreground" in message:
            self._take_turns(command=message["foreground"])
        if "find" in message:
            try:
                self._send({"found": resolve(*message["find"])})
            except CommandError as error:
                self._send({"missing": [str(error), error.status]})
        elif "launch" in message:
            descriptors, self._received = self._received, []
            self._launch(message["launch"], descriptors)
        elif message.get("go"):
            os.write(self._barrier, b"g")
            os.close(self._barrier)
            self._barrier = -1
        elif "signal" in message:
            self._kill(message["signal"])

    def _launch(self, request: dict[str, Any], descriptors: list[int]) -> None:
        waiting, self._barrier = os.pipe()
        self._errors, failing = os.pipe()
        slave, sent, terminal = -1, [], ""
        if self._master >= 0:  # of the command before this one
            os.close(self._master)
            self._master = -1
        if request["pty"]:
            self._master, slave = pty.openpty()
            fcntl.ioctl(slave, termios.TIOCSWINSZ, bytes.fromhex(request["size"]))
            if not request["leads"]:
                fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
            given = iter(descriptors)
            descriptors = [slave if number in request["pty"] else next(given) for number in range(3)]
            sent, terminal = [self._master], os.ttyname(slave)
        self._group = request["leads"] or self._foreign
        self._pid = os.fork()
        if self._pid == 0:
            for number in (self._barrier, self._errors, self._channel.fileno()):
                os.close(number)
            _become_command(request, descriptors, waiting, failing)
        if self._foreign and not request["leads"]:
            os.setpgid(self._pid, self._pid)
        for number in {waiting, failing, slave, *descriptors} - {-1}:
            os.close(number)
        self._pidfd = os.pidfd_open(self._pid)
        self._send({"pid": self._pid, "terminal": terminal}, sent)

    def _report_exec(self) -> None:
        """The pipe closes at a successful execve, and says why at a failed one."""
        number = os.read(self._errors, 16)
        os.close(self._errors)
        self._errors = -1
        if number:
            self._send({"failed": int(number)})

    def _report_stop(self) -> None:
        os.read(self._news, 4096)
        with contextlib.suppress(ChildProcessError):  # it has ended
            if self._pid and (stop := os.waitid(os.P_PID, self._pid, os.WSTOPPED | os.WNOHANG)):
                self._send({"stopped": stop.si_status})

    def _take_turns(self, *, command: bool) -> None:
        """Put the command, or no process, into the foreground of its terminal: else it is stopped when it reads."""
        if self._master >= 0 and self._pid:
            with contextlib.suppress(OSError):
                os.tcsetpgrp(self._master, self._pid if command else os.getpgrp())

    def _report_end(self) -> None:
        status = os.waitpid(self._pid, 0)[1]
        os.close(self._pidfd)
        self._pidfd, self._pid = -1, 0
        self._send({"status": status})

    def _send(self, message: dict[str, Any], descriptors: list[int] | None = None) -> None:
        socket.send_fds(self._channel, [json.dumps(message).encode() + b"\n"], descriptors or [])

    def _kill(self, number: int) -> None:
        if self._pid:
            with contextlib.suppress(ProcessLookupError):
                (os.killpg if self._group else os.kill)(self._pid, number)

    def left_alone(self) -> None:
        """Nobody watches any more: end the command, or keep its terminal open and empty until it ends."""
        if not self._pid:
            return
        if self._foreign:  # where it was stopped with denet-tui, nothing else would let it go on
            self._kill(signal.SIGCONT)
        if self._barrier >= 0:  # it never ran
            self._kill(signal.SIGKILL)
        elif self._policy == "kill":
            self._kill(signal.SIGTERM)
            self._drain(time.monotonic() + GRACE_SECONDS)
            self._kill(signal.SIGKILL)
        self._drain(None)
        os.waitpid(self._pid, 0)

    def _drain(self, deadline: float | None) -> None:
        """Throw the command's output away, so that it does not block, until it ends or the deadline passes."""
        watched = [self._pidfd] + ([self._master] if self._master >= 0 else [])
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            ready = readable(watched, left)
            if not ready or self._pidfd in ready:
                return
            try:
                os.read(self._master, 65536)
            except OSError:  # EIO: no process has the terminal open any more
                watched.remove(self._master)


def _become_command(request: dict[str, Any], descriptors: list[int], waiting: int, failing: int) -> NoReturn:
    """In the child: wait at the barrier, then become the command; a failure goes into the `failing` pipe as errno."""
    try:
        if request["leads"]:
            os.setsid()
            fcntl.ioctl(descriptors[0], termios.TIOCSCTTY, 0)
        for target, descriptor in enumerate(descriptors[:3]):
            os.dup2(descriptor, target)
            os.set_inheritable(descriptor, descriptor <= 2)  # or the command would have them twice
        for number in range(1, signal.NSIG):
            if signal.getsignal(number) is not signal.SIG_DFL and number not in (signal.SIGKILL, signal.SIGSTOP):
                with contextlib.suppress(OSError, ValueError):
                    signal.signal(number, signal.SIG_DFL)
        for number in request["ignored"]:
            signal.signal(number, signal.SIG_IGN)
        if request["name"]:
            show_yourself(request["name"])
        os.set_inheritable(failing, False)
        environment = {os.fsencode(name): os.fsencode(value) for name, value in request["env"].items()}
        arguments = [os.fsencode(argument) for argument in request["argv"]]
        path = os.fsencode(request["path"])
        if os.read(waiting, 1):  # at the end of the file there is no watcher left: do not run
            _execute(path, arguments, environment)
    except OSError as error:
        os.write(failing, str(error.errno).encode())
    finally:
        os._exit(126)
    raise AssertionError


def _execute(path: bytes, arguments: list[bytes], environment: dict[bytes, bytes]) -> NoReturn:
    """execve(2); a script without a first line goes to sh, as shells and execvp(3) have it."""
    try:
        os.execve(path, arguments, environment)  # noqa: S606 - a shell is not wanted
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
    os.execve(b"/bin/sh", [b"/bin/sh", path, *arguments[1:]], environment)  # noqa: S606
