"""What a finding says of paths, files and peers, as far as they are watched: the end of its sentence, its figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from denet_tui.findings.searches import Search, searches
from denet_tui.model import Snapshot, Syscall
from denet_tui.system.visible import how_many, visible

Figures = dict[str, int | str]
_MOST = 60
"""Signs of a path in a sentence."""
_MAIN_SHARE = 0.5
"""Of the failures: what is said of them holds for so many at least."""
_LEAST_NAMES = 3
_RUN = "the run"
"""What failed, where that is no one program."""


def failures(snapshot: Snapshot, call: Syscall, number: int) -> tuple[str, Figures]:
    """Which names were looked for in how many folders, or which path it mostly was; nothing where neither is so."""
    touched = snapshot.detail.touched
    if touched is None:
        return "", {}
    found = searches(touched, call.name, number)
    times = sum(each.times for each in found)
    return _late(snapshot, call, number, found, times) or _main(found, times) or ("", {})


def _late(
    snapshot: Snapshot, call: Syscall, number: int, found: list[Search], times: int
) -> tuple[str, Figures] | None:
    """Where most of the failures are of names that are found in the end."""
    late = [each for each in found if each.missed and each.found]
    if len(late) < _LEAST_NAMES or sum(each.times for each in late) < _MAIN_SHARE * times:
        return None
    folders = len({folder for each in late for folder in each.missed})
    program = _mostly(snapshot, call, number)
    text = f": {program} looks for {how_many(len(late), 'name')} in {how_many(folders, 'folder')} before it finds them"
    return text, {"names": len(late), "folders": folders}


def _main(found: list[Search], times: int) -> tuple[str, Figures] | None:
    """Where most of the failures are of one name."""
    if not found or found[0].name is None or found[0].times < _MAIN_SHARE * times:
        return None
    name, count = found[0].name, found[0].times
    return f": {short(name)} {'once' if count == 1 else f'{count:,} times'}", {"path": name}


def mostly(snapshot: Snapshot, call: Syscall, number: int) -> str:
    """Which program failed so most often, among several; nothing where it is not most of the times."""
    if len({process.comm for process in snapshot.processes}) < 2:
        return ""
    program = _mostly(snapshot, call, number)
    return "" if program == _RUN else f", most of them of {program}"


def slowest(snapshot: Snapshot, of: Callable[[str], bool]) -> tuple[str, Figures]:
    """On what the longest of the calls whose names are so was; nothing where that is not known."""
    touched = snapshot.detail.touched
    some = [each for each in (touched.slowest if touched else ()) if of(each.syscall)]
    first = max(some, key=lambda each: each.time_ns, default=None)
    if first is None or not first.about:
        return "", {}
    return short(first.about), {"about": first.about, "pid": first.pid}


def short(path: str) -> str:
    """A path as it may stand in a sentence: its end, where it is long."""
    shown = visible(path)
    return shown if len(shown) <= _MOST else f"…{shown[1 - _MOST :]}"


def _mostly(snapshot: Snapshot, call: Syscall, number: int) -> str:
    """Which program failed so most often; `the run` where it is not most of the times."""
    times: Counter[str] = Counter()
    for process in snapshot.processes:
        times[process.comm] += process.errnos.get((call, number), 0)
    ((name, count),) = times.most_common(1) or [("", 0)]
    return visible(name) if count >= _MAIN_SHARE * snapshot.errnos[call, number] else _RUN
