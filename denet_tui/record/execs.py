"""Executions: in the ticks of a recording, in its summary, and as lines, one each."""

from __future__ import annotations

import shlex
from itertools import chain
from typing import Any, TextIO

from denet_tui.detail import Exec
from denet_tui.model import ProcessInfo, RunInfo, Snapshot
from denet_tui.record.denet_lines import or_text, whole
from denet_tui.record.text import Json, plain, plain_or_none, wall_ms
from denet_tui.syscalls import errno_name, errno_number
from denet_tui.system.visible import visible, write

_HEAD = f"{'TIME(s)':>10} {'PID':>8} {'PPID':>8} {'RET':<12} ARGS\n"


def items(snapshot: Snapshot) -> list[Json] | None:
    """Those of a tick, as `of_item` reads them; None if that is not watched."""
    told = snapshot.detail.execs
    return None if told is None else [item(each) for each in told]


def item(executed: Exec) -> Json:
    """One, as `of_item` reads it."""
    return {"tgid": executed.tgid, "at_ns": executed.at_ns, **_words(executed)}


def of_item(line: dict[str, Any]) -> Exec:
    """From a tick of a recording; raises LookupError, TypeError or ValueError where it is damaged."""
    path, argv, cwd, errno = (line[name] for name in ("path", "argv", "cwd", "errno"))
    return Exec(
        whole(line["tgid"]),
        whole(line["at_ns"]),
        None if path is None else str(path),
        None if argv is None else tuple(map(str, argv)),
        None if cwd is None else str(cwd),
        whole(line["uid"]),
        None if errno is None else errno_number(str(errno)),
        bool(line.get("argv_cut")),
        bool(line.get("path_cut")),
        or_text(line.get("user")),
    )


def of_process(info: RunInfo, process: ProcessInfo) -> Json:
    """`execs` of a process in the summary: null where that was not watched; `ran_ms` is how long each program ran."""
    if process.programs is None:
        return {"execs": None}
    found: list[Json] = [
        {
            **_words(executed),
            "at_ms": wall_ms(info, executed.at_ns),
            "ran_ms": None if ran_ns is None else round(ran_ns / 1e6, 3),
        }
        for executed, ran_ns in process.programs.ran(process.end_ns)
    ]
    dropped = {"execs_dropped": process.programs.dropped} if process.programs.dropped else {}
    return {"execs": found, **dropped}


class ExecLines:
    """Prints what is executed, a line each: when, of which process, 0 or the errno, the words."""

    def __init__(self, info: RunInfo, stream: TextIO | None) -> None:
        self._info, self._stream = info, stream
        self._last: Snapshot | None = None
        write(_HEAD, stream)

    def add(self, snapshot: Snapshot) -> None:
        """Print those of the interval; the same snapshot again prints nothing."""
        if snapshot is self._last or not snapshot.detail.execs:
            return
        self._last = snapshot
        known = {each.tgid: each for each in chain(snapshot.processes, snapshot.ended)}
        lines = (
            f"{(each.at_ns - self._info.start_ns) / 1e9:>10.6f} {_ids(known.get(each.tgid), each)} "
            f"{errno_name(each.errno) if each.errno else '0':<12} {_shown(each)}\n"
            for each in snapshot.detail.execs
        )
        write("".join(lines), self._stream)


def _words(executed: Exec) -> Json:
    return {
        "path": None if executed.path is None else plain(executed.path),
        "argv": None if executed.argv is None else [plain(word) for word in executed.argv],
        "cwd": None if executed.cwd is None else plain(executed.cwd),
        "uid": executed.uid,
        "user": plain_or_none(executed.user),
        "errno": errno_name(executed.errno) if executed.errno else None,
        **({"argv_cut": True} if executed.cut else {}),
        **({"path_cut": True} if executed.path_cut else {}),
    }


def _ids(process: ProcessInfo | None, executed: Exec) -> str:
    return f"{process.pid if process else executed.tgid:>8} {process.ppid if process else '?':>8}"


def _shown(executed: Exec) -> str:
    words = list(executed.argv or ())
    if executed.errno or not words:
        words[:1] = ["?" if executed.path is None else executed.path]  # what was looked for, and is not there
    file = f"({executed.file}) " if executed.file else ""
    return visible(file + shlex.join(words)) + (" …" if executed.cut else "")
