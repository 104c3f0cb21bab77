"""What the calls are about that threads are in, out of what the kernel side knows of each (kernel/file_entry.c)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping

from denet_tui.bpf import file_calls, files
from denet_tui.bpf.maps import Map
from denet_tui.bpf.tasks import THREAD, Task, task_of

_ABOUT = struct.Struct("<IIi36x16s")
"""The thread, what the call does, which it is, and its file, at the beginning of struct about."""
_GIVEN = struct.Struct("<Qq256s")

_Call = tuple[int, int]
"""A thread and when it has entered the call."""


class OpenCalls:
    """Remembers what was told. Methods raise OSError where the kernel refuses."""

    def __init__(self, tables: Mapping[str, Map], name_of: Callable[[bytes], str | None]) -> None:
        """`name_of` a file by what identifies it."""
        self._tables, self._name_of = tables, name_of
        self._told: dict[_Call, str] = {}

    def told(self, threads: list[Task]) -> list[Task]:
        """The same threads, with what their calls are about; each call is asked for until it is known."""
        inside = {(each.tid, each.since_ns): each for each in threads if each.inside and each.on_file}
        told = {call: self._told[call] for call in inside.keys() & self._told.keys()}
        self._told = told | self._ask([each for call, each in inside.items() if call not in told])
        about = self._told.get
        return [each._replace(about=about((each.tid, each.since_ns))) if each.on_file else each for each in threads]

    def _ask(self, threads: Iterable[Task]) -> dict[_Call, str]:
        slots = self._tables["slots"]
        index = {each.tid: struct.pack("<I", each.tid & slots.max_entries - 1) for each in threads}
        packed = b"".join(index.values())
        abouts = list(self._tables["abouts"].lookup_many(packed))
        givens = self._tables["givens"].lookup_many(b"".join(struct.pack("<I", tid) for tid in index))
        found = {}
        # The slots are looked at once more: a thread that is still in the call has not been in another meanwhile.
        for each, row, slot, given in zip(threads, abouts, slots.lookup_many(packed), givens, strict=True):
            now = task_of(slot[: THREAD.size]) if slot else None
            if now is None or row is None or (now.tid, now.since_ns, now.inside) != (each.tid, each.since_ns, True):
                continue
            tid, does, nr, identity = _ABOUT.unpack_from(row)
            if (tid, nr) == (each.tid, each.nr) and (text := self._text(does, identity, given, each.since_ns)):
                found[each.tid, each.since_ns] = text
        return found

    def _text(self, does: int, identity: bytes, given: bytes | None, since_ns: int) -> str | None:
        if given:
            entered_ns, length, text = _GIVEN.unpack(given)
            if entered_ns == since_ns and length > 0:
                return files.cut_text(text, length) if does & file_calls.HAS_PATH else files.address(text[:length])
        return self._name_of(identity)
