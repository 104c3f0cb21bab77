"""What `denet-tui setup` does without a screen: shows the plan, applies it as root, looks again, and can undo it."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from denet_tui import __version__
from denet_tui.bpf import handover, privilege
from denet_tui.checks import verdict
from denet_tui.checks.host import Host
from denet_tui.checks.model import Finding, Fix, State
from denet_tui.helper import access, check_runner, sudo
from denet_tui.repair import plan, preview, repair
from denet_tui.repair.plan import Choice, Plan, PlanError
from denet_tui.repair.repair import Repair, RepairError
from denet_tui.repair.runner import CancelledError
from denet_tui.repair.steps import REAL, Settings
from denet_tui.report import report
from denet_tui.system import called, debug
from denet_tui.system.visible import ReaderLeftError, as_json, complain, visible, write

log = logging.getLogger("denet_tui")
_ROUNDS = 4
"""A fix may bring to light what needs another: tracefs, once mounted, may be closed."""


@dataclass(frozen=True, slots=True)
class SetupRequest:
    """The options of setup, as the command line has them."""

    plan: bool = False
    yes: bool = False
    only: tuple[str, ...] = ()
    undo: bool = False
    permanent: bool = False
    as_json: bool = False
    debug: bool = False
    log_file: Path | None = None


class SetupError(Exception):
    """What was asked for cannot be done; the text says why, `status` is for exit."""

    def __init__(self, text: str, status: int = verdict.BLOCKED) -> None:
        super().__init__(text)
        self.status = status


@dataclass(slots=True)
class Result:
    """What `--json` prints."""

    plan: Plan | None = None
    applied: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, Any]] = field(default_factory=list)
    undone: list[dict[str, Any]] = field(default_factory=list)
    verified: list[Finding] = field(default_factory=list)
    ready: bool | None = None
    """None if it was not looked at (--undo)."""


def setup(request: SetupRequest) -> NoReturn:
    """Plan, apply or undo, and exit: 0 ready, 1 blocked, 64 usage, 70 crash."""
    try:
        if debug.wanted(debug=request.debug, log_file=request.log_file):
            with _acting_as(privilege.invoking_user()):  # setup itself is root
                debug.start(debug.Handler(request.log_file))
        status = Setup(request).run()
    except SetupError as error:
        status = complain(str(error), error.status)
    except (PlanError, debug.LogError) as error:
        status = complain(str(error), verdict.USAGE)
    except RepairError as error:
        status = complain(str(error), verdict.BLOCKED)
    except (CancelledError, KeyboardInterrupt) as error:
        status = complain(str(error) or "cancelled; nothing is half done", verdict.BLOCKED)
    except ReaderLeftError as left:
        status = left.STATUS
    except Exception as error:
        log.debug("traceback", exc_info=True)
        words = f"setup itself broke ({type(error).__name__}: {error})"
        status = complain(f"{words}; please report it with `denet-tui setup --debug`", verdict.CRASHED)
    logging.shutdown()
    sys.exit(status)


class Setup:
    """One run of setup. `host` and `settings` are for tests."""

    def __init__(self, request: SetupRequest, host: Callable[[], Host] = Host, *, settings: Settings = REAL) -> None:
        self.request = request
        self.result = Result()
        self._host = host
        self._settings = settings
        self._cancel = threading.Event()
        self._applied: list[Fix] = []
        self._repair = Repair(host(), self._say, settings=settings, cancel=self._cancel)

    def run(self) -> int:
        """Do what was asked for; the exit status. Raises SetupError, PlanError, RepairError, CancelledError."""
        _agree(self.request)
        if (self.request.yes or self.request.undo) and self._host().uid:
            raise SetupError(f"this changes the machine, which only root can; {called.how_as_root(*self._words())}")
        try:
            return self._undo() if self.request.undo else self._plan()
        finally:
            if self.request.as_json and (self.result.plan or self.request.undo):
                write(as_json(self._object(), lines=True) + "\n", sys.stdout)

    def _undo(self) -> int:
        with self._interruptible():
            for each in self._repair.undo(self.request.only or None):
                self.result.undone.append({"id": each.fix, "left": list(each.left)})
                self._say(f"{each.fix}: undone" if not each.left else f"{each.fix}: only partly undone")
                for line in each.left:
                    self._say(f"  left: {line}")
        if not self.result.undone:
            self._say("nothing to undo")
        left = any(each["left"] for each in self.result.undone)
        return verdict.BLOCKED if left else verdict.READY

    def _plan(self) -> int:
        if self.request.yes:
            self._repair.recover()
        cut_off = self._host().uid == 0 and repair.interrupted(self._settings)
        findings = self._look()
        self._conclude(findings)
        found = self.result.plan = plan.plan(findings, self.request.only, permanent=self.request.permanent)
        self._show(found)
        if cut_off:
            self._say(f"an earlier setup was interrupted half-way; to take that back: {called.as_root(*self._words())}")
        if self._is_for_another(found):
            write(self._for_administrator(found), sys.stderr if self.request.as_json else sys.stdout)
            return self._status()
        if not found.choices and not cut_off:
            return self._status()
        if not self._agreed():
            return verdict.BLOCKED
        self._repair.recover()
        self._apply(found)
        return self._status()

    def _is_for_another(self, found: Plan) -> bool:
        """Whether this user cannot become root, who alone can do what is left."""
        if self.result.ready or not called.why_no_way():
            return False
        return bool(found.choices) or not (self.request.only or found.stuck)

    def _for_administrator(self, found: Plan) -> str:
        if found.choices:
            previews = {each.fix.id: preview.preview(each.fix, self._host()) for each in found.choices}
            return sudo.for_administrator([(each.finding, each.fix) for each in found.choices], previews)
        seen = {each.id: each for each in self.result.verified}
        host = self._host()
        reach = access.reach(host)
        ways = access.ways(reach, seen, (host.uid, os.getgid()), called.program())
        group = next((way.fix for way in ways if way.id == "group"), None)
        return sudo.to_let_in(group, only_root=reach.only_root)

    def _status(self) -> int:
        if any(finding.state is State.CRASH for finding in self.result.verified):
            return verdict.CRASHED
        found = self.result.plan
        left = self.request.only and found and (found.advice or found.stuck)
        helped = all(repair.holds(fix, self.result.verified) for fix in self._applied if self.request.only)
        done = self.result.ready and helped and not self.result.failed and not left
        return verdict.READY if done else verdict.BLOCKED

    def _agreed(self) -> bool:
        """Asked once, at a terminal; never where only the plan was wanted."""
        if self.request.yes or self.request.plan or self.request.as_json:
            return self.request.yes
        if self._host().uid:
            self._say(f"To apply it {called.how_as_root(*self._words())}")
            return False
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            self._say("Nothing was changed. To apply it add --yes")
            return False
        try:
            answer = input("Apply this? [y/N] ")
        except EOFError:
            answer = ""
        if answer.strip().lower() not in ("y", "yes"):
            self._say("Nothing was changed.")
            return False
        return True

    def _apply(self, found: Plan) -> None:
        """Apply the plan; what comes to light by it, too, where nobody is there to be asked again."""
        tried: set[str] = set()
        for _ in range(_ROUNDS if self.request.yes else 1):
            fresh = [choice for choice in found.choices if choice.fix.id not in tried]
            if not fresh:
                break
            for choice in fresh:
                tried.add(choice.fix.id)
                self._apply_one(choice)
            findings = self._look()
            self._conclude(findings)
            asked = set(self.request.only) & _ids(findings)
            if self.request.only and not asked:
                break
            found = plan.plan(findings, asked, permanent=self.request.permanent)
        self._say("Ready." if self.result.ready else "Not ready yet: `denet-tui diag` says what is in the way.")

    def _apply_one(self, choice: Choice) -> None:
        fix = choice.fix
        self._say(f"{fix.id}: {fix.title}")
        try:
            with self._interruptible():
                done = self._repair.apply(fix)
        except RepairError as error:
            self.result.failed.append({"id": fix.id, "error": str(error)})
            self._say(str(error))
            return
        self.result.applied.append({"id": fix.id, "changed": done.changed, "undo": fix.undo})
        self._applied.append(fix)
        found = repair.verify(fix, lambda ids: check_runner.run(self._host(), ids))
        for finding in verdict.settled(found):
            self._say(f"  {finding.state:<9}{finding.id:<10}{finding.title}")
        what = "applied" if done.changed else "was so already, nothing was changed"
        if not repair.holds(fix, found):
            undo = f"; to undo: {self._to_undo(fix.id)}" if done.changed else ""
            self._say(f"{fix.id}: {what}, but {choice.finding.id} still reports a problem{undo}")
        elif not done.changed:
            self._say(f"{fix.id}: {what}")

    def _look(self) -> list[Finding]:
        return verdict.settled(check_runner.run(self._host()))

    def _conclude(self, findings: Sequence[Finding]) -> None:
        self.result.verified = list(findings)
        self.result.ready = any(method.verdict == "ready" for method in verdict.methods(findings))

    def _show(self, found: Plan) -> None:
        if not found.choices:
            self._say(
                "Nothing to do: watching works here."
                if self.result.ready
                else "There is nothing that setup could do here."
            )
        else:
            self._say("To be done:" if self.request.only else f"To be done, for {handover.METHODS[found.method]}:")
        for choice in found.choices:
            self._show_choice(choice)
        for choice in (*found.advice, *(each for each in found.choices if each.fix.advice)):
            self._say("")
            self._say(f"For you to do ({choice.finding.id}, {choice.finding.title}): {choice.fix.advice}")
        for finding in found.stuck:
            self._say("")
            self._say(f"In the way, and no fix for it is known: {finding.id}, {finding.title}")
        if found.offered and not self.request.only:
            self._say("")
            self._say("Not needed now; with --only ID:")
            for choice in found.offered:
                opens = f"; opens: {choice.fix.weakens}" if choice.fix.weakens else ""
                self._say(f"  {choice.fix.id}: {choice.fix.title}{opens}")
        self._say("")

    def _show_choice(self, choice: Choice) -> None:
        finding, fix = choice.finding, choice.fix
        self._say("")
        self._say(f"{finding.id} {finding.state}: {finding.title}")
        self._say(f"  {fix.id} ({fix.scope}): {fix.title}")
        if fix.weakens:
            self._say(f"  opens: {fix.weakens}")
        if self.request.permanent and fix.scope != "permanent":
            self._say("  --permanent: nothing that lasts is known for it on this machine; do this after each boot")
        for line in preview.preview(fix, self._host()):
            self._say(f"    {line}")
        self._say(f"  undo: {fix.undo}")

    def _object(self) -> dict[str, Any]:
        found, host = self.result.plan or Plan("raw"), self._host()
        return {
            "format": report.FORMAT,
            "version": __version__,
            "ready": self.result.ready,
            "way": found.method,
            "plan": [_planned(choice, host) for choice in found.choices],
            "advice": [_planned(choice, host) for choice in found.advice],
            "offered": [choice.fix.id for choice in found.offered],
            "stuck": [finding.id for finding in found.stuck],
            "applied": self.result.applied,
            "failed": self.result.failed,
            "undone": self.result.undone,
            "verified": [report.finding_object(finding) for finding in self.result.verified],
        }

    def _say(self, line: str) -> None:
        """A line for a person: on stdout, with --json on stderr."""
        write(f"{visible(line)}\n", sys.stderr if self.request.as_json else sys.stdout)

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """ctrl+c and kill end a program that runs and take its fix back, instead of leaving that to the next run."""
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        asked = False

        def cancel(*_: object) -> None:
            nonlocal asked
            if not asked:  # the second of two may come in the middle of `set`, and wait for its lock for ever
                asked = True
                self._cancel.set()

        before = {number: signal.signal(number, cancel) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @staticmethod
    def _words() -> tuple[str, ...]:
        """What root adds to denet-tui to have this done."""
        words = [word for word in sys.argv[1:] if word not in ("--plan", "--json")] or ["setup"]
        return (*words, *(() if {"--yes", "--undo"} & set(words) else ("--yes",)))

    def _to_undo(self, identity: str) -> str:
        return called.as_root("setup", "--undo", "--only", identity)


def _agree(request: SetupRequest) -> None:
    """Raise SetupError where two options contradict each other."""
    pairs = (
        (request.plan and request.yes, "--plan changes nothing, --yes applies"),
        (request.plan and request.undo, "--plan changes nothing, --undo does"),
        (request.undo and request.permanent, "--permanent is for applying, not for --undo"),
    )
    for wrong, words in pairs:
        if wrong:
            raise SetupError(f"{words}: choose one; see `denet-tui setup --help`", verdict.USAGE)


def _planned(choice: Choice, host: Host) -> dict[str, Any]:
    found = choice.finding
    about = {"id": found.id, "state": str(found.state), "title": found.title}
    return {**preview.as_object(choice.fix, host), "finding": about}


def _ids(findings: Sequence[Finding]) -> set[str]:
    return {finding.id for finding in findings} | {fix.id for finding in findings for fix in finding.fixes}


@contextmanager
def _acting_as(user: privilege.User) -> Iterator[None]:
    """Have this user's rights to files, groups included, where this is root; no other thread may run."""
    if os.geteuid() or not user.uid:
        yield
        return
    gid, groups = os.getegid(), os.getgroups()
    try:
        os.setgroups(os.getgrouplist(user.name, user.gid))
        os.setegid(user.gid)
        os.seteuid(user.uid)
        yield
    finally:
        os.seteuid(0)
        os.setegid(gid)
        os.setgroups(groups)
