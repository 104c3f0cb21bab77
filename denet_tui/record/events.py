"""Forks, execs and exits, found by comparing each snapshot with the one before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from operator import attrgetter

from denet_tui.model import ProcessInfo, ProcessKey, RunInfo, Snapshot
from denet_tui.record.text import Json, accounts, command_line, ending, plain, wall_ms
from denet_tui.system.visible import as_json

_FORK, _EXEC, _EXIT = range(3)
"""In the order in which one process can go through them at one moment."""
_State = tuple[int, int, int, int | None]
_STATE: Callable[[ProcessInfo], _State] = attrgetter("tgid", "start_ns", "execs", "end_ns")


class Lifecycle:
    """Remembers how far each process of the last snapshot had come; no more than that snapshot holds."""

    def __init__(self, info: RunInfo) -> None:
        self._info = info
        self._states: list[_State] = []
        self._command: ProcessKey | None = None
        self._begun = False

    def lines(self, snapshot: Snapshot) -> Iterator[str]:
        """A `process` line for everything that happened since the last snapshot, in the order of time."""
        for _, step, process in sorted(self._steps(snapshot), key=lambda found: found[:2]):
            yield as_json(self._event(step, process)) + "\n"

    def _steps(self, snapshot: Snapshot) -> list[tuple[int, int, ProcessInfo]]:
        states = list(map(_STATE, snapshot.processes))
        if states == self._states and not snapshot.ended:
            return []
        steps: list[tuple[int, int, ProcessInfo]] = []
        seen = {(tgid, start_ns): (execs, end_ns is not None) for tgid, start_ns, execs, end_ns in self._states}
        for process in chain(snapshot.processes, snapshot.ended):
            key = process.key
            before = seen.get(key)
            execs, had_ended = before or (0, False)
            # The command forked before it was watched: its story begins with its exec.
            begins_with_exec = before is None and self._is_command(process)
            if before is None and not begins_with_exec:
                steps.append((process.start_ns, _FORK, process))
            if process.execs > execs or begins_with_exec:
                steps.append((process.exec_ns or process.start_ns, _EXEC, process))
            if process.end_ns is not None and not had_ended:
                steps.append((process.end_ns, _EXIT, process))
            seen[key] = process.execs, process.end_ns is not None
        self._states = states
        return steps

    def _is_command(self, process: ProcessInfo) -> bool:
        # Only the first that has its pid, and the same once it has begun: a descendant may get that pid later.
        if process.pid == self._info.pid and not self._begun:
            self._command, self._begun = process.key, bool(process.execs or process.end_ns)
        return self._command == process.key

    def _event(self, step: int, process: ProcessInfo) -> Json:
        name, time_ns = (
            ("fork", process.start_ns),
            ("exec", process.exec_ns or process.start_ns),
            ("exit", process.end_ns or process.start_ns),
        )[step]
        event: Json = {
            "kind": "process",
            "event": name,
            "ts_ms": int(wall_ms(self._info, time_ns)),
            "time_ns": time_ns,
            "pid": process.pid,
            "comm": plain(process.comm),
        }
        if step == _FORK:
            event |= {"ppid": process.ppid, "tgid": process.tgid}
        if step == _EXEC:
            event |= {"ppid": process.ppid, "tgid": process.tgid, "execs": process.execs}
        if step != _EXIT:
            event["cgroup"] = process.cgroup and plain(process.cgroup)
            if process.key == self._command:
                event["start_ns"] = process.start_ns
        if step == _EXEC or (step == _FORK and not process.execs):
            event |= command_line(process)
        if step == _EXIT:
            event |= {**ending(process.status), "accounts": accounts(process.usage.accounts)}
        return event
