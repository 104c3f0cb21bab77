"""Files that stand among the parts of a recording and are none of them, or a copy of another one."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from typing import Any, BinaryIO, NamedTuple

from denet_tui.record.packed import MissingError, Unpacker
from denet_tui.record.parts import place_of, run_at

_MOST_FIRST = 1 << 16
"""Bytes in which the first line is looked for."""


class _First(NamedTuple):
    """What the first line of a part says, and the number in its name."""

    name: str
    named_so: bool
    """Whether its name has the moment at which its run began."""
    start_ns: int
    part: int
    number: int

    @property
    def ahead(self) -> int:
        """How far the number of its name is ahead: by those that others had taken before, and so ever further."""
        return self.number - self.part


def astray(parts: Sequence[tuple[str, BinaryIO]]) -> dict[str, str]:
    """By name, what is wrong with files among the parts of a run; without a first line one is not judged."""
    firsts = [first for name, file in parts if (first := _first(name, file))]
    own = [each for each in firsts if each.named_so] or firsts
    usual = Counter(each.start_ns for each in own).most_common(1)
    own = [each for each in own if each.start_ns == usual[0][0]]
    others = {each.name: "is of another recording" for each in firsts if each not in own}
    return others | _misplaced(own)


def _misplaced(own: Sequence[_First]) -> dict[str, str]:
    """Those whose number goes back, or is not as far ahead as those after it are."""
    found, last = dict[str, str](), 0
    for at, each in enumerate(own):
        if each.part <= last or each.ahead < 0 or any(each.ahead > later.ahead >= 0 for later in own[at + 1 :]):
            found[each.name] = f"holds part {each.part}"
        else:
            last = each.part
    return found


def _first(name: str, file: BinaryIO) -> _First | None:
    try:
        start = os.pread(file.fileno(), _MOST_FIRST, 0)
        if Unpacker.is_packed(start):
            start = next(Unpacker(start).unpack(start), b"")
        line: Any = json.loads(start.partition(b"\n")[0])
        ours = line["denet_tui"]
        run, number = place_of(name)
        named_so = run_at(line["t0_ms"] / 1000) == run
        return _First(name, named_so, int(ours["start_ns"]), int(ours.get("part", 1)), number)
    except (OSError, MissingError, ValueError, LookupError, TypeError, RecursionError, AttributeError, OverflowError):
        return None
