"""What was executed between two readings, taken out of the tables of the kernel side (kernel/execs.c)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from denet_tui.bpf import names
from denet_tui.bpf.maps import Map
from denet_tui.bpf.privilege import user_name
from denet_tui.detail import Exec

_EXEC = struct.Struct("<QIIIiIIII256s512s512s")
_WORDS, _LONG_WORDS = 512, 4096
_FOLDER_GONE, _OTHER_FOLDER = 4, 8
"""In `cwd_end`."""


def take(table: Map, long_words: Map) -> list[Exec]:
    """All there are, in the order of time; they are deleted."""
    found = [_exec(key, record, long_words) for key, record in _rows(table)]
    return sorted(found, key=lambda each: each.at_ns)


def _rows(table: Map) -> Iterator[tuple[bytes, bytes]]:
    for keys, values in table.read():
        table.delete_many(keys)
        each_key, each = struct.iter_unpack("8s", keys), struct.iter_unpack(f"{_EXEC.size}s", values)
        yield from ((key, value) for (key,), (value,) in zip(each_key, each, strict=True))


def _exec(key: bytes, record: bytes, long_words: Map) -> Exec:
    at_ns, tgid, uid, error, path_size, cwd_size, length, goes_on, cwd_end, path, cwd, raw = _EXEC.unpack(record)
    cut = bool(goes_on)
    if length > _WORDS:
        whole = long_words.lookup(key)
        long_words.delete(key)
        raw, cut = (whole[:_LONG_WORDS], cut) if whole else (raw, True)
    raw = raw[:length]
    called, path_cut = names.text(path, path_size)
    if cwd_end & _OTHER_FOLDER and not called.startswith("/"):
        called = f"…/{called}"
    return Exec(
        tgid=tgid,
        at_ns=at_ns,
        path=called if path_size > 0 else None,
        path_cut=path_cut,
        argv=names.words(raw, cut=cut and not raw.endswith(b"\0")) if length else None,
        cut=cut and length > 0,
        cwd=_folder(cwd[: cwd_size - 1], cwd_end) if cwd_size else None,
        uid=uid,
        user=user_name(uid),
        errno=error or None,
    )


def _folder(packed: bytes, end: int) -> str:
    start = "" if end & names.FROM_ROOT else "…"
    path = f"{start}/{'/'.join(names.words(packed)[::-1])}"
    return f"{path} (deleted)" if end & _FOLDER_GONE else path
