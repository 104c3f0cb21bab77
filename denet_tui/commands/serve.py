"""What serve does: it watches without a screen, and says what it counts to Prometheus."""

from __future__ import annotations

import errno
import logging
import os
import socket
import stat
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from copy import copy
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from socketserver import TCPServer, ThreadingMixIn
from typing import TYPE_CHECKING, Any, NoReturn

from denet_tui.bpf.privilege import invoking_user
from denet_tui.commands.last_good import Before
from denet_tui.commands.run import begin, exit_with, watch
from denet_tui.commands.targets import CommandTarget, MachineTarget, ProcessTarget, Target, WatchRequest, cgroup_of
from denet_tui.model import ABI_IA32, ABI_NATIVE, RunInfo, Snapshot
from denet_tui.syscalls import numbers
from denet_tui.system.extras import needs
from denet_tui.system.visible import complain
from denet_tui.watch.launch import StartError

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Metric

    from denet_tui.record.otlp import Push

log = logging.getLogger("denet_tui")

_AT_ONCE = 8
"""Connections; one more ends the oldest of them."""
_PATIENCE_S = 10
"""How long a connection may say nothing."""
_UNPRIVILEGED = "nobody"


class _Asked:
    """Of a registry what has samples of some names, all for None.

    A registry itself looks for them only in collectors whose names it knew before there was anything to collect.
    """

    def __init__(self, registry: CollectorRegistry, names: Iterable[str] | None = None) -> None:
        self._registry, self._names = registry, names if names is None else frozenset(names)

    def collect(self) -> Iterator[Metric]:
        """The families."""
        for family in self._registry.collect():
            if self._names is not None:
                family = copy(family)  # noqa: PLW2901 - the same with fewer samples
                family.samples = [each for each in family.samples if each.name in self._names]
            if self._names is None or family.samples:
                yield family

    def restricted_registry(self, names: Iterable[str]) -> _Asked:
        """What `/metrics?name[]=` asks for, once or more."""
        return _Asked(self._registry, names)


class _Server(ThreadingMixIn, TCPServer):
    """Answers on a thread of its own each time."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, family: socket.AddressFamily, address: Any, registry: CollectorRegistry) -> None:
        from prometheus_client import MetricsHandler

        self.address_family = family
        self._open = deque[Any]()
        super().__init__(address, MetricsHandler.factory(_Asked(registry)))

    def process_request(self, request: Any, client_address: Any) -> None:
        """Make room where there is none, and answer."""
        request.settimeout(_PATIENCE_S)
        self._open.append(request)
        if len(self._open) > _AT_ONCE:
            with suppress(OSError):  # it has just ended
                self._open.popleft().shutdown(socket.SHUT_RDWR)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close it."""
        with suppress(ValueError):
            self._open.remove(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """The client has gone, or was too slow."""
        log.debug("a scrape has failed: %r", sys.exc_info()[1])


def serve(words: Sequence[str], request: WatchRequest, listen: str, otlp: str | None, most: int) -> NoReturn:
    """Watch, and serve /metrics until the end of that; exits as `run` has it."""
    exit_with(lambda before: _serve(words, request, listen, otlp, most, before))


def _serve(
    words: Sequence[str], request: WatchRequest, listen: str, otlp: str | None, most: int, before: Before
) -> int:
    try:
        from prometheus_client import CollectorRegistry, ProcessCollector

        from denet_tui.record.metrics import Metrics
    except ImportError:
        raise StartError(needs("serve", "prometheus-client>=0.22")) from None
    family, address = _address(listen)
    itself = os.getuid() == 0 == invoking_user().uid
    for abi in (ABI_NATIVE, ABI_IA32):  # read now: the package may lie where whom this process becomes sees nothing
        numbers(abi)
    request = request._replace(run_as=request.run_as or (_UNPRIVILEGED if itself else None))
    target = _target(words, request)
    push = _push(otlp) if otlp else None
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    start = begin(target, request)
    with _listening(family, address, registry) as server:

        def told(info: RunInfo) -> Callable[[Snapshot], None]:
            metrics = Metrics(info, most)
            registry.register(metrics)
            complain(_said(server))
            threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
            if push:
                pushing.callback(push(registry.collect).finish)
            return metrics.add

        with ExitStack() as pushing:
            status = watch(start, target, request, before, None, told)
    return status


def _push(url: str) -> Callable[[Callable[[], Iterable[Metric]]], Push]:
    """What sends metrics there; raises StartError."""
    if not url.startswith(("http://", "https://")):
        raise StartError(f"--otlp {url} is no URL of a collector, as http://127.0.0.1:4318/v1/metrics")
    try:
        from denet_tui.record.otlp import Push
    except ImportError:
        raise StartError(needs("--otlp", "opentelemetry-exporter-otlp-proto-http>=1.30")) from None
    return partial(Push, url)


def _target(words: Sequence[str], request: WatchRequest) -> Target:
    if words and request.chooses:
        raise StartError("--user, --cgroup, --unit and --container choose processes: no command or id beside them")
    if not words:
        return MachineTarget(cgroup_of(request))
    if all(word.isdecimal() for word in words):
        return ProcessTarget([int(word) for word in words])
    return CommandTarget(tuple(words))


def _address(listen: str) -> tuple[socket.AddressFamily, Any]:
    """Where to listen, from HOST:PORT or unix:PATH; raises StartError."""
    kind, _, path = listen.partition(":")
    if kind == "unix":
        if not path:
            raise StartError("--listen unix: names no file: unix:PATH")
        return socket.AF_UNIX, path
    host, colon, port = listen.rpartition(":")
    if not (colon and host and port.isdecimal() and int(port) <= 0xFFFF):
        raise StartError(f"--listen {listen} is neither HOST:PORT nor unix:PATH, as 127.0.0.1:9783")
    try:
        family, *_, address = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise StartError(f"--listen {listen}: {host} is not known: {error.strerror}") from None
    return family, address


@contextmanager
def _listening(family: socket.AddressFamily, address: Any, registry: CollectorRegistry) -> Iterator[_Server]:
    """Without privilege already; raises StartError."""
    before = os.umask(0o117)
    try:
        if family == socket.AF_UNIX:
            _remove_left(address)
        server = _Server(family, address, registry)
    except OSError as error:
        raise StartError(
            f"cannot listen on {_name(family, address)}: {error.strerror or error}; see --listen"
        ) from None
    finally:
        os.umask(before)
    try:
        yield server
    finally:
        server.server_close()
        if family == socket.AF_UNIX:
            with suppress(OSError):
                Path(address).unlink()


def _remove_left(path: str) -> None:
    """What a process that was killed has left there, and nothing else."""
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.lstat(path).st_mode):
            with socket.socket(socket.AF_UNIX) as asked:
                if asked.connect_ex(path) == errno.ECONNREFUSED:
                    Path(path).unlink()


def _said(server: _Server) -> str:
    """Where it is to be had, and by whom."""
    if server.address_family == socket.AF_UNIX:
        return f"metrics on {_name(server.address_family, server.server_address)}: for this user and its group"
    local = ip_address(str(server.server_address[0]).partition("%")[0]).is_loopback
    whom = "every user of this machine" if local else "everyone who reaches this address, without a password"
    return f"metrics on {_name(server.address_family, server.server_address)}: for {whom}"


def _name(family: int, address: Any) -> str:
    if family == socket.AF_UNIX:
        return f"unix:{address}"
    host = f"[{address[0]}]" if family == socket.AF_INET6 else address[0]
    return f"http://{host}:{address[1]}/metrics"
