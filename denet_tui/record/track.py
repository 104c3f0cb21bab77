"""A recording as a file that may still grow: its ticks by their place, whoever wrote it."""

from __future__ import annotations

import json
import os
import stat
import tempfile
import threading
from pathlib import Path
from typing import BinaryIO, NamedTuple, NoReturn

from denet_tui import files
from denet_tui.model import RunInfo, Snapshot
from denet_tui.record import denet_lines
from denet_tui.record.read import Line, UnreadableError, advance, first_snapshot, run_info
from denet_tui.visible import visible

_MOST_LINE = 64 << 20
"""Bytes."""
_BLOCK = 1 << 20
_SUMMARY = b'{"kind":"summary"'


def open_file(path: str) -> BinaryIO:
    """The file or pipe at a path, or standard input for `-`; raises UnreadableError."""
    try:
        if path == "-":
            return os.fdopen(os.dup(0), "rb")
        if stat.S_ISREG(Path(path).stat().st_mode):
            return files.opened(os.open(path, os.O_RDONLY | files.HARMLESS), path)
        return Path(path).open("rb")
    except OSError as problem:
        raise UnreadableError(f"cannot read {visible(path)}: {problem.strerror}") from None


class Tick(NamedTuple):
    """A snapshot, and where the line after it begins."""

    snapshot: Snapshot
    end: int


class Track:
    """Reads from an open file, from any place in it; raises UnreadableError where that is no recording."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        """Reads the first line, and waits for it where it is a stream's."""
        self._file, self._name = file, visible(name)
        self.begin = 0
        """Where the lines of the first tick begin."""
        self.complete = False
        """Whether the whole summary has been met: nothing comes after it."""
        self._is_stream = self.streams = not stat.S_ISREG(os.fstat(file.fileno()).st_mode)
        """Whether it is one, and whether that goes on."""
        self.news = threading.Event()
        """Set when a stream has brought something, or has ended."""
        self._failure: str | None = None
        if self._is_stream:
            self._take_in(file)
        self.info = self._first()

    def size(self) -> int:
        """Bytes that there are so far."""
        return os.fstat(self._file.fileno()).st_size

    def tick(self, before: Snapshot, at: int) -> Tick | None:
        """The tick that begins there, after the snapshot before it; None where it is not there (yet)."""
        events: list[Line] = []
        place = at
        while (found := self._line(place)) is not None:
            line, after = found
            what = denet_lines.kind(line)
            if what in ("tree", "sample"):
                try:
                    return Tick(advance(self.info, before, events, line), after)
                except UnreadableError as problem:
                    self._refuse(place, str(problem))
            if what is None:
                self._refuse(place, "it is no line of a recording")
            events.append(line)
            place = after
        return None

    def _first(self) -> RunInfo:
        while True:
            going_on = self.streams
            if (found := self._line(0)) is not None:
                break
            if going_on:
                self.news.wait()
                self.news.clear()
            else:
                why = "it is empty" if not self.size() else "it is no recording, or was cut off in its first line"
                raise UnreadableError(f"{self._name}: {self._failure or why}")
        line, after = found
        try:
            info = run_info(line)
        except UnreadableError as problem:
            raise UnreadableError(f"{self._name}: {problem}") from None
        self.begin = after if denet_lines.kind(line) == "metadata" else 0
        return info

    def _line(self, at: int) -> tuple[Line, int] | None:
        """The line there, and where the next one begins; None where there is no whole one."""
        try:
            self._file.seek(at)
            while (raw := self._file.readline(_BLOCK)) == b"\n":
                at += 1
            if raw.startswith(_SUMMARY):  # it may be long, and there is nothing in it that the ticks have not
                self._file.seek(-1, os.SEEK_END)
                self.complete = self._file.read(1) == b"\n"
                return None
            if not raw.endswith(b"\n") and len(raw) == _BLOCK:
                raw += self._file.readline(_MOST_LINE)
        except OSError as problem:
            raise UnreadableError(f"{self._name}: {problem.strerror}") from None
        if not raw.endswith(b"\n"):
            if len(raw) > _MOST_LINE:
                self._refuse(at, f"it is longer than {_MOST_LINE >> 20} MiB")
            return None
        try:
            line = json.loads(raw)
        except (ValueError, RecursionError):
            self._refuse(at, "it is not JSON")
        if not isinstance(line, dict):
            self._refuse(at, "it is no JSON object")
        return line, at + len(raw)

    def _refuse(self, at: int, why: str) -> NoReturn:
        self._file.seek(0)
        number, left = 1, at
        while left and (block := self._file.read(min(left, _BLOCK))):
            number += block.count(b"\n")
            left -= len(block)
        raise UnreadableError(f"{self._name}, line {number:,}: {why}")

    def _take_in(self, stream: BinaryIO) -> None:
        """Copy a stream to an anonymous temporary file, in a thread: whoever writes it is never kept waiting."""
        copy = tempfile.TemporaryFile(prefix="denet-tui-", buffering=0)  # noqa: SIM115 - open as long as it is read
        self._file = Path(f"/proc/self/fd/{copy.fileno()}").open("rb")  # noqa: SIM115 - the same; own place

        def pump() -> None:
            try:
                while block := os.read(stream.fileno(), _BLOCK):
                    copy.write(block)
                    self.news.set()
            except OSError as problem:
                self._failure = f"it cannot be kept any further: {problem.strerror}"
            self.streams = False
            self.news.set()

        threading.Thread(target=pump, name="stream", daemon=True).start()

    @property
    def growing(self) -> bool:
        """Whether more may come."""
        return not self.complete and (self.streams or not self._is_stream)

    def ending(self) -> str:
        """What is to be said where nothing comes for now: whether that is the end of the run; empty where it is."""
        if self.complete or self.streams:
            return ""
        if self._is_stream:
            return self._failure or "the stream ended before the run did"
        return "no end yet: being written, or cut off"

    def start(self) -> Snapshot:
        """What the first tick goes on from."""
        return first_snapshot(self.info)
