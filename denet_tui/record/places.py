"""The living processes in a tick, each in its place: most stay there, and what was kept of them holds."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import compress
from operator import attrgetter
from typing import Any, NamedTuple, TypeVar

from denet_tui.detail import Usage
from denet_tui.model import ProcessInfo

_GONE, _ALIVE = attrgetter("end_ns", "lost"), (None, False)
_KEY, _USAGE = attrgetter("tgid", "start_ns", "comm"), attrgetter("usage")
_Kept = TypeVar("_Kept")


class Living(NamedTuple):
    """What all that is written of the living needs; there are hundreds, so each is looked at once."""

    processes: list[ProcessInfo]
    keys: list[tuple[int, int, str]]
    """Tgid, start and name."""
    usages: list[Usage]

    @classmethod
    def of(cls, processes: Iterable[ProcessInfo], before: Living | None = None) -> Living:
        """Those of them that are alive; `keys` is the same list as before where none has come or gone."""
        some = list(processes)
        living = list(compress(some, map(_ALIVE.__eq__, map(_GONE, some))))
        keys = list(map(_KEY, living))
        return cls(living, before.keys if before and before.keys == keys else keys, list(map(_USAGE, living)))


def placed(keys: list[Any], before: list[Any], kept: list[_Kept], otherwise: _Kept) -> list[_Kept]:
    """What was kept of each, in the order of now; where none has come or gone, as most often, the same list."""
    if keys == before:
        return kept
    known = dict(zip(before, kept, strict=True))
    return [known.get(each, otherwise) for each in keys]
