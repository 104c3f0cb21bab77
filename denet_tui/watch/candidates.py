"""Processes that can be attached to, for a list to pick from."""

from __future__ import annotations

import difflib
import os
from pathlib import PurePath
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
    name: str = ""
    """The kernel's word for it (comm), whole where its command line has it whole."""


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
        user, started = known["username"] or "?", known["create_time"] or 0.0
        found.append(Candidate(known["pid"], user, argv, started, rss, mine, known["name"] or ""))
    return sorted(found, key=lambda each: (not each.mine, -each.started))


def named(name: str, uid: int) -> list[Candidate]:
    """Those of that name, by the kernel or by their command line; of `uid` alone where one of them is theirs."""
    found = [each for each in candidates(uid) if name in _names(each)]
    return [each for each in found if each.mine] or found


def similar(name: str) -> str:
    """The name of a running process that this may have been meant for; empty where there is none."""
    return next(iter(difflib.get_close_matches(name, names(), n=1)), "")


def names() -> set[str]:
    """The names of all that run."""
    return {word for each in candidates() for word in _names(each)}


def _names(process: Candidate) -> set[str]:
    return {process.name, PurePath(process.argv[0].lstrip("-")).name} - {""}
