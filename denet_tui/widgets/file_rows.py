"""The rows of the Files tab: files and peers one by one, or in groups: by process, folder, peer or mount."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from denet_tui.model import ProcessInfo
from denet_tui.touched import File, Use, called
from denet_tui.widgets.formatting import program

GROUPINGS = ("file", "process", "folder", "peer", "mount")
DELETED = " (deleted)"
_IN_FOLDERS = ("file", "directory", "device", "terminal", "pipe", "socket")
_PEERS = ("tcp", "udp", "icmp", "sctp", "mptcp", "unix", "socket")


class FileRow(NamedTuple):
    """A file, or a group of them; `above` is the place of its group, -1 for none."""

    key: tuple[object, ...]
    above: int
    name: str
    """As it came from outside; below a folder what comes after that."""
    use: Use
    file: File | None = None
    """None: a group."""
    pid: int | None = None
    """Of the process that the group is of, or that a file below it is seen through."""
    guide: str = ""
    folded: int = 0
    """Rows below it that are folded away."""

    @property
    def kind(self) -> str:
        """Of a file; empty for a group."""
        return self.file.kind if self.file else ""

    @property
    def whole(self) -> str:
        """All that it is called."""
        return called(self.file) if self.file else self.key[0] if isinstance(self.key[0], str) else self.name


Uses = Mapping[File, Use]


def is_peer(file: File) -> bool:
    """Whether it is a socket."""
    return file.kind in _PEERS or file.kind.startswith("protocol ")


def total(uses: Iterable[Use]) -> Use:
    """All added up."""
    return Use(*map(sum, zip(*uses, strict=True))) if (uses := list(uses)) else Use()


def by_file(files: Uses) -> list[FileRow]:
    """Each on its own."""
    return [FileRow((file,), -1, called(file), use, file) for file, use in files.items()]


def by_process(table: Mapping[tuple[int, File], Use], processes: Sequence[ProcessInfo]) -> list[FileRow]:
    """Below each process what it used."""
    names = {each.pid: f"{program(each.cmdline, each.comm)} {each.pid}" for each in processes}
    groups: dict[int, list[tuple[File, Use]]] = {}
    for (pid, file), use in table.items():
        groups.setdefault(pid, []).append((file, use))
    rows: list[FileRow] = []
    for pid, used in groups.items():
        name = names.get(pid, f"process {pid}, ended long ago")
        rows.append(FileRow((pid,), -1, name, total(use for _, use in used), pid=pid))
        above = len(rows) - 1
        rows += [FileRow((pid, file), above, called(file), use, file, pid) for file, use in used]
    return rows


def by_peer(files: Uses) -> list[FileRow]:
    """Below each far end the sockets that lead there; those that were accepted below the end that listens."""
    sockets = {file: use for file, use in files.items() if is_peer(file)}
    listening = {called(file) for file in sockets if " → " not in called(file)}

    def peer_of(file: File) -> str:
        here, arrow, there = called(file).partition(" → ")
        kind, _, own = here.partition(" ")
        anywhere = f"{kind} {'[::]' if own.startswith('[') else '0.0.0.0'}:{own.rpartition(':')[2]}"  # noqa: S104 - a name
        connects = arrow and kind not in ("udp", "unix")
        end = next((each for each in (here, anywhere) if each in listening), "") if connects else ""
        return f"{end} accepted" if end else f"{kind} {there}" if arrow else here

    return _grouped(sockets, peer_of)


def by_mount(files: Uses, mounts: Collection[str]) -> list[FileRow]:
    """Below each mount point its files; what is in no file system by its kind."""
    known: dict[str, str] = {}

    def mount_of(file: File) -> str:
        if not _is_in_folder(file):
            return f"no file system: {file.kind}"
        folder = _folder_of(file)
        if folder not in known:
            at = folder
            while at not in mounts and at not in ("/", "…"):
                at = _above(at)
            known[folder] = at if at in mounts else "not known"
        return known[folder]

    return _grouped(files, mount_of)


def by_folder(files: Uses) -> list[FileRow]:
    """A tree of folders; those with nothing but another one in them share its row."""
    inside: dict[str, list[tuple[File, Use]]] = {}
    others: dict[File, Use] = {}
    for file, use in files.items():
        if _is_in_folder(file):
            inside.setdefault(_folder_of(file), []).append((file, use))
        else:
            others[file] = use
    rows = _tree(inside)
    count = len(rows)
    return [*rows, *(row._replace(above=row.above + count * (row.above >= 0)) for row in _grouped(others, _kind_of))]


def _tree(inside: Mapping[str, Sequence[tuple[File, Use]]]) -> list[FileRow]:
    """Of files by the folder that they are in."""
    below = _folders(inside)
    sums = {folder: total(use for _, use in inside.get(folder, ())) for folder in below}
    for folder in sorted(below, key=_depth, reverse=True):
        if (above := _above(folder)) != folder:
            sums[above] = sums[above].plus(sums[folder])
    rows: list[FileRow] = []
    todo: list[tuple[str, int]] = [(top, -1) for top in ("…", "/") if top in below]
    while todo:
        first, parent = todo.pop()
        folder = first
        while len(below[folder]) == 1 and folder not in inside:
            (folder,) = below[folder]
        at = len(rows)
        name = folder.removeprefix(_above(first)).lstrip("/") if parent >= 0 else folder
        rows.append(FileRow((folder,), parent, name if name.endswith("/") else f"{name}/", sums[folder]))
        todo += [(each, at) for each in below[folder]]
        for file, use in inside.get(folder, ()):
            own = "." if file.kind == "directory" else called(file).removeprefix(folder).lstrip("/")
            rows.append(FileRow((file,), at, own, use, file))
    return rows


def _grouped(files: Uses, group_of: Callable[[File], str]) -> list[FileRow]:
    groups: dict[str, list[tuple[File, Use]]] = {}
    for file, use in files.items():
        groups.setdefault(group_of(file), []).append((file, use))
    rows: list[FileRow] = []
    for name, used in groups.items():
        rows.append(FileRow((name,), -1, name, total(use for _, use in used)))
        above = len(rows) - 1
        rows += [FileRow((file,), above, called(file), use, file) for file, use in used]
    return rows


def _folders(inside: Iterable[str]) -> dict[str, list[str]]:
    """Those with files, and all above them, each with those right below it."""
    below: dict[str, list[str]] = {}
    for folder in inside:
        while folder not in below:
            below[folder] = []
            folder = _above(folder)  # noqa: PLW2901 (on the way up)
    for folder in below:
        if (above := _above(folder)) != folder:
            below[above].append(folder)
    return below


def _is_in_folder(file: File) -> bool:
    return file.kind in _IN_FOLDERS and (file.path or "").startswith(("/", "…/"))


def _folder_of(file: File) -> str:
    path = (file.path or "").removesuffix(DELETED)
    return path if file.kind == "directory" else _above(path)


def _above(path: str) -> str:
    """The folder of a path; of the uppermost itself."""
    return path.rpartition("/")[0] or ("…" if path.startswith("…") else "/")


def _depth(folder: str) -> int:
    return 0 if folder in ("/", "…") else folder.count("/")


def _kind_of(file: File) -> str:
    return file.kind


def users(table: Mapping[tuple[int, File], Use]) -> Mapping[File, Sequence[int]]:
    """Which processes used each file, the one that spent most time on it first."""
    found: dict[File, list[tuple[int, int]]] = {}
    for (pid, file), use in table.items():
        found.setdefault(file, []).append((-use.time_ns, pid))
    return {file: [pid for _, pid in sorted(some)] for file, some in found.items()}
