"""What run, attach, machine and selftest do: watch, record and the screen together, and the exit status."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NoReturn

from denet_tui.bpf.failure import LoadError
from denet_tui.bpf.handover import METHODS
from denet_tui.commands import loaded
from denet_tui.commands.last_good import Before, explained
from denet_tui.commands.targets import (
    MachineTarget,
    ProcessTarget,
    Target,
    WatchRequest,
    cgroup_of,
    processes_called,
)
from denet_tui.record.sink import RecordError
from denet_tui.syscalls import class_of
from denet_tui.system import debug, files
from denet_tui.system.visible import ReaderLeftError, as_json, complain, shortened, terminal_width, visible, write
from denet_tui.watch.find import CommandError
from denet_tui.watch.launch import FAILED, Start, StartError
from denet_tui.watch.log import RING

if TYPE_CHECKING:
    from denet_tui.model import RunInfo, Snapshot
    from denet_tui.preferences.screen import Preferences
    from denet_tui.record.writer import Recorder
    from denet_tui.watch.worker import Session

log = logging.getLogger("denet_tui")

_LAST_LINE = 160
"""Characters of a line of output in the table at the end, two rows of a terminal."""

ToSnapshots = Callable[["RunInfo"], Callable[["Snapshot"], None]]
"""From what does not change during a run to what each snapshot of it is given to."""


def start(target: Target, request: WatchRequest) -> NoReturn:
    """Watch it until its end or that of the watching; exits with the command's status, else 0, or 125, 126 or 127."""
    exit_with(lambda before: _start_and_watch(target, request, before))


def attach(words: Sequence[str], request: WatchRequest, *, every: bool) -> NoReturn:
    """As `start`, for running processes by their ids and names (see `processes_called`), or as `machine` has it."""

    def body(before: Before) -> int:
        if request.chooses == bool(words):
            raise StartError(
                "name processes, or choose them by --user, --cgroup, --unit or --container: "
                f"{'not both' if words else 'one of them'}; see `denet-tui attach --help`"
            )
        if request.chooses:
            return _start_and_watch(MachineTarget(cgroup_of(request)), request, before)
        pids = processes_called(words, every=every, as_root=request.as_root)
        return _start_and_watch(ProcessTarget(pids), request, before)

    exit_with(body)


def machine(request: WatchRequest) -> NoReturn:
    """As `start`, for every process of this machine, or those that the options choose."""
    exit_with(lambda before: _start_and_watch(MachineTarget(cgroup_of(request)), request, before))


def selftest(name: str, request: WatchRequest) -> NoReturn:
    """Count 1,000 known calls; exits with 0 where they were counted exactly, with 1 where not."""
    exit_with(lambda before: _selftest(name, request, before))


def exit_with(body: Callable[[Before], int]) -> NoReturn:
    """Exit with what the body returns; every failure that a user can meet is one line on stderr."""
    before = Before()
    try:
        status = body(before)
    except CommandError as error:
        status = complain(str(error), error.status)
    except LoadError as error:
        log.debug("what libbcc printed:\n%s", error.output)
        status = complain(str(explained(error, before)), FAILED)
    except (StartError, RecordError, debug.LogError) as error:
        status = complain(str(error), FAILED)
    except ReaderLeftError as left:
        status = left.STATUS
    except OSError as error:
        log.debug("traceback", exc_info=True)
        where = f"{error.filename}: " if error.filename else ""
        status = complain(where + files.explain(error, "start it again with --debug to see where"), FAILED)
    logging.shutdown()
    sys.exit(status)


class _Runs:
    """One run of the target, or several, one after the other, on the same loaded programs."""

    def __init__(
        self,
        start: Start,
        target: Target,
        request: WatchRequest,
        preferences: Preferences | None,
        *,
        unseen: bool,
    ) -> None:
        """`unseen`: no snapshot before the last is shown or told."""
        self._start, self._target, self._request, self._unseen = start, target, request, unseen
        self._on_screen = preferences is not None
        usual_s = 0.1 if request.execs else 0.5
        self._interval_s = request.interval or (preferences and preferences.settings.interval) or usual_s
        self._number = 0
        self.hurry = False
        """Whether the end was asked for: a reader of the recording that does not read is not waited for then."""
        self.failures: list[str | None] = []
        self._next()

    def _next(self) -> None:
        request = self._request.of_run(self._number + 1)
        session = self._target.hold(self._start, request, self._interval_s, on_screen=self._on_screen)
        try:
            self._recorder = session.recorder = _recorder(session.info, request)
        except RecordError:
            session.target.kill()
            raise
        session.until_last = request.until_last
        session.shows_usages = self._on_screen or request.as_json or request.recording is not None
        session.unseen = self._unseen and session.recorder is None
        self._number += 1
        self.session = session

    def again(self) -> Session:
        """End the run that there is, and hold the same command once more; raises what `run` raises.

        Recording, summary and output of run 2 go to FILE.2, and so on.
        """
        final = self.session.conclude("kill")
        if final.running:
            raise StartError("the command does not end: it cannot be run again")
        self._complete(final)
        self._next()
        return self.session

    def finish(self, final: Snapshot) -> bool:
        """After the last snapshot of the last run; False if a recording is not complete."""
        self._complete(final)
        output = self.session.target.output
        last = visible(output.last_line) if output and final.status else ""
        _write_table(self.session.info, final, [shortened(f"from its output: {last}", _LAST_LINE)] if last else [])
        for failure in filter(None, self.failures):
            complain(failure)
        return not (self._recorder and self._recorder.failure)

    def _complete(self, final: Snapshot) -> None:
        if self._recorder:
            self._recorder.finish(final, lambda: self.hurry)
        self.failures.append(self._recorder.warning if self._recorder else None)
        self.failures += [each.failure if each else None for each in (self._recorder, self.session.target.output)]


def begin(target: Target, request: WatchRequest) -> Start:
    """Load what the target needs, or say that it will be; privilege is given away. Raises StartError, LoadError."""
    options = request.options
    return Start(options, loaded.report, aim=target.aim, pids=target.pids, scale=target.scale(options), say=complain)


def _start_and_watch(target: Target, request: WatchRequest, before: Before) -> int:
    begun, preferences = begin(target, request), None
    if request.on_screen:
        from denet_tui.commands import screen

        preferences = screen.preferred(before.environment)
    else:
        request = _at_the_usual_interval(request, before)
        if request.at_terminal:
            complain("no screen here: TERM is not set, or `dumb`; what was counted is told at the end")
    return watch(begun, target, request, before, preferences)


def _at_the_usual_interval(request: WatchRequest, before: Before) -> WatchRequest:
    """With that of the settings file, of which a run without a screen needs no more; what is wrong there is said."""
    if request.interval or request.execs:
        return request
    from denet_tui.preferences import settings

    try:
        return request._replace(interval=settings.interval(settings.where(before.environment)))
    except settings.SettingsError as error:
        complain(f"{error}; going on without it")
        return request


def watch(
    start: Start,
    target: Target,
    request: WatchRequest,
    before: Before,
    preferences: Preferences | None,
    told: ToSnapshots | None = None,
) -> int:
    """Watch the target until the end, on the screen of who has `preferences` (None: without); the exit status.

    Without a screen each snapshot goes to what `told` makes of the run. `before` remembers that watching works.
    """
    log_to(request, on_screen=preferences is not None)
    told = told or (_exec_lines if request.execs else None)
    unseen = preferences is None and told is None and request.interval is None
    runs = _Runs(start, target, request, preferences, unseen=unseen)
    final = _watch_on_screen(runs, target, request, preferences) if preferences else _watch(runs, request, told)
    complete = runs.finish(final)
    before.remember()
    status = 0
    if final.status is not None and target.aim == "command":
        code = os.waitstatus_to_exitcode(final.status)
        status = 128 - code if code < 0 else code
    return status if complete or status else FAILED


def _selftest(name: str, request: WatchRequest, before: Before) -> int:
    from denet_tui.watch import selftest as self_test

    start = Start(request.options, loaded.report, aim="itself", say=complain)
    log_to(request, on_screen=False)
    tracer = start.tracer()
    try:
        outcome = self_test.run(tracer, name)
    except ValueError as error:
        raise StartError(str(error)) from None
    if request.as_json:
        write(as_json({"way": tracer.method, **self_test.as_object(outcome)}) + "\n", sys.stdout)
    else:
        write(f"{METHODS[tracer.method]}: {self_test.explain(outcome)}\n", sys.stdout)
    if outcome.exact:
        before.remember()
    elif not outcome.counted:
        complain(str(explained(LoadError("read", "maps stay empty", method=tracer.method), before)))
    return 0 if outcome.exact else 1


def _watch_on_screen(runs: _Runs, target: Target, request: WatchRequest, preferences: Preferences) -> Snapshot:
    from denet_tui.commands import screen

    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # there the table has no place
    again = runs.again if target.aim == "command" else None
    on_quit = "leave" if target.aim == "machine" else request.on_quit
    how, fault = screen.show(runs.session, preferences, on_quit, again)
    if fault:
        runs.session.finish("kill")
        raise StartError(screen.explain_fault(fault, preferences.folder))
    runs.hurry = how != "ended"
    return runs.session.finish(how or "kill")


def _exec_lines(info: RunInfo) -> Callable[[Snapshot], None]:
    from denet_tui.record.execs import ExecLines

    return ExecLines(info, sys.stderr).add


def _watch(runs: _Runs, request: WatchRequest, told: ToSnapshots | None) -> Snapshot:
    session = runs.session

    def be_quick(number: int, frame: object) -> None:  # noqa: ARG001 - the signal module's signature
        runs.hurry = True

    try:
        tell = told(session.info) if told else lambda _: None
        how = _without_screen(session, request, _on_request(session, tell))
        runs.hurry = how != "ended"
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, be_quick)
        final = session.finish(how)
        tell(final)
        return final
    finally:
        session.target.give_back()


def _on_request(session: Session, tell: Callable[[Snapshot], None]) -> Callable[[Snapshot], None]:
    """`tell`, and where SIGUSR1 has come since the last snapshot the table so far, on stderr."""
    asked = False

    def ask(number: int, frame: object) -> None:  # noqa: ARG001 - the signal module's signature
        nonlocal asked
        asked = session.at_once = True

    def told(snapshot: Snapshot) -> None:
        nonlocal asked
        tell(snapshot)
        if asked and snapshot.running and not session.at_once:  # else the next one has what was asked for
            asked = False
            _write_table(session.info, snapshot)

    signal.signal(signal.SIGUSR1, ask)
    return told


def _without_screen(session: Session, request: WatchRequest, tell: Callable[[Snapshot], None]) -> str:
    """Watch in this thread, `tell` each snapshot; returns how it ended.

    Ctrl+c reaches the command by itself, as it shares this terminal (or through Relayed): so it is the command's to
    decide, as long as it lives. An attached process does not share it: there ctrl+c ends the watching.
    """
    from denet_tui.watch.command import Command

    stop, how = threading.Event(), "ended"
    is_command = isinstance(session.target, Command)
    leave = request.on_quit == "leave" or not is_command

    def leave_off(number: int, frame: object) -> None:  # noqa: ARG001 - the signal module's signature
        nonlocal how
        if how == "ended":  # the second of two may come in the middle of `set`, whose lock it would wait for for ever
            how = "leave" if leave else "kill"
            stop.set()

    def take_keys(answer: Callable[[int, object], None] | signal.Handlers) -> None:
        for number in (signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, answer)

    def outlived() -> None:
        session.target.give_back()
        take_keys(leave_off)

    session.outlived = outlived
    take_keys(signal.SIG_IGN if is_command else leave_off)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, leave_off)
    session.run(tell, stop)
    return how


def _recorder(info: RunInfo, request: WatchRequest) -> Recorder | None:
    """Opened as the invoking user, before the command is let go; None if nothing is kept. Raises RecordError."""
    if request.recording is None and (request.max_size or request.keep):
        raise StartError("--max-size and --keep are of the recording: name its file with -o FILE")
    if request.as_json and sys.stdout is None:
        raise StartError("--json writes to standard output, which is closed; use -o FILE")
    if not (request.recording or request.as_json or request.summary):
        return None
    from denet_tui.record.parts import Limits
    from denet_tui.record.writer import Recorder

    stream = sys.stdout.buffer if request.as_json else None
    recorder = Recorder(
        info,
        class_of,
        path=request.recording,
        stream=stream,
        summary_path=request.summary,
        host_name=not request.no_host_name,
        limits=Limits(request.max_size, request.keep),
    )
    recorder.start()
    return recorder


def _write_table(info: RunInfo, snapshot: Snapshot, said: Sequence[str] = ()) -> None:
    """On stderr; `said` comes last."""
    from denet_tui.findings.rules import sentences
    from denet_tui.record.table import render_table

    width = terminal_width(100)
    write(render_table(info, snapshot, width, [*sentences(snapshot), *said]), sys.stderr)


def log_to(request: WatchRequest, *, on_screen: bool) -> None:
    """Send log messages to --log-file or stderr (with a screen, when that is gone), and to the Log tab."""
    RING.listen()
    if debug.started() or not debug.wanted(debug=request.debug, log_file=request.log_file):
        return
    handler: logging.Handler = debug.Handler(request.log_file)
    if on_screen and not request.log_file:
        from logging.handlers import MemoryHandler

        handler = MemoryHandler(1_000_000, flushLevel=logging.CRITICAL + 1, target=handler)
    debug.start(handler)
