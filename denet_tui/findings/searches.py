"""What was looked for in vain, name by name: folders that were missed, and where it was found after all."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from typing import NamedTuple

from denet_tui.system.visible import how_many
from denet_tui.touched import Touched

_NOT_THERE = (errno.ENOENT, errno.ENOTDIR)
_MOST_PLACES = 20
"""Of one name (`__init__.py`) that are compared with what was missed."""


class Search(NamedTuple):
    """One name, or one path where it was looked for in one place only and found nowhere."""

    name: str | None
    """None: a path that could not be read."""
    times: int
    missed: tuple[str, ...] = ()
    """Folders, the one with most misses first."""
    found: tuple[str, ...] = ()
    """Folders in which a file of that name was opened."""

    def in_words(self, room: int = 1 << 30) -> str:
        """`missed in /a, /b, found in /d`; folders are left out where there is not so much room for all."""
        if not self.missed:
            return ""
        found = f"found in {how_many(len(self.found), 'folder')}" if len(self.found) > 1 else "".join(self.found)
        end = (", " if len(self.found) > 1 else ", found in ") * bool(found) + found
        said = f"missed in {', '.join(self.missed)}{end}"
        shown = len(self.missed)
        while len(said) > room and shown > 1:
            shown = min(shown - 1, 9)
            said = f"missed in {len(self.missed)} folders: {', '.join(self.missed[:shown])}, …{end}"
        return said if len(said) <= room else f"missed in {how_many(len(self.missed), 'folder')}{end}"


def searches(touched: Touched, syscall: str, number: int, executed: Iterable[str] = ()) -> list[Search]:
    """What a call failed on with an errno, the most frequent first; where nothing was there, folded by name.

    `executed` are paths of programs that were there.
    """
    paths = {path.path: count for path, count in touched.failed.items() if path[:2] == (syscall, number)}
    if number in _NOT_THERE:
        some = _folded(paths, touched, executed)
    else:
        some = [Search(path, count) for path, count in paths.items()]
    return sorted(some, key=lambda each: (-each.times, each.name or ""))


def _folded(paths: Mapping[str | None, int], touched: Touched, executed: Iterable[str]) -> list[Search]:
    """By name; what has none, or is none, is left as it is."""
    some, names = list[Search](), dict[str, dict[str, int]]()
    for path, count in paths.items():
        if path is None or _base(path) in ("", ".", "..") or " → " in path:  # of two paths it may be either
            some.append(Search(path, count))
        else:
            names.setdefault(_base(path), {})[path] = count
    there = {file.path for file, use in touched.files.items() if use.opens and file.path is not None}
    known = _known(there.union(executed), names)
    for base, missed in names.items():
        some += _told_apart(base, missed, known.get(base, ()))
    return some


def _told_apart(base: str, missed: Mapping[str, int], opened: Sequence[str]) -> list[Search]:
    """What was looked for under one name: `sys/types.h` and `bits/types.h` are two, by where such were found."""
    if not 1 < len(opened) <= _MOST_PLACES:
        return [_search(name, each, opened) for name, each in _split(base, missed).items()]
    places = sorted(opened, key=lambda path: path.count("/"))
    highest = places[0] if places[0].count("/") < places[1].count("/") else ""
    groups: dict[str, dict[str, int]] = {}
    for path, count in missed.items():
        likest = max(places, key=lambda place: (_in_common(path, place), place == highest))
        alike = _in_common(path, likest) > 1
        name = base if likest == highest or not alike else f"{_base(likest.rpartition('/')[0])}/{base}"
        groups.setdefault(name, {})[path] = count
    return [_search(name, each, [highest] if name == base and highest else opened) for name, each in groups.items()]


def _in_common(one: str, other: str) -> int:
    """Parts that two paths have in common at their ends."""
    pairs = zip(reversed(one.split("/")), reversed(other.split("/")), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _split(base: str, missed: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """By name with the folder right above it (`sys/types.h`) where several such were looked for in several places."""
    groups: dict[str, dict[str, int]] = {}
    for path, count in missed.items():
        above, _, _ = path.rpartition("/")
        groups.setdefault(f"{_base(above)}/{base}", {})[path] = count
    several = len(groups) > 1 and all(len(each) > 1 for each in groups.values())
    return groups if several else {base: dict(missed)}


def _search(name: str, missed: Mapping[str, int], opened: Iterable[str]) -> Search:
    end = f"/{name}"
    found = tuple(path.removesuffix(end) or "/" for path in opened if path.endswith(end) and path not in missed)
    if len(missed) == 1 and not found:
        ((path, count),) = missed.items()
        return Search(path, count)
    folders = sorted(missed, key=lambda path: -missed[path])
    return Search(name, sum(missed.values()), tuple(_folder(path, name) for path in folders), found)


def _known(paths: Iterable[str], names: Mapping[str, object]) -> dict[str, list[str]]:
    """Those of the paths that end with one of the names, by it."""
    known: dict[str, list[str]] = {}
    for path in sorted(paths):
        if (base := _base(path)) in names:
            known.setdefault(base, []).append(path)
    return known


def _base(path: str) -> str:
    return path.rpartition("/")[2]


def _folder(path: str, name: str) -> str:
    """What a path has before a name: `.` where that is nothing."""
    folder = path.removesuffix(name)
    return folder.rstrip("/") or folder[:1] or "."
