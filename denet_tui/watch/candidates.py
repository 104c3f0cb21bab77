"""Processes that can be attached to, for a list to pick from."""

from __future__ import annotations

import os
from typing import NamedTuple

import psutil


class Candidate(NamedTuple):
    """A running process; `mine` is False if it belongs to somebody else."""

    pid: int
    user: str
    argv: tuple[str, ...]
    started: float
    """Seconds since the epoch."""
    rss: int
    """Bytes."""
    mine: bool


def candidates(uid: int | None = None) -> list[Candidate]:
    """Every process but this one and the kernel's own threads; those of `uid` first, then the newest.

    `uid` is this process's own where it is None. Root may watch them all.
    """
    me = os.getuid() if uid is None else uid
    found: list[Candidate] = []
    for process in psutil.process_iter(("pid", "username", "cmdline", "name", "create_time", "memory_info", "uids")):
        known = process.info
        argv = tuple(known["cmdline"] or ())
        if known["pid"] == os.getpid() or not argv:  # threads of the kernel have no command line
            continue
        uids, memory = known["uids"], known["memory_info"]
        mine = me == 0 or (uids is not None and uids.real == me)
        rss = memory.rss if memory else 0
        found.append(Candidate(known["pid"], known["username"] or "?", argv, known["create_time"] or 0.0, rss, mine))
    return sorted(found, key=lambda each: (not each.mine, -each.started))
