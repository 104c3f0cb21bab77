"""What calls were about in the ticks of a recording: what has changed since the tick before."""

from __future__ import annotations

import struct
from collections.abc import ItemsView, Iterable, Iterator, Mapping, ValuesView
from functools import lru_cache
from itertools import chain, compress, repeat
from operator import attrgetter, is_, is_not
from typing import Any, TypeVar

from denet_tui.model import Snapshot
from denet_tui.record.denet_lines import or_text, whole
from denet_tui.record.text import Json, plain, plain_or_none
from denet_tui.syscalls import errno_name, errno_number
from denet_tui.touched import SLOWEST, FailedPath, File, SlowCall, Touched, Use

_NOTHING = Touched()
_LONGEST_PID = 10
_TIME = attrgetter("time_ns")
_MOST_CHANGES = 2000
_CHECK = struct.Struct(f"<{len(Use._fields)}q").pack
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class Changes:
    """Remembers what the last tick had."""

    def __init__(self) -> None:
        self._told = _NOTHING

    def item(self, snapshot: Snapshot) -> dict[str, Any] | None:
        """`touched` of a tick, as `taken` reads it: all of it since the start; None if it is not watched."""
        now, told = snapshot.detail.touched, self._told
        if now is None:
            return None
        self._told = now
        anew, folded = _folded(now, told)
        told = _left(told, anew=anew, folded=folded)
        failed = _new(now.failed, told.failed)
        known = {*map(id, told.slowest)}  # most are the same objects as a tick ago, and quickly told apart so
        slowest = [each for each in now.slowest if id(each) not in known and each not in told.slowest]
        return {
            **({"anew": True} if anew else {"folded": sorted(folded)} if folded else {}),
            "files": [
                {**_named(file), "all": _numbers(now.files.get(file)), "by": uses} for file, uses in _used(now, told)
            ],
            "failed_paths": [{**_failing(path), "count": count} for path, count in failed],
            "slowest": [{**each._asdict(), "about": plain_or_none(each.about)} for each in slowest],
            **({"mounts": [plain(each) for each in now.mounts]} if now.mounts != told.mounts else {}),
        }


def _used(now: Touched, told: Touched) -> Iterable[tuple[File, dict[int, Any]]]:
    """Each file of which something is new, with the new rows of its processes."""
    by: dict[File, dict[int, Any]] = {file: {} for file, _ in _new(now.files, told.files)}
    for (pid, file), use in _new(now.by_process, told.by_process):
        uses = by.get(file)
        if uses is None:
            uses = by[file] = {}
        uses[pid] = use if use[7] else use[:7]
    return by.items()


class _Later(Mapping[_Key, _Value]):
    """A table and what has come to it since.

    Put together where it is looked through, which it is not on the way to a moment of a recording.
    """

    __slots__ = ("_base", "_changes", "_whole")

    def __init__(self, base: Mapping[_Key, _Value], changes: dict[_Key, _Value]) -> None:
        self._base, self._changes = base, changes
        self._whole: dict[_Key, _Value] | None = None

    def plus(self, new: dict[_Key, _Value]) -> Mapping[_Key, _Value]:
        """With what is new."""
        if self._whole is None and len(self._changes) < _MOST_CHANGES:
            return _Later(self._base, {**self._changes, **new})
        return _Later(self._all, new)

    @property
    def _all(self) -> dict[_Key, _Value]:
        if self._whole is None:
            self._whole = {**self._base, **self._changes}
        return self._whole

    def __getitem__(self, key: _Key) -> _Value:
        return self._changes[key] if key in self._changes else self._base[key]

    def __iter__(self) -> Iterator[_Key]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def items(self) -> ItemsView[_Key, _Value]:
        return self._all.items()

    def values(self) -> ValuesView[_Value]:
        return self._all.values()


def _with(told: Mapping[_Key, _Value], new: dict[_Key, _Value]) -> Mapping[_Key, _Value]:
    if not new:
        return told
    return told.plus(new) if isinstance(told, _Later) else _Later(told, new)


def taken(line: dict[str, Any] | None, before: Touched | None) -> Touched | None:
    """What a tick makes of the one before it; raises what read.DAMAGE has where it is damaged."""
    if line is None:
        return None
    told = _left(before or _NOTHING, anew="anew" in line, folded={whole(pid) for pid in line.get("folded", ())})
    files, by_process, failed = dict[File, Use](), dict[tuple[int, File], Use](), dict[FailedPath, int]()
    for each in line["files"]:
        file = File(str(each["kind"]), or_text(each["path"]))
        if each["all"] is not None:  # there was room for it by process only
            files[file] = _use(each["all"])
        for pid, use in each["by"].items():
            by_process[_pid(pid), file] = _use(use)
    for each in line["failed_paths"]:
        path = FailedPath(str(each["syscall"]), errno_number(str(each["errno"])), or_text(each["path"]))
        failed[path] = whole(each["count"])
    return Touched(
        _with(told.files, files),
        _with(told.by_process, by_process),
        _with(told.failed, failed),
        _slowest(told.slowest, line["slowest"]),
        tuple(map(str, line.get("mounts", told.mounts))),
        told.folds,
    )


def _folded(now: Touched, told: Touched) -> tuple[bool, set[int]]:
    """Whether files or paths have gone since, so that all is to be told anew; else the processes of which some have."""
    if now.folds == told.folds:
        return False, set()
    anew = bool(told.files.keys() - now.files.keys() or told.failed.keys() - now.failed.keys())
    return anew, {pid for pid, _ in told.by_process.keys() - now.by_process.keys()}


def _left(told: Touched, *, anew: bool, folded: set[int]) -> Touched:
    """What of it still holds."""
    if anew:
        return Touched(slowest=told.slowest, mounts=told.mounts, folds=told.folds + 1)
    if not folded:
        return told
    by_process = {whose: use for whose, use in told.by_process.items() if whose[0] not in folded}
    return told._replace(by_process=by_process, folds=told.folds + 1)


def _slowest(told: tuple[SlowCall, ...], new: list[Any]) -> tuple[SlowCall, ...]:
    if not new:
        return told
    found: dict[str, list[SlowCall]] = {}
    for slow in (*told, *map(_slow, new)):
        found.setdefault(slow.syscall, []).append(slow)
    return tuple(slow for _, some in sorted(found.items()) for slow in sorted(some, key=_TIME, reverse=True)[:SLOWEST])


def _new(now: Mapping[Any, Any], told: Mapping[Any, Any]) -> Iterable[tuple[Any, Any]]:
    """What `told` has not, or otherwise. Most rows rest, as the same objects in the same places: those cost least."""
    if now is told:
        return ()
    if len(told) <= len(now) and all(map(is_, now, told)):
        return list(compress(now.items(), chain(map(is_not, now.values(), told.values()), repeat(True))))
    return [(key, value) for key, value in now.items() if told.get(key) != value]


@lru_cache(4096)
def _failing(path: FailedPath) -> Json:
    return {"syscall": path.syscall, "errno": errno_name(path.errno), "path": plain_or_none(path.path)}


@lru_cache(4096)
def _named(file: File) -> Json:
    return {"path": plain_or_none(file.path), "kind": file.kind}


def _numbers(use: Use | None) -> tuple[int, ...] | None:
    """As `_use` reads it; the last only where it is any."""
    return use if use is None or use.blocked_ns else use[:-1]


def _use(numbers: list[Any]) -> Use:
    """Raises struct.error for what are no whole numbers of 63 bits, all at once: there are tens of thousands."""
    if min(numbers) < 0:
        raise ValueError("a number that there cannot be")
    all_of_them = [*numbers, 0] if len(numbers) == len(Use._fields) - 1 else numbers
    _CHECK(*all_of_them)
    return tuple.__new__(Use, all_of_them)


@lru_cache(4096)
def _pid(word: str) -> int:
    if len(word) > _LONGEST_PID:
        raise ValueError("no process id")
    return whole(int(word))


def _slow(line: dict[str, Any]) -> SlowCall:
    pid, time_ns, at_ns = (whole(line[name]) for name in ("pid", "time_ns", "at_ns"))
    return SlowCall(str(line["syscall"]), pid, time_ns, at_ns, or_text(line["about"]))
