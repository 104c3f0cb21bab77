"""What was changed on this machine, and what was there before: written and on disk before each step.

One JSON object a line. Each line carries the checksum of the line before it and its own, so that a line that was
cut off while it was written (power loss, kill -9) is told from one that was edited.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

from denet_tui.repair import root_files

FORMAT = 1
NAME = "journal.jsonl"
_FIRST = "0" * 64


class JournalError(Exception):
    """The journal is not used; the text says why and what to do."""


@dataclass(slots=True)
class Entry:
    """A step: what it was to change, what was there before, and how far it got."""

    number: int
    step: dict[str, Any]
    """Kind and arguments of the step, as `steps.from_json` takes them."""
    old: Any
    seen: Any = None
    """What was there after it; means something only where it is `done`."""
    done: bool = False
    undone: bool = False
    undoing: bool = False


@dataclass(slots=True)
class Record:
    """A fix that was begun: its steps so far, and whether it was finished."""

    fix: str
    words: str
    """How it is undone, in words, for what cannot be taken back by itself."""
    boot: str
    """Boot id: what lasts until reboot is gone where it differs."""
    session: str = ""
    """Which session of the setup screen's helper made it; empty where none did."""
    finished: bool = False
    entries: list[Entry] = field(default_factory=list)

    @property
    def open(self) -> list[Entry]:
        """Steps that were not taken back yet, the last first."""
        return [entry for entry in reversed(self.entries) if not entry.undone]


class Journal:
    """The open journal; no other process can open it meanwhile. Use as a context manager."""

    def __init__(self, state: str, say: Callable[[str], None] = lambda line: None) -> None:  # noqa: ARG005
        """Open or make it in the folder `state`; raises JournalError.

        `say` gets a line where a torn end was dropped.
        """
        self._state = state
        self.path = f"{state}/{NAME}"
        self.records: list[Record] = []
        self._last, self._count = _FIRST, 0
        try:
            self.descriptor = self._open()
        except root_files.UnsafeError as error:
            raise JournalError(f"{error}; look who made it, then remove it") from None
        except OSError as error:
            raise JournalError(
                f"{self.path} cannot be opened: {error.strerror}; nothing is changed where that cannot be noted"
            ) from None
        try:
            self._replay(say)
        except BaseException:
            os.close(self.descriptor)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def _open(self) -> int:
        if not root_files.is_folder(self._state):
            root_files.make_folder(self._state, 0o700)
        with root_files.folder(self._state) as at:
            if os.fstat(at).st_mode & 0o077:
                raise root_files.UnsafeError(f"{self._state} is open to others; it should be root's alone (mode 0700)")
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            try:
                descriptor = os.open(NAME, flags, 0o600, dir_fd=at)
            except OSError as error:
                if error.errno not in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
                    raise  # read-only, or full
                raise root_files.UnsafeError(f"{self.path} is not a plain file (a symlink, perhaps)") from None
            try:
                _accept(descriptor, self.path)
                os.fsync(at)
            except BaseException:
                os.close(descriptor)
                raise
        return descriptor

    def _replay(self, say: Callable[[str], None]) -> None:
        data = _read_all(self.descriptor)
        whole, newline, tail = data.rpartition(b"\n")
        for index, line in enumerate(whole.split(b"\n") if newline else [], 1):
            try:
                entry = _checked(line, self._last)
                self._apply(entry)
            except (ValueError, KeyError, TypeError, IndexError, StopIteration, RecursionError):
                raise JournalError(
                    f"{self.path}: line {index} was not written by denet-tui, or was changed since, so nothing in it "
                    "is believed; move the file away, and what it lists is yours to undo"
                ) from None
            self._last, self._count = str(entry["sum"]), index
        if tail:
            os.ftruncate(self.descriptor, len(data) - len(tail))
            os.fsync(self.descriptor)
            say(f"{self.path} ended in the middle of a line (a crash or power loss): the torn line was dropped")

    def _apply(self, entry: dict[str, Any]) -> None:
        """Take an entry in; raises KeyError, TypeError, ValueError, IndexError where it makes no sense."""
        if entry["format"] != FORMAT:
            raise ValueError(entry["format"])
        match entry["do"]:
            case "begin":
                session = str(entry.get("session", ""))  # older versions wrote none
                self.records.append(Record(str(entry["fix"]), str(entry["words"]), str(entry["boot"]), session))
            case "step":
                self.records[-1].entries.append(Entry(entry["n"], dict(entry["step"]), entry["old"]))
            case "done":
                step = self._step(entry["step"])
                step.seen, step.done = entry["seen"], True
            case "undoing":
                self._step(entry["step"]).undoing = True
            case "kept":
                self._step(entry["step"]).undoing = False
            case "undone":
                self._step(entry["step"]).undone = True
            case "end":
                self.records[-1].finished = True
            case other:
                raise ValueError(other)

    def _step(self, number: int) -> Entry:
        return next(entry for record in self.records for entry in record.entries if entry.number == number)

    def _append(self, **entry: Any) -> int:
        """Write an entry, wait until it is on disk, and take it in; returns its number. Raises OSError."""
        number = self._count + 1
        body = {"format": FORMAT, "n": number, **entry, "prev": self._last}
        body["sum"] = _sum(body)
        line = json.dumps(body, sort_keys=True).encode() + b"\n"
        start = os.fstat(self.descriptor).st_size
        try:
            while line:
                line = line[os.write(self.descriptor, line) :]
            os.fsync(self.descriptor)
        except OSError:
            os.ftruncate(self.descriptor, start)  # a full disk: the half line must not spoil what comes later
            raise
        self._last, self._count = str(body["sum"]), number
        self._apply(json.loads(json.dumps(body)))
        return number

    def begin(self, fix: str, words: str, boot: str, session: str = "") -> Record:
        """A fix starts."""
        self._append(do="begin", fix=fix, words=words, boot=boot, session=session)
        return self.records[-1]

    def intend(self, step: dict[str, Any], old: Any) -> Entry:
        """A step is about to be made, and this is what is there now."""
        return self._step(self._append(do="step", step=step, old=old))

    def done(self, entry: Entry, seen: Any) -> None:
        """The step was made, and this is what is there now."""
        self._append(do="done", step=entry.number, seen=seen)

    def end(self) -> None:
        """The fix is whole."""
        self._append(do="end")

    def undoing(self, entry: Entry) -> None:
        """The step is about to be taken back."""
        self._append(do="undoing", step=entry.number)

    def kept(self, entry: Entry) -> None:
        """The step could not be taken back, and is still what `done` says."""
        self._append(do="kept", step=entry.number)

    def undone(self, entry: Entry) -> None:
        """The step was taken back, or was gone already."""
        self._append(do="undone", step=entry.number)

    def remove_if_settled(self) -> None:
        """Leave nothing behind where nothing is left to undo: the file goes, and the folder where it is empty."""
        if any(record.open for record in self.records):
            return
        root_files.remove_file(self.path)
        with suppress(OSError):  # something else of ours lies there, too
            root_files.remove_folder(self._state)


def exists(state: str) -> bool:
    """Whether there may be something to undo; False also where this user cannot see it."""
    return os.path.lexists(f"{state}/{NAME}")


def _accept(descriptor: int, path: str) -> None:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        raise root_files.UnsafeError(f"{path} is not a plain file with one name")
    if found.st_uid or stat.S_IMODE(found.st_mode) & 0o177:
        raise root_files.UnsafeError(
            f"{path} belongs to uid {found.st_uid} with mode {stat.S_IMODE(found.st_mode):04o}, not to root with 0600"
        )
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise JournalError(
            f"{path} is in use: another setup, or an installation that one has started, still runs; wait for its end"
        ) from None
    if not os.fstat(descriptor).st_nlink:
        raise JournalError(f"another setup has just removed {path}; try again")


def _read_all(descriptor: int) -> bytes:
    data = b""
    while part := os.pread(descriptor, 1 << 20, len(data)):
        data += part
    return data


def _sum(body: dict[str, Any]) -> str:
    """Checksum of an entry without its own; as it holds the one before, the lines make a chain."""
    rest = {name: value for name, value in body.items() if name != "sum"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _checked(line: bytes, last: str) -> dict[str, Any]:
    entry = json.loads(line)
    if not isinstance(entry, dict) or entry["prev"] != last or entry["sum"] != _sum(entry):
        raise ValueError
    return entry
