"""What calls were about, as a View shows it. Pure: no widget, no clock."""

from __future__ import annotations

from denet_tui.model import Snapshot
from denet_tui.screens.live.view import View
from denet_tui.syscalls import named
from denet_tui.touched import File, Touched, Use

_NOTHING = Use()


def touched_through(view: View, seen: Snapshot) -> Touched | None:
    """Of what is not narrowed itself in `seen`: files of its processes, failures of its calls, slow calls of both.

    Files are not known by call, nor failures by process.
    """
    touched = seen.detail.touched
    if touched is None or not view.trail:
        return touched
    slowest = tuple(each for each in touched.slowest if view.wants(named(each.syscall)))
    failed = {path: count for path, count in touched.failed.items() if view.wants(named(path.syscall), path.errno)}
    touched = touched._replace(failed=failed, slowest=slowest)
    if not view.of_processes:
        return touched
    pids = {process.pid for process in seen.processes}
    files: dict[File, Use] = {}
    by_process = {key: use for key, use in touched.by_process.items() if key[0] in pids}
    for (_, file), use in by_process.items():
        files[file] = files.get(file, _NOTHING).plus(use)
    slowest = tuple(each for each in slowest if each.pid in pids)
    return touched._replace(files=files, by_process=by_process, slowest=slowest)
