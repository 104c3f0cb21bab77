"""What can be watched, each from what it asks of Start to the session over it, and the options of watching.

What watches is imported where it holds: by then a loader is at work, and need not wait for that.
"""

from __future__ import annotations

import os
import shlex
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, NamedTuple

from denet_tui.bpf.privilege import invoking_user
from denet_tui.syscalls import words_of
from denet_tui.system import files
from denet_tui.system.visible import complain, how_many, is_dumb, terminal_width, visible, write
from denet_tui.watch.launch import Aim, Options, Start, StartError

if TYPE_CHECKING:
    from denet_tui.bpf.tracer import Tracer
    from denet_tui.watch.cgroups import Cgroup
    from denet_tui.watch.command import Command
    from denet_tui.watch.worker import Session

_NO_FILE = (None, "pane", "null")
"""Values of --output that are no files."""
_LISTED = 20
"""Processes of one name."""


class WatchRequest(NamedTuple):
    """The options of run, attach, machine and selftest, as the command line has them."""

    recording: Path | None = None
    as_json: bool = False
    summary: Path | None = None
    max_size: int | None = None
    """Bytes; with `keep`, in s, what all parts of the recording may take."""
    keep: int | None = None
    no_host_name: bool = False
    no_tui: bool = False
    interval: float | None = None
    """None: as the settings file says, else 0.5 s."""
    syscalls: str = ""
    method: str = "auto"
    rows: int = 65536
    as_root: bool = False
    no_sudo: bool = False
    user: str | None = None
    output: str | None = None
    on_quit: Literal["ask", "kill", "leave"] = "ask"
    debug: bool = False
    log_file: Path | None = None
    detail: str | None = None
    """None: all of it where that can be seen."""
    execs: bool = False
    until_last: bool = False
    cgroup: str | None = None
    unit: str | None = None
    container: str | None = None
    run_as: str | None = None
    """Who denet-tui itself becomes; None: who asked."""

    @property
    def options(self) -> Options:
        """The part that watch/ needs before anything is loaded."""
        only = words_of(self.syscalls)
        shown = self.as_json or self.recording or self.summary or self.on_screen
        detail = "all" if self.execs else self.detail or ("all" if shown else "calls")
        return Options(
            self.method,
            only,
            self.user,
            self.as_root,
            self.rows,
            self.on_quit,
            self.no_sudo,
            detail,
            self._by_cgroup,
            self.run_as,
        )

    @property
    def chooses(self) -> bool:
        """Whether the options say which of the machine's processes are meant."""
        return bool(self.user) or self._by_cgroup

    @property
    def _by_cgroup(self) -> bool:
        return bool(self.cgroup or self.unit or self.container)

    def of_run(self, number: int) -> WatchRequest:
        """The same for the run of this number: from the second on its files are others."""
        if number == 1:
            return self
        recording, summary = (
            path and path.with_name(f"{path.name}.{number}") for path in (self.recording, self.summary)
        )
        output = self.output if self.output in _NO_FILE else f"{self.output}.{number}"
        return self._replace(recording=recording, summary=summary, output=output)

    @property
    def at_terminal(self) -> bool:
        """Whether there is a terminal on all sides and nobody asked for no screen. Textual draws on stderr."""
        return not (self.no_tui or self.as_json or self.execs) and all(os.isatty(number) for number in (0, 1, 2))

    @property
    def on_screen(self) -> bool:
        """Whether a screen is shown: not where the terminal draws none."""
        return self.at_terminal and not is_dumb()


class Target(ABC):
    """What is watched; `aim` and `pids` are those of Start."""

    aim: Aim
    pids: Sequence[int] = ()

    def scale(self, options: Options) -> int:  # noqa: ARG002 - for a target that is large
        """How large the tables of the kernel side have to be (see bpf/request.py)."""
        return 0

    @abstractmethod
    def hold(self, start: Start, request: WatchRequest, interval_s: float, *, on_screen: bool) -> Session:
        """A session over it that counts already; raises CommandError, StartError, LoadError."""


class CommandTarget(Target):
    """A command, held at the barrier until the session runs; may be held again when it has ended."""

    aim = "command"

    def __init__(self, argv: tuple[str, ...]) -> None:
        self._argv = argv
        self._before: tuple[Command, Tracer] | None = None

    def hold(self, start: Start, request: WatchRequest, interval_s: float, *, on_screen: bool) -> Session:
        """Start it, and hold it before its first instruction; the programs of the run before serve once more."""
        from denet_tui.watch.hold import hold_command
        from denet_tui.watch.output import CommandOutput
        from denet_tui.watch.worker import Session

        if self._before:
            self._before[0].release()
        stdio, copy = _destinations(request, on_screen=on_screen)
        command, tracer, info = hold_command(
            start,
            self._argv,
            own_terminal=on_screen,
            stdio=stdio,
            output=CommandOutput(copy),
            tracer=self._before and self._before[1],
            interval_s=interval_s,
        )
        self._before = command, tracer
        return Session(info, tracer, command)


class ProcessTarget(Target):
    """Processes that run already."""

    aim = "process"

    def __init__(self, pids: Sequence[int]) -> None:
        self.pids = pids

    def hold(self, start: Start, request: WatchRequest, interval_s: float, *, on_screen: bool) -> Session:  # noqa: ARG002
        """Enter them and their living descendants."""
        from denet_tui.watch.attach import attach_processes
        from denet_tui.watch.worker import Session

        attached, tracer, info = attach_processes(start, self.pids, interval_s)
        return Session(info, tracer, attached)


class MachineTarget(Target):
    """Every process of this machine, or every one in a cgroup; of one user, where the options say so."""

    aim = "machine"

    def __init__(self, within: Cgroup | None = None) -> None:
        self._within = within

    def scale(self, options: Options) -> int:
        """As large as what runs here now asks for."""
        from denet_tui.watch import machine

        return machine.scale(options)

    def hold(self, start: Start, request: WatchRequest, interval_s: float, *, on_screen: bool) -> Session:  # noqa: ARG002
        """Enter every process that there is."""
        from denet_tui.watch import machine
        from denet_tui.watch.worker import Session

        return Session(*machine.watch_everything(start, _say_how_many, interval_s, self._within))


def cgroup_of(request: WatchRequest) -> Cgroup | None:
    """The cgroup that the options name, None if they name none; raises StartError."""
    if not (request.cgroup or request.unit or request.container):
        return None
    from denet_tui.watch import cgroups

    ways = {cgroups.at: request.cgroup, cgroups.of_unit: request.unit, cgroups.of_container: request.container}
    named = [(find, word) for find, word in ways.items() if word]
    if len(named) > 1:
        raise StartError("--cgroup, --unit and --container exclude each other; see `denet-tui machine --help`")
    return named[0][0](named[0][1])


def _say_how_many(processes: int) -> None:
    if os.isatty(2):
        complain(f"entering {how_many(processes, 'process')} …")


def processes_called(words: Sequence[str], *, every: bool, as_root: bool) -> list[int]:
    """The ids of the processes of these ids and names, all of a name where there are several words, or with `every`.

    Raises StartError, where a single name has several after a list of them.
    """
    pids: dict[int, None] = {}
    for word in words:
        every = every or len(words) > 1
        found = [int(word)] if word.isdecimal() else _called(word, every=every, as_root=as_root)
        pids.update(dict.fromkeys(found))
    return list(pids)


def _called(name: str, *, every: bool, as_root: bool) -> list[int]:
    from denet_tui.watch import candidates  # psutil

    found = candidates.named(name, 0 if as_root else invoking_user().uid)
    if not found:
        close = candidates.similar(name)
        raise StartError(f"no process is called {name!r}{f': did you mean {close}?' if close else '; see `ps -e`'}")
    if every or len(found) == 1:
        return [each.pid for each in reversed(found)]  # the oldest first
    width = terminal_width(1_000)
    for each in found[:_LISTED]:
        line = f"{each.pid:>9} {visible(each.user):<8} {visible(shlex.join(each.argv))}"
        write(f"{line if len(line) <= width else line[: width - 1] + '…'}\n", sys.stderr)
    more = f" (and {how_many(len(found) - _LISTED, 'older one')}, not listed)" if len(found) > _LISTED else ""
    raise StartError(
        f"{len(found)} processes are called {name}{more}: name some by their ids, `denet-tui attach PID`, "
        f"or watch them all, `denet-tui attach --all {shlex.quote(name)}`"
    )


def _destinations(request: WatchRequest, *, on_screen: bool) -> tuple[tuple[int, int, int], BinaryIO | None]:
    """Descriptors 0 to 2 for the command, and the file that gets a copy of its terminal's output."""
    copy: BinaryIO | None = None
    if request.output not in _NO_FILE:
        try:
            copy = os.fdopen(files.create(str(request.output), special=True), "wb", buffering=0)
        except OSError as error:
            raise StartError(f"cannot write the command's output to {request.output}: {files.explain(error)}") from None
    elif request.output == "null" and not on_screen:
        copy = Path(os.devnull).open("wb", buffering=0)  # noqa: SIM115
    if on_screen:
        return (0, 1, 2), copy
    out = copy.fileno() if copy else 2 if request.as_json else 1
    return (0, out, copy.fileno() if copy else 2), copy
