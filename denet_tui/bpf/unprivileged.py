"""Ways to a loader for a process without privilege: the service for members of the group, or sudo (doas, …) for it."""

from __future__ import annotations

import os
import socket
import struct
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from denet_tui.bpf import facts
from denet_tui.bpf.failure import LoadError
from denet_tui.bpf.handover import Kernel, kernel_of, read_reply
from denet_tui.bpf.request import SOCKET, Request, peer_uid
from denet_tui.syscalls import how_ended
from denet_tui.system import called

LOADER = (sys.executable, "-IB", "-m", "denet_tui.bpf.loader", "connect")
"""What is run as root, with an address."""
_TYPING_S = 120.0
"""For who has to type a password."""
_OTHERWISE = "an administrator can let you watch without it: `denet-tui setup`"
_MEMORY = (
    ("/sys/fs/cgroup/denet_tui.slice", "memory.current", "memory.max"),
    ("/sys/fs/cgroup/memory/denet_tui.slice", "memory.usage_in_bytes", "memory.limit_in_bytes"),
)
"""What members hold together, and may: man 7 cgroups, the second version and the first."""
_NEEDED = 192 << 20
"""Bytes that a loader takes while it compiles, with the maps."""
_STATUS = "see `systemctl status denet-tui-loader.socket`, and `journalctl -u 'denet-tui-loader@*'` as root"


class Loads(Protocol):
    """A program on its way into the kernel."""

    def receive(self, timeout: float = ...) -> Kernel:
        """The descriptors; raises LoadError where they do not come within `timeout` seconds."""


def has_service() -> bool:
    """Whether this process may ask the loader's service: it is there, and the group is active in this session."""
    return os.access(SOCKET, os.W_OK) and not facts.in_pid_namespace()


def is_shut_out() -> bool:
    """Whether the service is there, and not for this process."""
    return os.path.exists(SOCKET) and not os.access(SOCKET, os.W_OK)  # noqa: PTH110 - False if it is hidden


class Waiting:
    """For the answer of a loader that another process has started, at this end of its socket."""

    def __init__(self, channel: socket.socket, silence: str) -> None:
        """`silence` is what is said where it does not answer."""
        self._channel, self._silence = channel, silence

    def receive(self, timeout: float = 55.0) -> Kernel:
        """The descriptors; raises LoadError."""
        try:
            with self._channel:
                reply, descriptors = read_reply(self._channel, timeout)
        except (OSError, ValueError, struct.error):
            raise LoadError("loader", self._silence) from None
        return kernel_of(reply, descriptors)


class Served:
    """Asked of the loader's service, which knows by itself whose calls it may count."""

    def __init__(self, request: Request, *, address: str = SOCKET) -> None:
        """Raises LoadError where it cannot be reached. `address` is for tests."""
        self._channel = socket.socket(socket.AF_UNIX)
        self._channel.settimeout(20)
        try:
            self._channel.connect(address)
            self._channel.sendall(request.line())
        except OSError as error:
            raise LoadError("service", f"the loader's service does not answer ({error.strerror}); {_STATUS}") from None

    def receive(self, timeout: float = 55.0) -> Kernel:
        """The descriptors; raises LoadError."""
        try:
            return Waiting(self._channel, f"the loader's service ended without an answer; {_STATUS}").receive(timeout)
        except LoadError as error:
            if error.stage != "request" and (text := _used_up()):
                raise LoadError("service", text) from None
            raise


def _used_up() -> str:
    """What to say where the members hold so much memory that no loader can work; empty where they do not."""
    for folder, held, limit in _MEMORY:
        try:
            most, now = (int(Path(folder, name).read_text(encoding="ascii")) for name in (limit, held))
        except (OSError, ValueError):  # not this version, or no limit
            continue
        if most - now < _NEEDED:
            return (
                f"commands that are being watched hold {now >> 20} of the {most >> 20} MiB that members of the group "
                "may have together (denet_tui.slice); end one of them, or have an administrator raise it with "
                "`systemctl edit denet_tui.slice`"
            )
    return ""


class ThroughSudo:
    """A loader of its own, started by sudo (or what is in its place), which may ask for a password on this terminal."""

    def __init__(self, way: str, request: Request) -> None:
        """Start it through a way up with the loader, which connects to an address that cannot be guessed."""
        import subprocess

        self._way = Path(way).name
        name = f"denet-tui-{os.urandom(16).hex()}"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(f"\0{name}")
        self._listener.listen()
        self._request = request
        self._process = subprocess.Popen(called.becoming_root(way, *LOADER, name))

    def receive(self, timeout: float = 55.0) -> Kernel:
        """The descriptors; raises LoadError, also where sudo does not let this user."""
        import subprocess

        try:
            with self._listener:
                channel = self._accepted()
            channel.sendall(self._request.line())
            return Waiting(channel, f"the loader that {self._way} started ended without an answer").receive(timeout)
        except KeyboardInterrupt:
            raise LoadError("sudo", "interrupted at the password; nothing was started") from None
        finally:
            with suppress(subprocess.TimeoutExpired):  # root's: it ends by itself (loader.SECONDS)
                self._process.wait(timeout=1)

    def _accepted(self) -> socket.socket:
        """The loader's connection: root's, and nobody else's."""
        self._listener.settimeout(0.1)
        deadline = time.monotonic() + _TYPING_S
        while time.monotonic() < deadline:
            try:
                channel, _ = self._listener.accept()
            except TimeoutError:
                if (status := self._process.poll()) is not None:
                    # Whom it refuses after the password it does not tell what it would run.
                    text = f"{self._way} {how_ended(status)}: it got no password, or does not let you run the loader"
                    may = f"perhaps it lets you run `{called.as_root(*sys.argv[1:])}`"
                    raise LoadError("sudo", f"{text}; {may}, and {_OTHERWISE}") from None
                continue
            if peer_uid(channel) == 0:
                return channel
            channel.close()
        raise LoadError("sudo", f"{self._way} did not start the loader within {_TYPING_S:.0f} s")
