"""Who lives in a tick of a recording, each in its place: most stay there, and what was kept of them holds."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import compress
from operator import attrgetter
from typing import Any, NamedTuple, TypeVar

from denet_tui.detail import Usage
from denet_tui.model import ProcessInfo

_GONE, _ALIVE = attrgetter("end_ns", "lost"), (None, False)
_WHO, _USAGE = attrgetter("tgid", "start_ns", "comm"), attrgetter("usage")
_Kept = TypeVar("_Kept")


class Living(NamedTuple):
    """What all that is written of the living needs; there are hundreds, so each is looked at once."""

    processes: list[ProcessInfo]
    who: list[tuple[int, int, str]]
    usages: list[Usage]

    @classmethod
    def of(cls, processes: Iterable[ProcessInfo], before: Living | None = None) -> Living:
        """Those of them that are alive; `who` is the same list as before where nobody has come or gone."""
        some = list(processes)
        living = list(compress(some, map(_ALIVE.__eq__, map(_GONE, some))))
        who = list(map(_WHO, living))
        return cls(living, before.who if before and before.who == who else who, list(map(_USAGE, living)))


def placed(who: list[Any], before: list[Any], kept: list[_Kept], otherwise: _Kept) -> list[_Kept]:
    """What was kept of each, in the order of now; where nobody has come or gone, as most often, the same list."""
    if who == before:
        return kept
    known = dict(zip(before, kept, strict=True))
    return [known.get(each, otherwise) for each in who]
