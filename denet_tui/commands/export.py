"""What export does: a recording in the form of another tool."""

from __future__ import annotations

import os
import sys
from typing import Literal, NoReturn

from denet_tui.commands.recordings import tracks
from denet_tui.commands.run import exit_with, log_to
from denet_tui.commands.targets import WatchRequest
from denet_tui.record.export import Stacks, openmetrics
from denet_tui.record.perfetto import Trace
from denet_tui.record.sink import RecordError
from denet_tui.record.totals import Totals
from denet_tui.record.track import Track
from denet_tui.system.visible import ReaderLeftError, complain, visible, write

Tool = Literal["folded", "openmetrics", "perfetto"]


def export(path: str, tool: Tool, request: WatchRequest) -> NoReturn:
    """Write it to standard output; exits with 0, or 125 where it is no recording."""
    exit_with(lambda _: _export(path, tool, request))


def _export(path: str, tool: Tool, request: WatchRequest) -> int:
    (track,) = tracks([path])
    log_to(request, on_screen=False)
    if tool == "perfetto":
        totals = _trace(track)
    else:
        stacks = Stacks()
        totals = Totals.of(track, stacks.add)
        lines = stacks.lines() if tool == "folded" else openmetrics(totals)
        write("".join(f"{line}\n" for line in lines), sys.stdout)
    if totals.doubt:
        complain(f"{visible(path)} is not exact: {totals.doubt}")
    return 0


def _trace(track: Track) -> Totals:
    if os.isatty(1):
        raise RecordError("a trace for Perfetto is no text: send it to a file, as by `> build.pftrace`")
    try:
        with os.fdopen(os.dup(1), "wb") as out:
            trace = Trace(track.info, out)
            totals = Totals.of(track, trace.process, trace.tick)
            trace.finish(totals.last)
    except BrokenPipeError:
        raise ReaderLeftError from None
    return totals
