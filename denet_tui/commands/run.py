"""What the commands do: brings watch, record and the screen together, and decides the exit status."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from logging.handlers import MemoryHandler
from pathlib import Path
from typing import BinaryIO, Literal, NoReturn

from denet_tui import debug, files
from denet_tui.bpf.errors import LoadError
from denet_tui.bpf.handover import WAYS, Kernel
from denet_tui.bpf.tracer import Tracer
from denet_tui.commands.last_good import Before, explained
from denet_tui.model import RunInfo, Snapshot
from denet_tui.record.sink import RecordError
from denet_tui.record.table import render_table
from denet_tui.record.writer import Recorder
from denet_tui.syscalls import class_of
from denet_tui.visible import as_json, complain, write
from denet_tui.watch import selftest as self_test
from denet_tui.watch.command import Command
from denet_tui.watch.find import CommandError
from denet_tui.watch.launch import FAILED, Options, Start, StartError, attach_process, hold_command
from denet_tui.watch.log import RING
from denet_tui.watch.output import Output
from denet_tui.watch.worker import Session

log = logging.getLogger("denet_tui")

_NO_FILE = (None, "pane", "null")
"""Values of --output that are no files."""


@dataclass(frozen=True, slots=True)
class Request:
    """The options of run, attach and selftest, as the command line has them."""

    recording: Path | None = None
    as_json: bool = False
    summary: Path | None = None
    no_tui: bool = False
    interval: float | None = None
    """None: as the settings file says, else 0.5 s."""
    syscalls: str = ""
    way: str = "auto"
    rows: int = 65536
    as_root: bool = False
    no_sudo: bool = False
    user: str | None = None
    output: str | None = None
    on_quit: Literal["ask", "kill", "leave"] = "ask"
    debug: bool = False
    log_file: Path | None = None

    @property
    def options(self) -> Options:
        """The part that watch/ needs."""
        only = tuple(word.strip() for word in self.syscalls.split(",") if word.strip())
        interval = self.interval or 0.5
        return Options(self.way, interval, only, self.user, self.as_root, self.rows, self.on_quit, self.no_sudo)

    def of_run(self, number: int) -> Request:
        """The same for the run of this number: from the second on its files are others."""
        if number == 1:
            return self
        recording, summary = (
            path and path.with_name(f"{path.name}.{number}") for path in (self.recording, self.summary)
        )
        output = self.output if self.output in _NO_FILE else f"{self.output}.{number}"
        return replace(self, recording=recording, summary=summary, output=output)

    @property
    def on_screen(self) -> bool:
        """True where there is a terminal on all sides and nobody asked for none. Textual draws on stderr."""
        return not self.no_tui and not self.as_json and all(os.isatty(number) for number in (0, 1, 2))


Begin = Callable[..., Start]
"""Makes the Start, with the arguments of Start; what comes before the watching (commands_home) has one already."""


def run(argv: tuple[str, ...], request: Request) -> NoReturn:
    """Watch a command; exits with its status, or with 125, 126 or 127."""
    with_screen = request.on_screen
    exit_with(lambda before: watch_command(argv, request, before, with_screen=with_screen))


def attach(pid: int, request: Request) -> NoReturn:
    """Watch a running process; exits with 0 when it has ended or the watching has."""
    exit_with(lambda before: watch_process(pid, request, before, with_screen=request.on_screen))


def machine(request: Request) -> NoReturn:
    """Watch every process of the machine until the watching is ended; exits with 0 then."""
    exit_with(lambda before: watch_machine(request, before, with_screen=request.on_screen))


def selftest(name: str, request: Request) -> NoReturn:
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
    except (StartError, RecordError) as error:
        status = complain(str(error), FAILED)
    except OSError as error:
        log.debug("traceback", exc_info=True)
        status = complain(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}", FAILED)
    logging.shutdown()
    sys.exit(status)


class _Runs:
    """Runs of one command, one after the other, on the same loaded programs."""

    def __init__(
        self, argv: tuple[str, ...], request: Request, before: Before, begin: Begin, *, with_screen: bool
    ) -> None:
        self._argv, self._request, self._with_screen = argv, request, with_screen
        self._start = begin(request.options, report_loaded, say=complain)
        _log_to(request, with_screen=with_screen)
        _prefer(request, before, self._start, with_screen=with_screen)
        self._number = 0
        self.failures: list[str | None] = []
        self._next(None)

    def _next(self, tracer: Tracer | None) -> None:
        request = self._request.of_run(self._number + 1)
        stdio, copy = _destinations(request, with_screen=self._with_screen)
        command, tracer, info = hold_command(
            self._start,
            self._argv,
            own_terminal=self._with_screen,
            stdio=stdio,
            output=Output(copy),
            tracer=tracer,
        )
        try:
            self._recorder = _recorder(info, request)
        except RecordError:
            command.kill()
            raise
        self._number += 1
        self.command, self.tracer = command, tracer
        self.session = Session(info, tracer, command, self._recorder)

    def again(self) -> Session:
        """End the run that there is, and hold the same command once more; raises what `run` raises.

        Recording, summary and output of run 2 go to FILE.2, and so on.
        """
        final = self.session.conclude("kill")
        if final.running:
            raise StartError("the command does not end: it cannot be run again")
        self._recorder.finish(final)
        self.command.release()
        self.failures += [self._recorder.failure, self.command.output.failure]
        self._next(self.tracer)
        return self.session

    def finish(self, final: Snapshot) -> bool:
        """After the last snapshot of the last run; False where a recording is not complete."""
        self._recorder.finish(final)
        self.failures += [self._recorder.failure, self.command.output.failure]
        _conclude(self.session.info, final, self.failures)
        return self._recorder.failure is None


def watch_command(
    argv: tuple[str, ...], request: Request, before: Before, begin: Begin = Start, *, with_screen: bool
) -> int:
    """What `run` does; returns the exit status."""
    runs = _Runs(argv, request, before, begin, with_screen=with_screen)
    final = _watch(runs.session, request, before, with_screen=with_screen, runs=runs)
    complete = runs.finish(final)
    before.remember()
    if final.status is None:
        return 0
    code = os.waitstatus_to_exitcode(final.status) if final.status >= 0 else FAILED
    status = 128 - code if code < 0 else code
    return status if complete or status else FAILED


def watch_process(pid: int, request: Request, before: Before, begin: Begin = Start, *, with_screen: bool) -> int:
    """What `attach` does; returns the exit status."""
    start = begin(request.options, report_loaded, aim="process", pid=pid, say=complain)
    _log_to(request, with_screen=with_screen)
    _prefer(request, before, start, with_screen=with_screen)
    attached, tracer, info = attach_process(start, pid)
    recorder = _recorder(info, request)
    session = Session(info, tracer, attached, recorder)
    final = _watch(session, request, before, with_screen=with_screen)
    recorder.finish(final)
    _conclude(info, final, [recorder.failure])
    before.remember()
    return FAILED if recorder.failure else 0


def watch_machine(request: Request, before: Before, begin: Begin = Start, *, with_screen: bool) -> int:
    """What `machine` does; returns the exit status."""
    from denet_tui.watch import machine

    start = begin(request.options, report_loaded, aim="machine", scale=machine.scale(request.options))
    _log_to(request, with_screen=with_screen)
    _prefer(request, before, start, with_screen=with_screen)
    info, tracer, sieve = machine.watch_everything(start, _say_how_many)
    recorder = _recorder(info, request)
    session = machine.MachineSession(info, tracer, sieve, recorder)
    final = _watch(session, replace(request, on_quit="leave"), before, with_screen=with_screen)
    recorder.finish(final)
    _conclude(info, final, [recorder.failure])
    before.remember()
    return FAILED if recorder.failure else 0


def _say_how_many(processes: int) -> None:
    if os.isatty(2):
        complain(f"entering {processes:,} processes …")


def _selftest(name: str, request: Request, before: Before) -> int:
    start = Start(request.options, report_loaded, aim="itself", say=complain)
    _log_to(request, with_screen=False)
    tracer = start.tracer()
    try:
        outcome = self_test.run(tracer, name)
    except ValueError as error:
        raise StartError(str(error)) from None
    if request.as_json:
        write(as_json({"way": tracer.way, **self_test.as_object(outcome)}) + "\n", sys.stdout)
    else:
        write(f"{WAYS[tracer.way]}: {self_test.explain(outcome)}\n", sys.stdout)
    if outcome.exact:
        before.remember()
    elif not outcome.counted:
        complain(str(explained(LoadError("read", "maps stay empty", way=tracer.way), before)))
    return 0 if outcome.exact else 1


def _prefer(request: Request, before: Before, start: Start, *, with_screen: bool) -> None:
    """With a screen: read what the invoking user prefers, who this process is by now; raises StartError."""
    if with_screen:
        from denet_tui.commands import screen

        before.preferred = screen.preferred(before.environment)
        interval = before.preferred.settings.interval
        if request.interval is None and interval is not None:
            start.options = replace(start.options, interval_s=interval)


def _watch(
    session: Session, request: Request, before: Before, *, with_screen: bool, runs: _Runs | None = None
) -> Snapshot:
    """Watch until the end; returns the last snapshot."""
    if not with_screen:
        try:
            return session.finish(_without_screen(session, request))
        finally:
            session.target.give_back()
    from denet_tui.commands import screen

    how, fault = screen.show(session, before.preferred, request.on_quit, runs.again if runs else None)
    session = runs.session if runs else session
    if fault:
        session.finish("kill")
        raise StartError(screen.explain_fault(fault, before.environment))
    return session.finish(how or "kill")


def _without_screen(session: Session, request: Request) -> str:
    """Watch in this thread; returns how it ended.

    Ctrl+c reaches the command by itself, as it shares this terminal (or through Relayed): so it is the command's to
    decide. An attached process does not share it: there ctrl+c ends the watching.
    """
    stop, how = threading.Event(), "ended"
    is_command = isinstance(session.target, Command)
    leave = request.on_quit == "leave" or not is_command

    def leave_off(number: int, frame: object) -> None:  # noqa: ARG001 - the signal module's signature
        nonlocal how
        if how == "ended":  # the second of two may come in the middle of `set`, whose lock it would wait for for ever
            how = "leave" if leave else "kill"
            stop.set()

    signal.signal(signal.SIGINT, signal.SIG_IGN if is_command else leave_off)
    signal.signal(signal.SIGQUIT, signal.SIG_IGN if is_command else leave_off)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, leave_off)
    session.run(lambda snapshot: None, stop)  # noqa: ARG005
    return how


def _recorder(info: RunInfo, request: Request) -> Recorder:
    """Opened as the invoking user, before the command is let go; raises RecordError."""
    if request.as_json and sys.stdout is None:
        raise StartError("--json writes to standard output, which is closed; use -o FILE")
    stream = sys.stdout.buffer if request.as_json else None
    recorder = Recorder(info, class_of, path=request.recording, stream=stream, summary_path=request.summary)
    recorder.start()
    return recorder


def _destinations(request: Request, *, with_screen: bool) -> tuple[tuple[int, int, int], BinaryIO | None]:
    """Descriptors 0 to 2 for the command, and the file that gets a copy of its terminal's output."""
    named = request.output not in _NO_FILE
    copy: BinaryIO | None = None
    if named:
        try:
            copy = os.fdopen(files.create(str(request.output), special=True), "wb", buffering=0)
        except OSError as error:
            raise StartError(
                f"cannot write the command's output to {request.output}: {error.strerror}; name another file"
            ) from None
    elif request.output == "null" and not with_screen:
        copy = Path(os.devnull).open("wb", buffering=0)  # noqa: SIM115
    if with_screen:
        return (0, 1, 2), copy
    out = copy.fileno() if copy else 2 if request.as_json else 1
    return (0, out, copy.fileno() if copy else 2), copy


def _conclude(info: RunInfo, final: Snapshot, failures: list[str | None]) -> None:
    """The table on stderr, and what went wrong with files."""
    width = shutil.get_terminal_size().columns if os.isatty(2) else 100
    write(render_table(info, final, width), sys.stderr)
    for failure in filter(None, failures):
        complain(failure)


def report_loaded(kernel: Kernel) -> None:
    """Log what was loaded, and what libbcc said to it."""
    log.info("loaded by %s, bcc %s, maps %s", WAYS[kernel.way], kernel.bcc, ", ".join(kernel.maps))
    if kernel.output:
        log.debug("what libbcc printed:\n%s", kernel.output)


def _log_to(request: Request, *, with_screen: bool) -> None:
    """Send log messages to --log-file or stderr (with a screen, when that is gone), and to the Log tab."""
    RING.listen()
    if not debug.wanted(debug=request.debug, log_file=request.log_file):
        return
    try:
        handler: logging.Handler = debug.Handler(request.log_file)
    except OSError as error:
        raise StartError(f"cannot write the log to {request.log_file}: {error.strerror}; name another file") from None
    if with_screen and not request.log_file:
        handler = MemoryHandler(1_000_000, flushLevel=logging.CRITICAL + 1, target=handler)
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
