"""Values as JSON text: names that hold any bytes, wall clock times, wait statuses."""

from __future__ import annotations

import os
import struct
from collections.abc import Generator, Iterable, Mapping
from functools import cache, lru_cache

from denet_tui.counts import Counts
from denet_tui.detail import Accounts
from denet_tui.model import BUCKETS, LANE, Counters, Errnos, ProcessInfo, RunInfo, Snapshot, Syscall
from denet_tui.syscalls import errno_name
from denet_tui.system.visible import as_json

Json = dict[str, object]

_TIME_BIT = 256
"""Where in `Counters.packed` the time is, above calls, returns, errors and unreturned; the histogram is above that."""
_BUCKETS_BIT = _TIME_BIT + 64
_BELOW_TIME, _BELOW_BUCKETS = (1 << _TIME_BIT) - 1, (1 << _BUCKETS_BIT) - 1
_BUT_TIME = ((1 << 64 * (6 + BUCKETS)) - 1) ^ _BELOW_BUCKETS ^ _BELOW_TIME
_FOUR = struct.Struct("<4Q").unpack
_ERRNOS = ',"errnos":{'
_NOTHING: Mapping[str, str] = {}

PIECE = 1 << 18
"""Bytes of a line after which the rest of a long list goes into another one."""


def in_lines(items: Iterable[str], begin: str, end: str) -> Generator[str, None, str]:
    """Lines of all but the last of the items, between what each line begins and ends with; returns the rest."""
    some, size = list[str](), 0
    for item in items:
        some.append(item)
        size += len(item) + 1
        if size >= PIECE:
            yield f"{begin}{','.join(some)}{end}\n"
            some, size = [], 0
    return ",".join(some)


def plain_or_none(text: str | None) -> str | None:
    """As `plain`, of what may not be known."""
    return None if text is None else plain(text)


def plain(text: str) -> str:
    r"""Text that is valid Unicode: a byte that was none is written as `\xff`.

    Lone surrogates, as os.fsdecode makes them, are refused by strict JSON readers.
    """
    if text.isascii():
        return text
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode("utf-8")


def wall_ms(info: RunInfo, time_ns: int) -> float:
    """Unix time in ms, to the microsecond, of a CLOCK_MONOTONIC time in ns.

    Every time in a recording comes from this one clock: a wall clock that is set back would
    otherwise make times run backwards, which denet's readers cannot subtract.
    """
    return round(info.start_wall_ms + (time_ns - info.start_ns) / 1e6, 3)


def ending(status: int | None) -> Json:
    """`exit_code` and `signal` of a wait status; both null while it lives and where it is not known."""
    if status is None:
        return {"exit_code": None, "signal": None}
    code = os.waitstatus_to_exitcode(status)
    return {"exit_code": code if code >= 0 else None, "signal": -code if code < 0 else None}


def accounts(used: Accounts) -> Json:
    """What was used, None for what is not known; nothing counts bytes of the network."""
    return {**used._asdict(), "net_rx_bytes": None, "net_tx_bytes": None}


def notes(snapshot: Snapshot) -> Json:
    """`notes` where something has come up that must be known."""
    found = [plain(note) for note in snapshot.detail.notes]
    return {"notes": found} if found else {}


def command_line(process: ProcessInfo) -> Json:
    """`cmdline`, and `cmdline_cut` where there is more of it than is known."""
    cut = {"cmdline_cut": True} if process.cut else {}
    return {"cmdline": [plain(argument) for argument in process.cmdline], **cut}


@lru_cache(4096)
def quoted(text: str) -> str:
    """The name of a process as JSON; the same ones come tick by tick."""
    return as_json(plain(text))


@cache
def key(name: str) -> str:
    """A syscall's name as a JSON key; there are only so many."""
    return as_json(plain(name))


def rows(counted: Mapping[Syscall, Counters], errnos: Errnos) -> str:
    """Counters by syscall as JSON, with how often each failed; each histogram ends with its last bucket in use.

    By hand, and from texts that are kept: rows are most of a tick, and but for the times those of one are those of
    the one before.
    """
    failed = _errnos(errnos) if errnos else _NOTHING
    texts = list[str]()
    for call, packed, max_ns in _columns(counted):
        begin, end = _but_times(call[2], packed & _BUT_TIME)
        times = f'{(packed & _BELOW_BUCKETS) >> _TIME_BIT},"max_ns":{max_ns}'
        texts.append(f"{begin}{times}{end}{failed.get(call[2], '')}}}")
    return f"{{{','.join(texts)}}}"


def lists(counted: Mapping[Syscall, Counters]) -> str:
    """The same as `read.counts_of` takes it: a row is a list of its values, the buckets at its end."""
    texts = [
        f"{key(call.name)}:[{_values(packed & _BELOW_TIME)},{packed >> _TIME_BIT & LANE},{max_ns},"
        f"[{_buckets(packed >> _BUCKETS_BIT)}]]"
        for call, packed, max_ns in _columns(counted)
    ]
    return f"{{{','.join(texts)}}}"


def _columns(counted: Mapping[Syscall, Counters]) -> Iterable[tuple[Syscall, int, int]]:
    if isinstance(counted, Counts):
        return zip(counted.syscalls, counted.lanes, counted.peaks, strict=True)
    return ((call, packed, max_ns) for call, (packed, max_ns) in counted.items())


def _errnos(counted: Errnos) -> dict[str, str]:
    texts = dict[str, str]()
    for (call, number), count in counted.items():
        begun = texts.get(call[2])
        texts[call[2]] = f'{f"{begun[:-1]}," if begun else _ERRNOS}"{errno_name(number)}":{count}}}'
    return texts


@lru_cache(1 << 14)
def _but_times(name: str, packed: int) -> tuple[str, str]:
    """What comes before and after the times of a row: of few calls in an interval the same again and again."""
    calls, returns, errors, unreturned = _FOUR((packed & _BELOW_TIME).to_bytes(32, "little"))
    return (
        f'{key(name)}:{{"calls":{calls},"returns":{returns},"errors":{errors},"unreturned":{unreturned},"time_ns":',
        f',"buckets":[{_buckets(packed >> _BUCKETS_BIT)}]',
    )


@lru_cache(1 << 12)
def _values(packed: int) -> str:
    return ",".join(map(str, _FOUR(packed.to_bytes(32, "little"))))


@lru_cache(1 << 14)
def _buckets(packed: int) -> str:
    size = -(-packed.bit_length() // 64)
    return ",".join(map(str, struct.unpack(f"<{size}Q", packed.to_bytes(8 * size, "little"))))
