"""Cgroups of the second version: which one a path, a unit of systemd or a container means (man 7 cgroups)."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from denet_tui.bpf.facts import parse_mounts
from denet_tui.bpf.privilege import invoking_user
from denet_tui.system import called
from denet_tui.system.cgroup import CONTAINER
from denet_tui.watch.launch import StartError

_INITIAL_NAMESPACE = 0xEFFFFFFB
"""PROC_CGROUP_INIT_INO of include/linux/proc_ns.h."""
_BESIDE = re.compile(r"libpod-conmon-|crio-conmon-")
"""Cgroups of what looks after a container."""
_DOCKERS = Path("/var/lib/docker/containers")
_LISTED = 10


class Cgroup(NamedTuple):
    """One of the second version; `path` is as in /proc/PID/cgroup, `folder` where it is mounted."""

    path: str
    folder: Path

    @property
    def key(self) -> tuple[int, int]:
        """Its id, and its level below the root: how the kernel knows it."""
        return self.folder.stat().st_ino, len(Path(self.path).parts) - 1

    def processes(self) -> set[int]:
        """The ids of the processes in it and below."""
        found = set[int]()
        for folder, _, _ in os.walk(self.folder):
            with suppress(OSError):  # it has just gone, or only its threads are told apart
                found.update(map(int, Path(folder, "cgroup.procs").read_text(encoding="ascii").split()))
        return found


def at(word: str) -> Cgroup:
    """The cgroup of that path, below where they are mounted or from there on; raises StartError."""
    root = _root()
    whole = Path(word)
    folder = whole if whole.is_relative_to(root) else root / word.lstrip("/")
    if ".." in whole.parts or not (folder / "cgroup.procs").exists():
        raise StartError(f"there is no cgroup {word} in {root}; see `systemd-cgls`, `ls {root}` or /proc/PID/cgroup")
    return _cgroup(root, folder)


def of_unit(word: str) -> Cgroup:
    """That of a unit of systemd, a service where no kind is named; raises StartError."""
    name = word if re.search(r"\.(service|scope|slice|socket|mount|swap)$", word) else f"{word}.service"
    hint = "see `systemctl list-units`, and name one of a user's own by its path, --cgroup PATH"
    return _only(f"unit {name}", hint, lambda folder: folder.name == name, _of_the_system)


def of_container(word: str) -> Cgroup:
    """That of a container by its id, the beginning of that, or its name; raises StartError."""
    named = _named(word)

    def fits(folder: Path) -> bool:
        found = None if _BESIDE.match(folder.name) else CONTAINER.fullmatch(folder.name)
        return found is not None and (found[1] in named if named else len(word) > 3 and found[1].startswith(word))

    hint = "give its id as `docker ps`, `podman ps` or `crictl ps` has it: not all keep names where they can be read"
    return _only(f"container {word}", hint, fits)


def _named(word: str) -> set[str]:
    """Ids of the containers of that name: conmon (podman, cri-o) has it on its command line, docker in a file."""
    found, believed = set[str](), {0, invoking_user().uid}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            status = (process / "status").read_text(encoding="utf-8", errors="replace")
            if status.startswith("Name:\tconmon\n") and believed.issuperset(_uids(status)):
                words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
                options = dict(pairwise(words))
                if word in (options.get("-n"), options.get("--name")):
                    found.add(options.get("-c", options.get("--cid", "")))
    for file in _DOCKERS.glob("*/config.v2.json"):
        with suppress(OSError, ValueError):
            if json.loads(file.read_bytes())["Name"] == f"/{word}":
                found.add(file.parent.name)
    return found


def _uids(status: str) -> set[int]:
    """All four: a setuid program takes its arguments from its caller, and the owner of /proc/PID may be root's."""
    return set(map(int, status.partition("\nUid:")[2].partition("\n")[0].split()))


def _of_the_system(found: list[Cgroup]) -> list[Cgroup]:
    """Those that only root can have made: below slices alone, or else not below what a user's own manager has."""
    above = [Path(each.path).parts[1:-1] for each in found]
    ours = [each for each, names in zip(found, above, strict=True) if all(name.endswith(".slice") for name in names)]
    return ours or [
        each for each, names in zip(found, above, strict=True) if not any(name.startswith("user@") for name in names)
    ]


def _only(
    what: str,
    hint: str,
    fits: Callable[[Path], bool],
    chosen: Callable[[list[Cgroup]], list[Cgroup]] = lambda found: found,
) -> Cgroup:
    """The one that fits, and what is below it; raises StartError where there is none, or several."""
    root = _root()
    found = chosen([_cgroup(root, folder) for folder in _folders(root, fits)])
    if not found:
        raise StartError(f"no cgroup in {root} is that of {what}: {hint}")
    if len(found) > 1:
        some = ", ".join(each.path for each in found[:_LISTED])
        raise StartError(f"{len(found)} cgroups are those of {what}: name one by its path, --cgroup PATH: {some}")
    return found[0]


def _folders(root: Path, fits: Callable[[Path], bool]) -> Iterator[Path]:
    for folder, below, _ in os.walk(root):
        for name in [name for name in below if fits(Path(folder, name))]:
            below.remove(name)  # what is in it goes with it
            yield Path(folder, name)


def _cgroup(root: Path, folder: Path) -> Cgroup:
    below = folder.relative_to(root)
    return Cgroup(f"/{below}" if below.parts else "/", folder)


def _root() -> Path:
    """Where the whole hierarchy is mounted; raises StartError."""
    if Path("/proc/self/ns/cgroup").stat().st_ino != _INITIAL_NAMESPACE:
        raise StartError("inside a cgroup namespace (a container) no cgroup can be named to the kernel: run outside")
    for mount in parse_mounts(os.fsdecode(Path("/proc/self/mountinfo").read_bytes())):
        if (mount.kind, mount.top) == ("cgroup2", "/"):
            return Path(mount.point)
    how = f"{called.rooted('mount -t cgroup2 none DIR')}, in a new DIR"
    raise StartError(f"cgroups of the second version are not mounted here: {how}")
