"""Frozen values of what is watched besides the calls; model.py has them in its processes and snapshots."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

KEPT_EXECS = 100
"""Of a process: the newest."""


class Exec(NamedTuple):
    """A program that a process has become at `at_ns`, or (with an errno) has not; None is what is not known.

    `path` is as it was given; `cut` and `path_cut` say that there is more of the words and of the path.
    """

    tgid: int
    at_ns: int
    path: str | None
    argv: tuple[str, ...] | None
    cwd: str | None
    uid: int
    errno: int | None
    cut: bool = False
    path_cut: bool = False


class Programs(NamedTuple):
    """What a process has executed, also in vain: the newest, and how many there were before these."""

    kept: tuple[Exec, ...] = ()
    dropped: int = 0

    def plus(self, executed: Exec) -> Programs:
        """With one more."""
        all_of_them = (*self.kept, executed)
        return Programs(all_of_them[-KEPT_EXECS:], self.dropped + max(0, len(all_of_them) - KEPT_EXECS))


class Detail(NamedTuple):
    """What a snapshot has besides the calls; None is what is not watched."""

    execs: tuple[Exec, ...] | None = None
    """All of the interval."""
    turned_away: Mapping[str, int] = MappingProxyType({})
    """By table (`execs`), how many have found it full since the start: they are not told."""


NO_DETAIL = Detail()
