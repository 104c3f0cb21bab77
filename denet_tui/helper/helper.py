"""The helper: the one process that keeps its privilege while the setup screen is up. The screen has none.

Forked by `start` before denet-tui becomes the invoking user. It looks at the machine itself, and its parent may ask it
for what it has found itself, by id, and for nothing else: never for a command, a path or a value. One JSON object a
line, at most LARGEST bytes:

    {"look": [CHECK, …]}   {"apply": FIX, "shown": DIGEST}   {"undo": FIX}   {"cancel": true}
    {"prove": "auto"|"raw"|"tracefs"}
    {"load": {"everyone": BOOL}} with a descriptor: the socket of a loader, whose answer the helper does not see

It answers, one JSON object a line: {"root", "may_load"} first; then `started`, `slow`, `found` (with `details`,
`previews` and `reach`, see wire.beside), `said`, `state`, `ended`, `proof` (what the prober says). Anything else that
it reads, and the end of its socket, ends it: what it was at is cancelled and taken back before.

The parent draws what the user sees and reads the user's keys, so what takes it over can press `a` for the user. What
that is good for is all that the parent is trusted with:

- It can have a fix applied without the user's wish, where the machine needs it, it weakens nothing, and the check that
  found it still finds the very same when it is looked at once more (`shown` is wire.digest of what was drawn). What an
  earlier run left half-way is taken back before, as by every other setup.
- It can have taken back what was applied in this session. What the journal holds from before, and whatever weakens the
  machine, takes root's own word: `sudo denet-tui setup` on the terminal, which sudo asks for as it asks for anything.
  (The terminal is the user's, and the screen's: a password that is typed there is not safe from what has either.)
- It can do either _TIMES for each fix, cancel in the middle, and have looked at everything again and again, each check
  for half of the time at most (check_runner.py). Nothing is read of it while it does not read what it is told, and
  soon it counts as gone (telling.py).
- It learns what root sees: the findings, their evidence, what their fixes would change and all that was asked of the
  machine for them.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any

from denet_tui.bpf import handover, privilege
from denet_tui.bpf.confine import protect
from denet_tui.bpf.failure import LoadError
from denet_tui.bpf.request import METHODS
from denet_tui.checks import catalogue
from denet_tui.checks.host import Host
from denet_tui.checks.model import Check, Finding, Fix
from denet_tui.helper import sudo, wire
from denet_tui.helper.check_runner import CheckRunner
from denet_tui.helper.client import Client
from denet_tui.helper.telling import Telling
from denet_tui.repair import repair
from denet_tui.repair.repair import Repair, RepairError
from denet_tui.repair.runner import CancelledError
from denet_tui.repair.steps import REAL, Settings
from denet_tui.system import called
from denet_tui.system.ready import readable

log = logging.getLogger("denet_tui")

LARGEST = 4096
"""Bytes of a request: all ids of the catalogue fit in."""
_TICK_S = 0.25
_TIMES = 5
"""How often a fix is applied, and how often taken back: no package manager runs for ever on the parent's word."""
_UNWINDING_S = 120.0
"""For taking back what was at work when the parent went."""
_TRIES = 5
"""Loads, at most, until one has worked; then there is none any more."""
_PROOFS = 20


class ProtocolError(Exception):
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
    protect()  # with setpriv's two capabilities the uid is the user's own
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
        self._host, self._settings = host, settings
        self._session = secrets.token_hex(8)
        """Names in the journal what was applied here."""
        self._begun: Counter[tuple[str, str]] = Counter()
        """How often each fix was applied, and taken back."""
        self._fixes: dict[str, dict[str, Fix]] = {}
        """By check what its last finding offers: nothing else is ever applied."""
        self._checks = CheckRunner(self, host, checks, beside=wire.beside)
        self._cancel = threading.Event()
        self._telling = Telling(channel, self._cancel.set)
        self._say = self._telling.say
        self._job: threading.Thread | None = None
        self._tries, self._proofs = _TRIES, _PROOFS
        self._received: list[int] = []

    def serve(self) -> None:
        """Until the parent has gone, or says what makes no sense."""
        log.setLevel(logging.DEBUG)
        log.addHandler(handler := self._checks.handler())
        try:
            self._say(root=self._host().uid == 0, may_load=privilege.may_load())
            self._say_state()
            self._read()
        except ProtocolError:
            pass  # its parent is not what it should be: nothing is answered
        finally:
            log.removeHandler(handler)
            self._finish()

    def _read(self) -> None:
        torn = b""
        while not self._telling.gone:
            if readable([self._channel.fileno()], _TICK_S):
                data, more, _, _ = socket.recv_fds(self._channel, LARGEST, 1)
                self._received += more
                if len(self._received) > 1:
                    raise ProtocolError
                if not data:
                    return
                *lines, torn = (torn + data).split(b"\n")
                for line in lines:
                    if not self._telling.has_room():
                        return
                    self._take(line)
                if len(torn) > LARGEST:
                    raise ProtocolError
            self._checks.tick()

    def _finish(self) -> None:
        self._telling.end()
        with suppress(OSError):
            self._channel.close()
        if self._job:
            self._job.join(_UNWINDING_S)

    def _take(self, line: bytes) -> None:
        """One request; raises ProtocolError."""
        if len(line) > LARGEST:
            raise ProtocolError
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            raise ProtocolError from None
        match request:
            case {"look": [*ids], **rest} if not rest and all(isinstance(each, str) for each in ids):
                try:
                    self._checks.ask(ids)
                except KeyError:
                    raise ProtocolError from None
            case {"apply": str(identity), "shown": str(shown), **rest} if not rest:
                self._work("apply", identity, partial(self._apply, identity, shown))
            case {"undo": str(identity), **rest} if not rest:
                self._work("undo", identity, partial(self._undo, identity))
            case {"cancel": True, **rest} if not rest:
                self._cancel.set()
            case {"prove": str(method), **rest} if not rest and method in METHODS:
                self._prove_beside(method)
            case {"load": {"everyone": bool(everyone), **more}, **rest} if not rest and not more and self._received:
                self._load_beside(socket.socket(fileno=self._received.pop()), everyone=everyone)
            case _:
                raise ProtocolError

    # Looking: called from the threads of the checks

    def started(self, identity: str) -> None:
        """Pass it on."""
        self._say(started=identity)

    def slow(self, identity: str) -> None:
        """Pass it on."""
        self._say(slow=identity)

    def found(self, finding: Finding, details: list[str], beside: dict[str, Any]) -> None:
        """Pass it on, and remember what it offers."""
        self._fixes[finding.id] = {fix.id: fix for fix in finding.fixes}
        self._say(found=wire.to_json(finding), details=details, **beside)

    # Changing

    def _work(self, kind: str, identity: str, work: Callable[[], dict[str, Any]]) -> None:
        if self._occupied():
            self._say_ended(kind, identity, text="one thing at a time: something is at work already")
            return
        self._cancel.clear()
        self._job = threading.Thread(target=self._run, args=(kind, identity, work), name=kind, daemon=True)
        self._job.start()

    def _occupied(self) -> bool:
        return self._job is not None and self._job.is_alive()

    def _run(self, kind: str, identity: str, work: Callable[[], dict[str, Any]]) -> None:
        try:
            how = {"good": True, **work()}
        except CancelledError as error:
            left = "nothing was changed" if kind == "apply" else "what is still there can be taken back later"
            how = {"cancelled": True, "text": str(error) or f"cancelled; {left}"}
        except RepairError as error:
            how = {"text": str(error)}
        except Exception as error:
            log.debug("traceback", exc_info=True)
            how = {"text": f"this is a mistake in denet-tui ({type(error).__name__}: {error}); please report it"}
        self._job = None
        self._say_state()
        self._say_ended(kind, identity, **how)

    def _repair(self, session: str = "") -> Repair:
        return Repair(
            self._host(),
            lambda line: self._say(said=line),
            settings=self._settings,
            cancel=self._cancel,
            session=session,
        )

    def _apply(self, identity: str, shown: str) -> dict[str, Any]:
        """A fix that it has found itself, that was shown like that, and that it still finds."""
        check = identity.partition(".")[0]
        fix = self._fixes.get(check, {}).get(identity)
        if fix is None:
            raise RepairError(f"{identity[:100]} is no fix that was found on this machine; nothing was changed")
        if fix.weakens:
            raise RepairError(
                f"{identity} weakens this machine, for which root is asked: {called.rooted(sudo.to_apply(identity))}"
            )
        changed = RepairError(
            f"{identity}: this machine has changed since that was shown; nothing was done, look again"
        )
        if wire.digest(fix) != shown:
            raise changed
        self._count("apply", identity)
        if fix not in catalogue.run_one(self._checks.checks[check], self._host()).fixes:
            raise changed
        return {"changed": self._repair(self._session).apply(fix).changed}

    def _undo(self, identity: str) -> dict[str, Any]:
        """A fix that was applied in this session."""
        if identity not in self._repair().applied():
            raise RepairError(f"{identity[:100]}: nothing to undo; never applied, or undone already")
        mine = self._repair(self._session)
        if identity not in mine.applied():
            raise RepairError(
                f"{identity} was not applied here, so root is asked for it: {called.rooted(sudo.to_undo(identity))}"
            )
        self._count("undo", identity)
        left = [line for undone in mine.undo([identity]) for line in undone.left]
        return {"changed": True, "left": left, "good": not left}

    def _count(self, kind: str, identity: str) -> None:
        self._begun[kind, identity] += 1
        if self._begun[kind, identity] > _TIMES:
            again = sudo.to_apply(identity) if kind == "apply" else sudo.to_undo(identity)
            how = called.rooted(again)
            raise RepairError(f"{identity}: that was done {_TIMES} times in this session; to go on: {how}")

    def _say_ended(self, kind: str, fix: str, **how: Any) -> None:
        usual = {"good": False, "changed": False, "cancelled": False, "text": "", "left": ()}
        self._say(ended={"kind": kind, "fix": fix, **usual, **how})

    def _say_state(self) -> None:
        applied: tuple[str, ...] = ()
        mine: tuple[str, ...] = ()
        interrupted = False
        with suppress(RepairError):  # another setup is at work, or this is not root
            applied, mine = self._repair().applied(), self._repair(self._session).applied()
            interrupted = repair.interrupted(self._settings)
        self._say(state={"applied": applied, "mine": mine, "interrupted": interrupted})

    # Proving and loading

    def _prove_beside(self, method: str) -> None:
        if self._occupied():
            self._say(proof={"method": method, "refused": "one thing at a time: something is at work already"})
            return
        if not self._proofs:
            self._say(
                proof={"method": method, "refused": f"{_PROOFS} proofs have been made: start denet-tui once more"}
            )
            return
        self._proofs -= 1
        self._job = threading.Thread(target=self._prove, args=(method,), name="proof", daemon=True)
        self._job.start()

    def _prove(self, method: str) -> None:
        """In a process of its own, which keeps the descriptors to itself; pass on what it says."""
        argv = [sys.executable, "-IB", "-m", "denet_tui.bpf.prober", "prove", method]
        said = False
        with suppress(OSError), subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as prober:
            for line in prober.stdout or ():
                proof = json.loads(line)
                said = said or "method" in proof
                if "method" in proof:
                    self._job = None
                self._say(proof=proof)
        if not said:
            self._job = None
            self._say(proof={"method": method, "refused": "the process that tries it has ended before it was done"})

    def _load_beside(self, channel: socket.socket, *, everyone: bool) -> None:
        if self._occupied():
            self._refuse(channel, "one thing at a time: something is at work already")
        elif not privilege.may_load():
            self._refuse(channel, "loading the program needs root, which this is not")
        elif not self._tries:
            self._refuse(channel, "the program was loaded already: start denet-tui once more")
        else:
            self._tries -= 1
            asker = os.getuid() or privilege.invoking_user().uid
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
