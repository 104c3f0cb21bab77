"""Files as root: no planted symlink is followed, nothing is half written, and what was there is known."""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import PurePosixPath

from denet_tui.checks.host import others_write
from denet_tui.system import files

LARGEST = 1 << 20
"""Bytes of a file that may be replaced: its content goes into the journal."""


class UnsafeError(Exception):
    """A path that is not touched; the text says why."""


@dataclass(frozen=True, slots=True)
class FileState:
    """A file as it is: content, mode, owner, and when it was written (ns; not part of what is compared)."""

    data: bytes
    mode: int
    uid: int = 0
    gid: int = 0
    mtime_ns: int | None = None

    def same(self, other: FileState | None) -> bool:
        """Whether content, mode and owner are the same; a `touch` is no change."""
        mine = (self.data, self.mode, self.uid, self.gid)
        return other is not None and mine == (other.data, other.mode, other.uid, other.gid)

    def as_json(self) -> dict[str, object]:
        """As it stands in the journal."""
        data = base64.b64encode(self.data).decode()
        return {"data": data, "mode": self.mode, "uid": self.uid, "gid": self.gid, "mtime_ns": self.mtime_ns}

    @classmethod
    def of_json(cls, value: dict[str, object]) -> FileState:
        """From the journal; raises KeyError, TypeError, ValueError."""
        mtime = value["mtime_ns"]
        mode, uid, gid = (int(str(value[name])) for name in ("mode", "uid", "gid"))
        data = base64.b64decode(str(value["data"]))
        return cls(data, mode, uid, gid, None if mtime is None else int(str(mtime)))


@contextmanager
def folder(path: str) -> Iterator[int]:
    """A descriptor of a folder that only root can change, reached without following anybody else's symlink.

    Raises UnsafeError, OSError. A symlink counts as root's own where only root could have made it: it and the
    folder it lies in are root's, and nobody else writes there (/opt is one on some distributions).
    """
    descriptor = _walk(path)
    try:
        if os.fstat(descriptor).st_mode & stat.S_ISVTX and others_write(os.fstat(descriptor)):
            raise UnsafeError(f"{path} can be written by others")
        yield descriptor
    finally:
        os.close(descriptor)


def _walk(path: str) -> int:
    if not path.startswith("/") or ".." in PurePosixPath(path).parts:
        raise UnsafeError(f"{path} is not a plain absolute path")
    rest, links = [part for part in path.split("/") if part], 0
    here = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        while rest:
            name = rest.pop(0)
            found = os.stat(name, dir_fd=here, follow_symlinks=False)
            if stat.S_ISLNK(found.st_mode):
                links += 1
                _trust_link(found, os.fstat(here), links, f"{path}: {name}")
                target = os.readlink(name, dir_fd=here)
                rest = [part for part in target.split("/") if part] + rest
                if not target.startswith("/"):
                    continue
                name = "/"
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
            os.close(here)
            here = below
            _trust(os.fstat(here), path, name)
        return here
    except BaseException:
        os.close(here)
        raise


def _trust_link(link: os.stat_result, around: os.stat_result, links: int, words: str) -> None:
    if link.st_uid or others_write(around) or links > files.LINKS:
        raise UnsafeError(f"{words} is a symlink that somebody else could have put there")


def _trust(found: os.stat_result, path: str, name: str) -> None:
    if found.st_uid:
        raise UnsafeError(f"{path}: {name} belongs to uid {found.st_uid}, not to root")
    if others_write(found) and not found.st_mode & stat.S_ISVTX:
        raise UnsafeError(f"{path}: {name} can be written by others")


def read_file(path: str) -> FileState | None:
    """A regular file as it is, None if there is none; raises UnsafeError, OSError."""
    parent, name = os.path.split(path)
    try:
        with folder(parent) as at:
            return _read_at(at, name, path)
    except FileNotFoundError:
        return None


def _read_at(at: int, name: str, path: str) -> FileState:
    if not stat.S_ISREG(os.stat(name, dir_fd=at, follow_symlinks=False).st_mode):
        raise UnsafeError(f"{path} is not a regular file (a symlink, perhaps): left alone")
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        data = file.read(LARGEST + 1)
    if not stat.S_ISREG(found.st_mode) or len(data) > LARGEST:
        raise UnsafeError(f"{path} is not a regular file of at most {LARGEST >> 10} KiB: left alone")
    return FileState(data, stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid, found.st_mtime_ns)


def write_file(path: str, wanted: FileState) -> None:
    """Make a file what is wanted, at once or not at all, and on disk when this returns; raises UnsafeError, OSError.

    A symlink of that name is refused, never replaced: whoever made it meant something by it.
    """
    parent, name = os.path.split(path)
    with folder(parent) as at:
        with suppress(FileNotFoundError):
            _read_at(at, name, path)
        _remove_at(at, draft_of(name))
        descriptor = files.begin(draft_of(name), at)
        try:
            left = memoryview(wanted.data)
            while left:
                left = left[os.write(descriptor, left) :]
            os.fchown(descriptor, wanted.uid, wanted.gid)
            os.fchmod(descriptor, wanted.mode)
            if wanted.mtime_ns is not None:
                os.utime(descriptor, ns=(wanted.mtime_ns, wanted.mtime_ns))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(draft_of(name), name, src_dir_fd=at, dst_dir_fd=at)
        os.fsync(at)


def remove_file(path: str) -> None:
    """Remove a regular file, and a draft of it that an earlier run left; raises UnsafeError, OSError."""
    parent, name = os.path.split(path)
    with folder(parent) as at:
        _read_at(at, name, path)
        os.unlink(name, dir_fd=at)
        _remove_at(at, draft_of(name))
        os.fsync(at)


def remove_draft(path: str) -> None:
    """Remove what a killed `write_file` left; raises UnsafeError, OSError."""
    parent, name = os.path.split(path)
    with suppress(FileNotFoundError), folder(parent) as at:
        _remove_at(at, draft_of(name))


def draft_of(name: str) -> str:
    """Name of a file while it is being written: always the same, so that the next run knows it."""
    return f".{name}.denet-tui-draft"


def _remove_at(at: int, name: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=at)


def is_folder(path: str) -> bool:
    """Whether the folder exists and is root's alone; raises UnsafeError, OSError."""
    try:
        with folder(path):
            return True
    except FileNotFoundError:
        return False


def make_folder(path: str, mode: int = 0o755) -> None:
    """Make one folder, root's; raises UnsafeError, OSError (FileExistsError too)."""
    parent, name = os.path.split(path)
    with folder(parent) as at:
        os.mkdir(name, mode, dir_fd=at)
        below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
        try:
            os.fchmod(below, mode)  # whatever the umask is
            os.fsync(below)
        finally:
            os.close(below)
        os.fsync(at)


def remove_folder(path: str) -> None:
    """Remove a folder where it is empty; raises UnsafeError, OSError (ENOTEMPTY)."""
    parent, name = os.path.split(path)
    with folder(parent) as at:
        os.rmdir(name, dir_fd=at)
        os.fsync(at)


def read_value(path: str) -> str:
    """A value of the kernel, words separated by one space; raises UnsafeError, OSError."""
    found = read_file(path)
    if found is None:
        raise FileNotFoundError(2, os.strerror(2), path)
    return " ".join(found.data.decode(errors="replace").split())


def write_value(path: str, value: str) -> None:
    """Set a value of the kernel in one write(2) (man 5 proc_sys: never created); raises UnsafeError, OSError."""
    parent, name = os.path.split(path)
    with folder(parent) as at:
        descriptor = os.open(name, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
        try:
            data = f"{value}\n".encode()
            written = os.write(descriptor, data)
            if os.fstat(descriptor).st_size > written:  # never under /proc, where every file has size 0
                os.ftruncate(descriptor, written)
        finally:
            os.close(descriptor)
