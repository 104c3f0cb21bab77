"""Values as JSON text: names that hold any bytes, wall clock times, wait statuses."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from functools import cache

from denet_tui.model import Accounts, Counters, ProcessInfo, RunInfo
from denet_tui.visible import as_json

Json = dict[str, object]

_SCALARS = 5
"""Lanes of `Counters.packed` before the histogram: calls, returns, errors, unreturned, time_ns."""


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


def command_line(process: ProcessInfo) -> Json:
    """`cmdline`, and `cmdline_cut` where there is more of it than is known."""
    cut = {"cmdline_cut": True} if process.cut else {}
    return {"cmdline": [plain(argument) for argument in process.cmdline], **cut}


@cache
def key(name: str) -> str:
    """A syscall's name as a JSON key; there are only so many."""
    return as_json(plain(name))


def row(counters: Counters, errnos: Mapping[str, int]) -> str:
    """One syscall's counters as JSON; the histogram ends with its last bucket in use.

    By hand, because rows are most of a tick and json takes twice as long for them.
    """
    size = max(-(-counters.packed.bit_length() // 64), _SCALARS)
    lanes = struct.unpack(f"<{size}Q", counters.packed.to_bytes(8 * size, "little"))
    calls, returns, errors, unreturned, time_ns = lanes[:_SCALARS]
    known = f',"errnos":{as_json(errnos)}' if errnos else ""
    return (
        f'{{"calls":{calls},"returns":{returns},"errors":{errors},"unreturned":{unreturned},"time_ns":{time_ns},'
        f'"max_ns":{counters.max_ns},"buckets":[{",".join(map(str, lanes[_SCALARS:]))}]{known}}}'
    )
