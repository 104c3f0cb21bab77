"""What plain `denet-tui`, and `denet-tui setup` at a terminal, do: look, set up what is missing, and then watch.

Where this was started by root, one helper stays root (helper/helper.py) while the setup screen is up; this process
becomes the invoking user before it looks at anything. The helper ends when the program is loaded.
"""

from __future__ import annotations

import logging
import os
import shlex
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NoReturn

from denet_tui.bpf.failure import LoadError
from denet_tui.checks import catalogue, service, verdict
from denet_tui.checks.host import Host
from denet_tui.commands import loaded, run
from denet_tui.commands.last_good import Before, explained
from denet_tui.commands.targets import CommandTarget, MachineTarget, ProcessTarget, Target, WatchRequest
from denet_tui.helper import helper, sudo
from denet_tui.helper.client import HelperError
from denet_tui.helper.jobs import Ended, Jobs, Kind
from denet_tui.system import called
from denet_tui.system.visible import complain
from denet_tui.watch.candidates import candidates
from denet_tui.watch.launch import Start, StartError, without_privilege

if TYPE_CHECKING:
    from denet_tui.bpf.request import Request as LoadRequest
    from denet_tui.bpf.unprivileged import Loads
    from denet_tui.screens.setup.start import Pick, Restart
    from denet_tui.screens.setup.state import SetupState

_SILENT_S, _LOOK_S = 1.5, 5.0
"""For the first look: until it is said what takes so long, and from then until that is left to the setup screen."""
_PROOF_S = 30.0
"""For a proof that is at work when the user goes on: the helper does one thing at a time."""
_OF_THE_USER = frozenset({"HOME", "USER", "LOGNAME", "SHELL", "NO_COLOR", "COLORTERM", "TEXTUAL_THEME"})
"""What sudo takes away or makes root's, and the screen goes by."""


@dataclass(frozen=True, slots=True)
class Left:
    """The user has left: what is to be said about that, and the exit status."""

    words: tuple[str, ...]
    status: int


def home(request: WatchRequest) -> NoReturn:
    """Watch the whole machine; the setup screen first where something that is required is not right."""
    run.exit_with(lambda before: _Home(request).run(before))


def wizard(request: WatchRequest) -> NoReturn:
    """The setup screen, and then what is chosen there."""
    run.exit_with(lambda before: _Home(request).run(before, always=True))


def has_terminal() -> bool:
    """Whether a screen can be shown."""
    return WatchRequest().on_screen


class _Home:
    def __init__(self, request: WatchRequest = WatchRequest()) -> None:  # noqa: B008 - frozen
        """Fork the helper and the supervisor, and become the invoking user, in this order: no thread runs yet."""
        self._request = request
        try:
            client = helper.start()
        except HelperError as error:
            raise StartError(str(error)) from None
        self._privileged = client.may_load
        loader = client.loading if client.may_load else self._ask_for_a_loader
        self._start = Start(self._request.options, loaded.report, loader=loader)
        run.log_to(request, on_screen=True)
        os.environ.update({name: value for name, value in self._start.environment.items() if name in _OF_THE_USER})
        self._jobs = Jobs(client)

    @cached_property
    def _state(self) -> SetupState:
        """The state of the setup; it belongs to the screens, which a run without one does not load."""
        from denet_tui.screens.setup.state import SetupState

        return SetupState(self._jobs)

    def run(self, before: Before, *, always: bool = False) -> int:
        """The exit status; that of the command where one was run."""
        try:
            return self._run(before, always=always)
        finally:
            self._jobs.close()

    def _run(self, before: Before, *, always: bool) -> int:
        if always:
            return self._wizard(before, "setup")
        first = [each.id for each in catalogue.ALL if each.first]
        self._jobs.look(first)  # before the screens are loaded, which takes a moment
        self._state.looking.update(first)
        if self._in_the_way():
            return self._wizard(before, "setup")
        if not self._privileged:
            return self._wizard(before, "start")
        if failure := self._load(target := MachineTarget(), before):
            return self._wizard(before, "setup", failure)
        return self._watch(target, before)

    def _wizard(self, before: Before, first: Literal["setup", "start"], failure: str = "") -> int:
        """Ask what is to be watched, and watch it; `failure` is why that has not worked so far."""
        from denet_tui.screens.setup.start import Restart

        while True:
            pick = self._ask(failure, first)
            first = "setup"
            if pick is None:
                return self._leave(failure)
            if isinstance(pick, Restart):
                failure = self._become(pick.argv)
            elif pick.kind == "machine" and not self._privileged:
                failure = self._through_sudo(pick)
            elif not (failure := self._load(picked := _target(pick), before)):
                return self._watch(picked, before)

    def _in_the_way(self) -> bool:
        """Whether some of what every attach method needs is not right, by the quick look that was asked for."""
        setup = self._state
        if not setup.wait(lambda: not setup.looking, _SILENT_S):
            complain(f"still looking: {', '.join(sorted(setup.looking))} …")
            setup.wait(lambda: not setup.looking, _LOOK_S)
        for each in setup.looking:
            setup.skip(each)
        setup.wait(lambda: not setup.looking, 0)
        found = verdict.methods(setup.known, whole=False)
        if not self._privileged and called.way_up() and any(set(method.ids) <= {"PRIV-001"} for method in found):
            return False  # nothing is wrong: sudo is asked for the loader, when it is known what is to be watched
        return all(method.verdict == "blocked" for method in found)

    def _load(self, target: Target, before: Before) -> str:
        """Have the program loaded, and end the helper; why that did not work, empty where it did."""
        self._start.aim_at(target.aim, target.pids, target.scale(self._request.options))
        if target.aim != "command":
            self._start.dismiss_supervisor()
        self._state.wait(lambda: not self._state.proof.running, _PROOF_S)  # the proof may still be loading
        try:
            self._start.load()
        except LoadError as error:
            return str(explained(error, before))
        self._jobs.close()
        return ""

    def _ask_for_a_loader(self, wanted: LoadRequest, only_uid: int | None) -> Loads:
        return without_privilege(self._request.options, "command", complain)(wanted, only_uid)

    def _ask(self, failure: str, first: Literal["setup", "start"]) -> Pick | Restart | None:
        """Show the setup screen; what is to be watched, None if the user left. `failure` is of the try before."""
        from denet_tui.commands import screen
        from denet_tui.screens.setup.app import HomeApp

        preferences = screen.preferred(self._start.environment)
        app = HomeApp(
            self._state,
            Host(),
            candidates,
            who=self._who(),
            first=first,
            ask=self._as_root_once if sudo.can() else None,
            search=self._start.environment.get("PATH", os.defpath),
            note=f"✗ {failure}" if failure else "",
            preferences=preferences,
        )
        pick = app.run()
        self._jobs.listen()
        if app.return_code:
            raise StartError(screen.explain_fault(app.fault, preferences.folder))
        return pick

    def _who(self) -> str:
        name = self._start.invoker.name
        copy = "" if sys.prefix == service.FOLDER else f" (from {sys.prefix})"
        if os.geteuid() == 0:
            return "as root: there is no other user to become"
        return f"as {name}{', with one helper as root' * self._jobs.root}{copy}"

    def _watch(self, target: Target, before: Before) -> int:
        from denet_tui.commands import screen

        return run.watch(self._start, target, self._request, before, screen.preferred(self._start.environment))

    # Without root

    def _as_root_once(self, kind: Kind, fix: str) -> Ended:
        """Apply or undo one fix by `sudo denet-tui setup`, on the terminal, which the screen has left."""
        argv = sudo.undo(fix) if kind == "undo" else sudo.apply(fix)
        complain(f"as root: {shlex.join(argv)}")
        if refused := sudo.password(argv):
            return Ended(kind, fix, good=False, text=refused)
        return sudo.run(argv).ended(kind, fix)

    def _through_sudo(self, pick: Pick) -> str:
        """Start `sudo denet-tui` in the place of this process, which cannot load the program itself; or why not."""
        words = {"command": ("run", "--", *pick.argv), "process": ("attach", str(pick.pid)), "machine": ("machine",)}
        log_file = self._request.log_file
        options = (*(("--debug",) * self._request.debug), *(("--log-file", str(log_file)) if log_file else ()))
        argv = sudo.as_root(*options, *words[pick.kind])
        if not argv:
            command = shlex.join((called.for_administrator()[0], *options, *words[pick.kind]))
            raise StartError(f"loading the BPF program needs root, and {called.why_no_way()}: run as root `{command}`")
        return self._become(argv)

    def _become(self, argv: tuple[str, ...]) -> str:
        """Be that program from now on; why not, where sudo got no password."""
        complain(f"as root: {shlex.join(argv)}")
        if not (failure := sudo.password(argv)):
            self._jobs.close()
            logging.shutdown()
            os.execvp(argv[0], argv)  # noqa: S606 - an argv, not a shell
        return failure

    # Leaving

    def _leave(self, failure: str) -> int:
        left = farewell(self._state)
        for line in (*([failure] if failure else []), *left.words):
            complain(line)
        return left.status


def _target(pick: Pick) -> Target:
    match pick.kind:
        case "command":
            return CommandTarget(pick.argv)
        case "process":
            return ProcessTarget([pick.pid])
        case "machine":
            return MachineTarget()


def farewell(setup: SetupState) -> Left:
    """What was done and what was not, with how to take it back; 0 where watching works here, 1 where it does not."""
    setup.wait(setup.engine.events.empty, 0)
    ready = any(method.verdict == "ready" and method.proven for method in setup.methods)
    in_force = _in_force(setup.done)
    words = [f"applied and in force: {fix}; to take it back: {called.rooted(sudo.to_undo(fix))}" for fix in in_force]
    words += [f"taken back only in part: {each.fix}: {'; '.join(each.left)}" for each in setup.done if each.left]
    if setup.working:
        words.append("what was at work is being cancelled and taken back; `denet-tui setup` tells how it is")
    if not ready and setup.findings:
        found = setup.plan
        open_still = dict.fromkeys(each.finding.id for each in (*found.choices, *found.advice))
        open_still |= dict.fromkeys(each.id for each in found.stuck)
        titles = ", ".join(f"{setup.findings[each].title} ({each})" for each in open_still)
        if [*open_still] == [verdict.ACCESS]:
            words.append(_only_root())
        else:
            words.append(f"not ready yet; left to do: {titles or 'the proof'}; go on with `denet-tui setup`")
    return Left(tuple(words), verdict.READY if ready else verdict.BLOCKED)


def _only_root() -> str:
    from denet_tui.screens.setup.front import ALONE, ONLY_ROOT

    return f"{ALONE} `{called.program()} setup` has a text to hand over." if called.why_no_way() else ONLY_ROOT


def _in_force(done: Iterable[Ended]) -> list[str]:
    """Fixes that were applied and not taken back since, in order."""
    found: dict[str, None] = {}
    for each in done:
        if each.kind == "apply" and each.good and each.changed:
            found[each.fix] = None
        elif each.kind == "undo" and each.good:
            found.pop(each.fix, None)
    return list(found)
