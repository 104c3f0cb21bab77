"""Gets a watched command ready, once the loader is at work: found, and held at the barrier."""

from __future__ import annotations

import os

from denet_tui.bpf.tracer import Tracer
from denet_tui.model import RunInfo
from denet_tui.watch.command import Command, find
from denet_tui.watch.launch import Start
from denet_tui.watch.output import CommandOutput
from denet_tui.watch.relay import Relayed

_EMULATED = {"TERM": "xterm-256color"}
"""A command with a terminal of its own is told what that one can do, not what the user's can."""


def hold_command(
    start: Start,
    argv: tuple[str, ...],
    *,
    own_terminal: bool,
    stdio: tuple[int, int, int],
    output: CommandOutput | None = None,
    tracer: Tracer | None = None,
    interval_s: float = 0.5,
) -> tuple[Command, Tracer, RunInfo]:
    """A command at the barrier, and watched; raises CommandError, LoadError.

    With the `tracer` of the command before this one nothing is loaded again; that one must have ended.
    """
    if start.supervisor is None:
        raise ValueError("started without a supervisor")
    path = find(start.supervisor, argv[0], start.environment.get("PATH", os.defpath))
    size = os.get_terminal_size(1) if own_terminal and os.isatty(1) else os.terminal_size((80, 24))
    if tracer is None:
        tracer = start.tracer()
    else:
        start.release(tracer)
    has_pty = own_terminal or (start.foreign and any(map(os.isatty, stdio)))
    policy = {"ask": "kill" if has_pty else "leave"}.get(start.options.on_quit, start.options.on_quit)
    command = (Relayed if start.foreign and not own_terminal else Command)(
        argv,
        path,
        supervisor_of=start.supervisor,
        env=start.environment | _EMULATED if own_terminal else start.environment,
        own_terminal=own_terminal,
        size=(size.columns, size.lines),
        stdio=stdio,
        output=output,
        ignored=start.ignored,
        policy=policy,
        name=tracer.expect(),
    )
    tracer.hold(command.pid, parent=start.supervisor[0])
    return command, tracer, start.info(argv, path, command.pid, tracer, interval_s, in_own_folder=True)
