"""The kernel's own accounts of processes: what they have used by the time they ended (struct account of maps.c)."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from typing import NamedTuple

from denet_tui.bpf import maps
from denet_tui.detail import NOTHING_USED, UNKNOWN, Accounts

_ACCOUNT = struct.Struct("<5Q5Q3Q3I4x")
_NOT_TOLD = 0xFFFFFFFFFFFFFFFF
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Account(NamedTuple):
    """What a process has used up to its end, and what it had used before, which is not in that.

    Before it was watched; a command before its first execve, when it was denet-tui's own child.
    """

    used: Accounts
    before: Accounts
    complete: bool
    """Whether all its threads are in `used`; it is UNKNOWN until then."""
    ended: Accounts = UNKNOWN
    """Of its threads that have ended."""


def since(now: Accounts, earlier: Accounts) -> Accounts:
    """What has been used since; the memory is that of now."""
    if earlier is NOTHING_USED:
        return now
    *sums, _ = (None if a is None or b is None else a - b for a, b in zip(now, earlier, strict=True))
    return Accounts(*sums)._replace(max_rss_bytes=now.max_rss_bytes)


def open_for_command(table: maps.Map, pid: int) -> None:
    """Begin the account of a held command."""
    table.update(struct.pack("<I", pid), _ACCOUNT.pack(*(0,) * 13, 1, 1, 0))


def open_for_running(table: maps.Map, tgid: int, threads: Sequence[Accounts]) -> bool:
    """Begin the account of a process that is about to be watched, whose threads have used that; False if it has one."""
    numbers = [_NOT_TOLD if number is None else number for number in Accounts.together([NOTHING_USED, *threads])[:5]]
    row = _ACCOUNT.pack(*(0,) * 5, *numbers, *(0,) * 3, len(threads), 0, 0)
    return table.update(struct.pack("<I", tgid), row, maps.NOEXIST)


def check(table: maps.Map, tgid: int, threads: int) -> None:
    """Now that the process is watched, with so many threads: drop its account if any has come or gone unseen before."""
    key = struct.pack("<I", tgid)
    row = table.lookup(key)
    if row is not None and _ACCOUNT.unpack(row)[-3] != threads:
        table.delete(key)


def read(table: maps.Map, tgids: Sequence[int]) -> dict[int, Account]:
    """The accounts of these processes, without those that have none: they ran before, or there was no room."""
    rows = table.lookup_many(struct.pack(f"<{len(tgids)}I", *tgids))
    return {tgid: _account(row) for tgid, row in zip(tgids, rows, strict=True) if row is not None}


def _account(row: bytes) -> Account:
    *numbers, peak, peak_before, of_mm, threads, _, hidden = _ACCOUNT.unpack(row)
    before, ended = _accounts(numbers[5:]), _accounts(numbers[:5])
    used = UNKNOWN
    if not threads and not hidden:
        # The command was forked by denet-tui, and may never have used as much memory as that.
        pages = peak if peak > peak_before else of_mm
        used = since(ended, before)._replace(max_rss_bytes=pages * _PAGE or None)
    return Account(used, before, not threads, UNKNOWN if hidden else ended)


def _accounts(numbers: list[int]) -> Accounts:
    return Accounts(*(None if number == _NOT_TOLD else number for number in numbers))
