"""The recorder: a line per event and per tick while a command runs, the summary when it has ended."""

from __future__ import annotations

import errno
import os
import pathlib
import resource
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import chain
from typing import BinaryIO

from denet_tui.model import ProcessInfo, ProcessKey, RunInfo, Snapshot
from denet_tui.record.about import ALL, Bounds
from denet_tui.record.events import Lifecycle
from denet_tui.record.keyframe import Keyframes
from denet_tui.record.packed import is_packed
from denet_tui.record.parts import Limits, PartFiles
from denet_tui.record.sink import RecordError, Sink, batches
from denet_tui.record.spool import Spool
from denet_tui.record.summary import process_item, summary_pieces
from denet_tui.record.text import Json
from denet_tui.record.tree import Category, Ticks, metadata
from denet_tui.system.visible import as_json

Path = str | os.PathLike[str]
_MORE_ROOM, _LARGER = "free some space, or set TMPDIR to a folder that has some", "raise the limit (ulimit -f)"
_NO_LIMITS = Limits()


class Recorder:
    """Writes snapshots as JSON Lines to a file, a stream or both, and the summary alone to a file.

    Only start() raises. A disk that fills up or a reader that goes away later stops what it
    concerns, is told by `failure`, and leaves the watching alone.
    """

    def __init__(
        self,
        info: RunInfo,
        category: Category,
        *,
        path: Path | None = None,
        stream: BinaryIO | None = None,
        summary_path: Path | None = None,
        host_name: bool = True,
        limits: Limits = _NO_LIMITS,
    ) -> None:
        """With `limits` the file is one of several parts (see parts.py)."""
        self._info, self._host_name = info, host_name
        self._parts = PartFiles(pathlib.Path(path), info.start_wall_ms, limits) if path and any(limits) else None
        self._metadata: Json = {}
        self._path, self._stream, self._summary_path = path, stream, summary_path
        self._lifecycle = Lifecycle(info)
        self._ticks = Ticks(info, category)
        self._keyframes = Keyframes(info, as_text=bool(path and is_packed(path)))
        self._lines: list[Sink] = []
        self._summaries: list[Sink] = []
        self._spool: Spool | None = None
        self._spooled: set[ProcessKey] = set()
        self._kept: set[int] = set()
        """With parts the ids of the processes that the spool has."""
        self._spool_failure: str | None = None
        self._last: Snapshot | None = None

    @property
    def failure(self) -> str | None:
        """Why something that was asked for is missing, or missing in part: one line, None if all is."""
        sinks = [sink.failure for sink in (*self._lines, *self._summaries)]
        return "; ".join(dict.fromkeys(told for told in (self._spool_failure, *sinks) if told)) or None

    @property
    def warning(self) -> str | None:
        """What its user should do otherwise the next time; None for nothing."""
        return self._parts.warning if self._parts else None

    def start(self) -> None:
        """Open everything and write the first line; raises RecordError, and then nothing stays open."""
        try:
            self._open()
        except RecordError:
            self.close()
            raise
        self._metadata = metadata(self._info, host_name=self._host_name)
        self._emit(self._lines, [self._first_line()])
        if self.failure:
            self.close()
            raise RecordError(self.failure)
        for sink in self._lines:
            sink.unblock()

    def add(self, snapshot: Snapshot) -> None:
        """Write what happened since the last snapshot; the same snapshot again writes nothing."""
        if snapshot is self._last or not self._active():
            return
        self._last = snapshot
        if self._parts and self._lines[0].alive and self._parts.full(self._lines[0].size):
            self._begin_part(self._path or "", self._parts)
        self._keep_ended(snapshot)
        ready = [sink for sink in self._lines if sink.admit()]
        if any(sink.alive for sink in ready):
            lines: Iterable[str] = chain(self._lifecycle.lines(snapshot), self._ticks.pieces(snapshot))
            if len(ready) == 1:
                lines = ready[0].marked(lines)  # before its bytes are counted
            self._emit(ready, self._keyframes.after(snapshot, lines))

    def finish(self, snapshot: Snapshot, hurry: Callable[[], bool] = lambda: False) -> None:
        """Add the last snapshot if add() has not had it, write the summary, close everything.

        Readers are waited for; where `hurry` says so, only as long as they read.
        """
        self.add(snapshot)
        if self._spool is not None and self._active():
            self._spool_all([process for process in snapshot.processes if process.key not in self._spooled])
            bounds = Bounds(self._kept, self._parts.most_rows()) if self._parts else ALL
            for sinks, in_one in ((self._lines, False), (self._summaries, True)):
                self._emit(sinks, summary_pieces(self._info, snapshot, self._spool, bounds, in_one=in_one), hurry)
        for sink in (*self._lines, *self._summaries):
            sink.settle(last=True)
            sink.drain(hurry)
        self.close()
        if self._parts:
            with suppress(OSError):  # the folder has gone: nothing is left to make room for
                self._parts.end()

    def close(self) -> None:
        """Close everything without a summary, as after an error elsewhere; may be called again."""
        for sink in (*self._lines, *self._summaries):
            sink.close()
        if self._spool is not None:
            self._spool.close()
            self._spool = None

    def _open(self) -> None:
        if self._path is not None:
            begin = self._parts.begin if self._parts else None
            self._lines.append(Sink.create(self._path, "recording", begin))
        if self._stream is not None:
            self._lines.append(Sink.of_stream(self._stream, "recording on standard output"))
        # Opened now rather than when it is written: nobody wants to learn after an hour that it cannot be.
        if self._summary_path is not None:
            self._summaries.append(Sink.create(self._summary_path, "summary"))
        for summary in self._summaries:
            if any(summary.same_file(lines) for lines in self._lines):
                raise RecordError(f"the {summary.name} is the same file as the recording: name another file for one")
        if self._lines or self._summaries:
            try:
                self._spool = Spool()
            except OSError as problem:
                raise RecordError(
                    f"cannot keep ended processes in a temporary file: {_spool_advice(problem)}"
                ) from None

    def _first_line(self) -> str:
        ours = self._metadata["denet_tui"]
        assert isinstance(ours, dict)  # noqa: S101 - metadata()
        part = {"part": self._parts.number} if self._parts else {}
        return as_json({**self._metadata, "denet_tui": {**ours, **part}}) + "\n"

    def _begin_part(self, path: Path, parts: PartFiles) -> None:
        """Go on in a file of its own; what fails is told as a failure of the one before."""
        old, new, problem = self._lines[0], None, ""
        try:
            new = Sink.create(path, "recording", parts.begin)
        except RecordError as error:
            problem = str(error)
        last, first = self._keyframes.end_part(self._first_line())
        self._emit([old], last)
        old.settle(last=True)
        old.close()
        old.failure = old.failure or problem or None
        if new is None or old.failure:
            if new:
                new.close()
            return
        self._lines[0] = new
        self._emit(self._lines[:1], first)
        parts.led(new.size)
        if self._spool is not None:
            try:
                self._spool.clear()
                self._kept.clear()
            except OSError as problem:
                self._stop(problem)

    def _active(self) -> bool:
        return self._spool_failure is None and any(sink.alive for sink in (*self._lines, *self._summaries))

    def _keep_ended(self, snapshot: Snapshot) -> None:
        if not snapshot.ended:
            return
        self._spool_all(snapshot.ended)
        # Whoever is no longer in a snapshot cannot come back: forgetting them keeps memory flat.
        shown = {process.key for process in snapshot.processes}
        self._spooled = {key for key in chain(self._spooled, (each.key for each in snapshot.ended)) if key in shown}

    def _spool_all(self, processes: Iterable[ProcessInfo]) -> None:
        if self._spool is None:
            return
        try:
            for process in processes:
                self._spool.add(process_item(self._info, process))
                if self._parts:
                    self._kept.add(process.pid)
        except OSError as problem:
            self._stop(problem)

    def _emit(self, sinks: list[Sink], pieces: Iterable[str], hurry: Callable[[], bool] | None = None) -> None:
        """Write to all; with `hurry` no more than a block waits."""
        try:
            if not any(sink.left_out for sink in sinks):
                self._write(sinks, pieces, hurry)
                return
            shared = pieces if len(sinks) == 1 else list(pieces)
            for sink in sinks:  # each is told how many it has not got
                self._write([sink], sink.marked(shared), hurry)
        except OSError as problem:  # sinks never raise: this is the spool under the summary
            self._stop(problem)

    @staticmethod
    def _write(sinks: list[Sink], pieces: Iterable[str], hurry: Callable[[], bool] | None) -> None:
        for block in batches(pieces):
            for sink in sinks:
                sink.write(block)
                if hurry:
                    sink.drain(hurry)
        for sink in sinks:
            sink.settle()

    def _stop(self, problem: OSError) -> None:
        """Without its ended processes a summary would be wrong: stop rather than write one."""
        self._spool_failure = f"the temporary file of ended processes stopped: {_spool_advice(problem)}"
        for sink in (*self._lines, *self._summaries):
            if sink.alive:
                sink.fail("no complete summary is possible")


def _spool_advice(problem: OSError) -> str:
    short = problem.errno == errno.EFBIG or not resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    return f"{problem.strerror or problem} ({_LARGER if short else _MORE_ROOM})"
