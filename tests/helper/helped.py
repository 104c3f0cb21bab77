"""A helper in a process of its own, for tests: over a machine in a folder, with checks of the test's."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest

from denet_tui.checks.host import Host
from denet_tui.checks.model import BOTH, Check, Evidence, Finding, Fix, State
from denet_tui.helper import check_runner, helper, wire
from denet_tui.helper.client import Client
from denet_tui.helper.jobs import Event, Found, InForce, Jobs
from denet_tui.repair.steps import REAL, Settings
from tests.repair.machine import Machine
from tests.watch.helpers import PATIENCE, eventually

EventT = TypeVar("EventT", bound=Event)

root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it writes as root")


class Heard:
    """Everything that a Jobs tells."""

    def __init__(self, jobs: Jobs) -> None:
        self.events: list[Event] = []
        self.jobs = jobs

    def all(self, kind: type[EventT]) -> list[EventT]:
        while not self.jobs.events.empty():
            self.events.append(self.jobs.events.get())
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def findings(self) -> dict[str, Finding]:
        """What was found last, by id."""
        return {each.finding.id: each.finding for each in self.all(Found)}

    @property
    def in_force(self) -> InForce:
        """What was told of it last."""
        return self.wait(InForce, max(1, len(self.all(InForce))))

    def look(self, *ids: str) -> None:
        """Have these looked at, and wait until each has come."""
        before = len(self.all(Found))
        self.jobs.look(ids)
        eventually(lambda: {each.finding.id for each in self.all(Found)[before:]} >= {*ids}, f"all of {ids}")

    def wait(self, kind: type[EventT], number: int = 1) -> EventT:
        """The event of this kind and number, counted from 1."""
        eventually(lambda: len(self.all(kind)) >= number, f"{kind.__name__} {number}; so far: {self.events}")
        return self.all(kind)[number - 1]


class Parent:
    """The parent's end of a helper's socket: asks whatever a test lets it, hears one message after the other."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel, self._said = channel, channel.makefile("rb")

    def ask(self, **request: Any) -> None:
        self._channel.sendall(json.dumps(request).encode() + b"\n")

    def apply(self, fix: Fix) -> None:
        self.ask(apply=fix.id, shown=wire.digest(fix))

    def hear(self, kind: str) -> Any:
        """What the next message of this kind says; those before it are not looked at."""
        for line in self._said:
            message = json.loads(line)
            if kind in message:
                return message[kind]
        raise AssertionError(f"the helper has ended, and said nothing of {kind}")


def apply(heard: Heard, identity: str) -> None:
    """Have a fix applied, as it was found last; one that was not found, in a form of its own."""
    known = {fix.id: fix for finding in heard.findings.values() for fix in finding.fixes}
    heard.jobs.apply(known.get(identity, Fix(identity, "", (), "permanent", "")))


def forked(checks: Iterable[Check] | None = None, settings: Settings = REAL) -> tuple[socket.socket, int]:
    """The parent's end of a helper's socket, and its pid."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            check_runner.SLOW_S, helper._TICK_S = 0.3, 0.05
            helper._settle(theirs)
            helper.Helper(theirs, settings=settings, checks=checks).serve()
            status = 0
        finally:
            os._exit(status)
    theirs.close()
    return ours, pid


@contextmanager
def helped(checks: Iterable[Check] | None = None, settings: Settings = REAL) -> Iterator[tuple[Jobs, Heard, int]]:
    """Jobs over a helper, what they tell, and the helper's pid; the helper has ended afterwards."""
    chosen = None if checks is None else tuple(checks)
    channel, pid = forked(chosen, settings)
    jobs = Jobs(Client(channel, pid))
    try:
        yield jobs, Heard(jobs), pid
    finally:
        jobs.close()
        assert ended(pid), "the helper goes on without its parent"


def ended(pid: int) -> bool:
    """True once a child has ended; waits for it."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            if os.waitpid(pid, os.WNOHANG)[0]:
                return True
        except ChildProcessError:
            return True
        time.sleep(0.01)
    return False


def status_of(pid: int) -> int:
    """The exit status of a child that ends by itself."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    raise AssertionError("the process does not end")


def check(machine: Machine, name: str = "value", after: tuple[str, ...] = ()) -> Check:
    """TEST-001: content where the machine has the value 2; offers a fix of this name."""

    def look(host: Host) -> Finding:
        value = host.read(f"{machine.root}/proc/value").strip()
        if value == "2":
            return Finding("TEST-001", State.PASS, "good", (Evidence("value", value),))
        fixes = (machine.fix(name),)
        return Finding("TEST-001", State.FAIL, "bad", (Evidence("value", value),), "because", BOTH, fixes)

    return Check("TEST-001", "kernel", "a value", look, after=after)


def simple(identity: str, state: State = State.PASS, area: str = "kernel") -> Check:
    """A check that looks at nothing."""
    return Check(identity, area, identity.lower(), lambda host: Finding(identity, state, "so it is"))


def hanging(identity: str) -> Check:
    """A check that never answers."""

    def hang(host: Host) -> Finding:
        time.sleep(600)
        raise AssertionError

    return Check(identity, "kernel", "a dead network mount", hang)


def in_child(body: Any) -> None:
    """Run `body` in a process of its own, which may give up its privilege."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            body()
            status = 0
        except BaseException:  # noqa: BLE001 - nothing may get back into pytest's own copy
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    assert status_of(pid) == 0
