"""What export does: a recording in the form of another tool."""

from __future__ import annotations

import sys
from typing import Literal, NoReturn

from denet_tui.commands.recordings import tracks
from denet_tui.commands.run import exit_with, log_to
from denet_tui.commands.targets import WatchRequest
from denet_tui.record.export import Stacks, openmetrics
from denet_tui.record.totals import Totals
from denet_tui.visible import complain, visible, write

Tool = Literal["folded", "openmetrics"]


def export(path: str, tool: Tool, request: WatchRequest) -> NoReturn:
    """Write it to standard output; exits with 0, or 125 where it is no recording."""
    exit_with(lambda _: _export(path, tool, request))


def _export(path: str, tool: Tool, request: WatchRequest) -> int:
    (track,) = tracks([path])
    log_to(request, on_screen=False)
    stacks = Stacks()
    totals = Totals.of(track, stacks.add)
    write("".join(f"{line}\n" for line in (stacks.lines() if tool == "folded" else openmetrics(totals))), sys.stdout)
    if totals.doubt:
        complain(f"{visible(path)} is not exact: {totals.doubt}")
    return 0
