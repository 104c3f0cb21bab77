"""The helper: the one process that keeps its privilege while the setup screen is up. The screen has none.

Forked by `start` before denet-tui becomes the invoking user. It looks at the machine itself, and its parent may ask it
for what it has found itself, by id, and for nothing else: never for a command, a path or a value. One JSON object a
line, at most LARGEST bytes:

    {"look": [CHECK, …]}   {"apply": FIX}   {"undo": FIX}   {"cancel": true}
    {"prove": "auto"|"raw"|"tracefs"}
    {"load": {"everyone": BOOL}} with a descriptor: the socket of a loader, whose answer the helper does not see

It answers, one JSON object a line: {"root", "may_load"} first; then `started`, `slow`, `found` (with `details`),
`said`, `state`, `ended`, `proof` (what the prober says). Anything else that it reads, and the end of its socket, ends
it: what it was at is cancelled and taken back before.
"""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from denet_tui.bpf import handover
from denet_tui.bpf.errors import LoadError
from denet_tui.bpf.request import WAYS
from denet_tui.checks import repair, wire
from denet_tui.checks.client import Client
from denet_tui.checks.host import Host
from denet_tui.checks.looking import Looking
from denet_tui.checks.model import Check, Finding, Fix
from denet_tui.checks.repair import Repair, RepairError
from denet_tui.checks.runner import CancelledError
from denet_tui.checks.steps import REAL, Settings

log = logging.getLogger("denet_tui")

LARGEST = 4096
"""Bytes of a request: all ids of the catalogue fit in."""
_TICK_S = 0.25
_PATIENCE_S = 30
"""For a parent that does not read what it is told: then it counts as gone."""
_UNWINDING_S = 120.0
"""For taking back what was at work when the parent went."""
_TRIES = 5
"""Loads, at most, until one has worked; then there is none any more."""


class Junk(Exception):  # noqa: N818 - it is what it is
    """What was read is no request."""


def start() -> Client:
    """Fork the helper, with this process's privilege; raises HelperError. Before any thread, and before `become`."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            _settle(theirs)
            Helper(theirs).serve()
            status = 0
        finally:
            os._exit(status)  # threads of checks that hang are left where they are
    theirs.close()
    return Client(ours, pid)


def _settle(channel: socket.socket) -> None:
    """Let go of everything of the parent's: its terminal, its files, its folder, its log."""
    os.setsid()
    for each in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(each, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    for number in map(int, os.listdir("/proc/self/fd")):  # noqa: PTH208 - names, not paths
        if number > 2 and number != channel.fileno():
            with suppress(OSError):  # the listing's own descriptor is closed by now
                os.close(number)
    os.chdir("/")
    os.umask(0o022)
    log.handlers.clear()
    log.propagate = False


class Helper:
    """Serves one parent, which is not trusted."""

    def __init__(
        self,
        channel: socket.socket,
        host: Callable[[], Host] = Host,
        *,
        settings: Settings = REAL,
        checks: Iterable[Check] | None = None,
    ) -> None:
        """`host`, `settings` and `checks` are for tests."""
        self._channel = channel
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _PATIENCE_S, 0))
        self._host, self._settings = host, settings
        self._sending = threading.Lock()
        self._gone = False
        self._fixes: dict[str, dict[str, Fix]] = {}
        """By check what its last finding offers: nothing else is ever applied."""
        self._looking = Looking(self, host, checks)
        self._cancel = threading.Event()
        self._job: threading.Thread | None = None
        self._tries = _TRIES
        self._received: list[int] = []

    def serve(self) -> None:
        """Until the parent has gone, or says what makes no sense."""
        log.setLevel(logging.DEBUG)
        log.addHandler(handler := self._looking.handler())
        try:
            self._say(root=self._host().uid == 0, may_load=handover.may_load())
            self._say_state()
            self._read()
        except Junk:
            pass  # its parent is not what it should be: nothing is answered
        finally:
            log.removeHandler(handler)
            self._finish()

    def _read(self) -> None:
        torn = b""
        while not self._gone:
            if select.select([self._channel], [], [], _TICK_S)[0]:
                data, more, _, _ = socket.recv_fds(self._channel, LARGEST, 1)
                self._received += more
                if not data:
                    return
                *lines, torn = (torn + data).split(b"\n")
                for line in lines:
                    self._take(line)
                if len(torn) > LARGEST:
                    raise Junk
            self._looking.tick()

    def _finish(self) -> None:
        self._gone = True
        self._cancel.set()
        with suppress(OSError):
            self._channel.close()
        if self._job:
            self._job.join(_UNWINDING_S)

    def _take(self, line: bytes) -> None:
        """One request; raises Junk."""
        if len(line) > LARGEST:
            raise Junk
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            raise Junk from None
        match request:
            case {"look": [*ids], **rest} if not rest and all(isinstance(each, str) for each in ids):
                try:
                    self._looking.ask(ids)
                except KeyError:
                    raise Junk from None
            case {"apply": str(identity), **rest} if not rest:
                self._work("apply", identity, self._apply)
            case {"undo": str(identity), **rest} if not rest:
                self._work("undo", identity, self._undo)
            case {"cancel": True, **rest} if not rest:
                self._cancel.set()
            case {"prove": str(way), **rest} if not rest and way in WAYS:
                self._prove_beside(way)
            case {"load": {"everyone": bool(everyone), **more}, **rest} if not rest and not more and self._received:
                self._load_beside(socket.socket(fileno=self._received.pop()), everyone=everyone)
            case _:
                raise Junk

    # Looking: called from the threads of the checks

    def started(self, identity: str) -> None:
        """Pass it on."""
        self._say(started=identity)

    def slow(self, identity: str) -> None:
        """Pass it on."""
        self._say(slow=identity)

    def found(self, finding: Finding, details: list[str]) -> None:
        """Pass it on, and remember what it offers."""
        self._fixes[finding.id] = {fix.id: fix for fix in finding.fixes}
        self._say(found=wire.to_json(finding), details=details)

    # Changing

    def _work(self, kind: str, identity: str, work: Callable[[str], dict[str, Any]]) -> None:
        if self._occupied():
            self._say_ended(kind, identity, text="one thing at a time: something is at work already")
            return
        self._cancel.clear()
        self._job = threading.Thread(target=self._run, args=(kind, identity, work), name=kind, daemon=True)
        self._job.start()

    def _occupied(self) -> bool:
        return self._job is not None and self._job.is_alive()

    def _run(self, kind: str, identity: str, work: Callable[[str], dict[str, Any]]) -> None:
        try:
            how = {"good": True, **work(identity)}
        except CancelledError as error:
            how = {"cancelled": True, "text": str(error) or "cancelled; nothing was changed"}
        except RepairError as error:
            how = {"text": str(error)}
        except Exception as error:
            log.debug("traceback", exc_info=True)
            how = {"text": f"this is a mistake in denet-tui ({type(error).__name__}: {error}); please report it"}
        self._job = None
        self._say_state()
        self._say_ended(kind, identity, **how)

    def _repair(self) -> Repair:
        return Repair(self._host(), lambda line: self._say(said=line), settings=self._settings, cancel=self._cancel)

    def _apply(self, identity: str) -> dict[str, Any]:
        fix = self._fixes.get(identity.partition(".")[0], {}).get(identity)
        if fix is None:
            raise RepairError(f"{identity[:100]} is no fix that was found on this machine; nothing was changed")
        return {"changed": self._repair().apply(fix).changed}

    def _undo(self, identity: str) -> dict[str, Any]:
        if identity not in self._repair().applied():
            raise RepairError(f"{identity[:100]}: nothing to undo; never applied, or undone already")
        left = [line for undone in self._repair().undo([identity]) for line in undone.left]
        return {"changed": True, "left": left, "good": not left}

    def _say_ended(self, kind: str, fix: str, **how: Any) -> None:
        usual = {"good": False, "changed": False, "cancelled": False, "text": "", "left": ()}
        self._say(ended={"kind": kind, "fix": fix, **usual, **how})

    def _say_state(self) -> None:
        applied: tuple[str, ...] = ()
        interrupted = False
        with suppress(RepairError):  # another setup is at work, or this is not root
            applied = self._repair().applied()
            interrupted = repair.interrupted(self._settings)
        self._say(state={"applied": applied, "interrupted": interrupted})

    # Proving and loading

    def _prove_beside(self, way: str) -> None:
        if self._occupied():
            self._say(proof={"way": way, "refused": "one thing at a time: something is at work already"})
            return
        self._job = threading.Thread(target=self._prove, args=(way,), name="proof", daemon=True)
        self._job.start()

    def _prove(self, way: str) -> None:
        """In a process of its own, which keeps the descriptors to itself; pass on what it says."""
        argv = [sys.executable, "-I", "-m", "denet_tui.bpf.prober", "prove", way]
        said = False
        with suppress(OSError), subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as prober:
            for line in prober.stdout or ():
                proof = json.loads(line)
                said = said or "way" in proof
                if "way" in proof:
                    self._job = None
                self._say(proof=proof)
        if not said:
            self._job = None
            self._say(proof={"way": way, "refused": "the process that tries it has ended before it was done"})

    def _load_beside(self, channel: socket.socket, *, everyone: bool) -> None:
        if self._occupied():
            self._refuse(channel, "one thing at a time: something is at work already")
        elif not handover.may_load():
            self._refuse(channel, "loading the program needs root, which this is not")
        elif not self._tries:
            self._refuse(channel, "the program was loaded already: start denet-tui once more")
        else:
            self._tries -= 1
            asker = os.getuid() or handover.invoking_user().uid
            only_uid = asker if asker and not (everyone and os.getuid() == 0) else None
            self._job = threading.Thread(target=self._load, args=(channel, only_uid), name="load", daemon=True)
            self._job.start()

    def _load(self, channel: socket.socket, only_uid: int | None) -> None:
        """Until the loader has answered, on that channel, which is its own from now on."""
        try:
            if handover.Loading(only_uid=only_uid, channel=channel).wait():
                self._tries = 0
        except OSError as error:
            self._refuse(channel, f"the loader could not be started: {error.strerror}")
        finally:
            self._job = None

    def _refuse(self, channel: socket.socket, text: str) -> None:
        with channel, suppress(OSError):
            handover.refuse(channel, LoadError("loader", text))

    def _say(self, **message: Any) -> None:
        """Tell the parent; one that does not listen counts as gone."""
        data = json.dumps(message).encode() + b"\n"
        try:
            with self._sending:
                self._channel.sendall(data)
        except OSError:
            self._gone = True
            self._cancel.set()
