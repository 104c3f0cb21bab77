"""Files in places where somebody else may have put a link, a pipe or a device: opened once, then looked at, then used.

Root reads and writes below the homes of others, and everybody in /tmp. So a symlink is followed only where nobody but
root and this process's user can have put it, on the whole way (more than fs.protected_symlinks does, and where that
is off, too); nothing is waited for; and what is looked at is what was opened (man 2 open, O_NOFOLLOW, O_NONBLOCK).
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

SMALL = 1 << 20
"""Bytes: more than any file of settings or state has."""
LINKS = 40
"""Symlinks on one path, as the kernel has it (man 7 path_resolution)."""
_MOST_BESIDE = 100
_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
HARMLESS = os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
"""With these, open(2) neither waits for a process nor changes what this process has."""

ELSEWHERE = "start denet-tui in a folder of your own"
"""What to do next where a file is for the current folder."""
_LIMITS = {
    errno.EMFILE: "raise the limit of open files (`ulimit -n 1024`) and start it again",
    errno.ENFILE: "too many files are open on this machine (sysctl fs.file-max): end what holds them",
    errno.ENOMEM: "free some memory, or raise the limit that this runs under, and start it again",
    errno.EAGAIN: "too many processes (`ulimit -u`, or the cgroup's pids.max): end some, and start it again",
    errno.ENOSPC: "free some space, or name a file elsewhere",
    errno.EDQUOT: "free some space, or name a file elsewhere",
    errno.EFBIG: "raise the limit (ulimit -f), or name a file elsewhere",
}
_WRITING = {
    errno.ENOENT: "the folder does not exist: create it, or name another file",
    errno.ENOTDIR: "a part of its path is not a folder: name another file",
    errno.EISDIR: "it is a folder: name a file in it",
    errno.EACCES: "you may not write there: name another file",
    errno.EPERM: "you may not write there: name another file",
    errno.EROFS: "name a file on a file system that can be written",
    errno.ENXIO: "start its reader first, or name another file",
    errno.EPIPE: "its reader has gone; keep it reading to the end",
}


class _Place(NamedTuple):
    """A descriptor of a folder (O_PATH), a name in it, and the flag that keeps a symlink there from being followed."""

    at: int
    name: str
    nofollow: int = os.O_NOFOLLOW


def explain(problem: OSError, otherwise: str = "") -> str:
    """What the system said, and what to do about it; `otherwise` where it is not about writing a file, nor a limit."""
    known = _LIMITS if otherwise else _LIMITS | _WRITING
    return f"{problem.strerror or problem} ({known.get(problem.errno or 0, otherwise or 'name another file')})"


def advice(number: int) -> str:
    """What to do where a file cannot be written for this errno; empty where nothing is known of it."""
    return (_LIMITS | _WRITING).get(number, "")


def own_folder(environment: Mapping[str, str], variable: str, default: Path) -> Path:
    """denet-tui's folder below the one that `variable` names (XDG base directory specification), or below `default`.

    platformdirs goes by this process's own environment only, and that is not always the asker's.
    """
    named = environment.get(variable, "")
    return (Path(named) if named.startswith("/") else default) / "denet-tui"


def read(path: str | os.PathLike[str], owner: int | None = None) -> bytes:
    """The content of a regular file of at most SMALL bytes; raises OSError.

    With `owner` (a uid) it is that user's own, under one name, and nobody else can write to it; links on the way may
    be that user's as well.
    """
    with _reached(os.fspath(path), owner=owner) as place:
        descriptor = os.open(place.name, os.O_RDONLY | place.nofollow | HARMLESS, dir_fd=place.at)
    with opened(descriptor, path, owner) as file:
        data = file.read(SMALL + 1)
    if len(data) > SMALL:
        raise OSError(errno.EFBIG, f"it is larger than {SMALL >> 10} KiB", path)
    return data


def opened(descriptor: int, path: str | os.PathLike[str], owner: int | None = None) -> BinaryIO:
    """The file of a descriptor, which is closed where `check` raises OSError."""
    try:
        check(os.fstat(descriptor), path, owner)
    except OSError:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def check(found: os.stat_result, path: str | os.PathLike[str], owner: int | None = None) -> None:
    """Raise OSError where a file is not regular, or is not `owner`'s alone."""
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file", path)
    if owner is not None and found.st_uid != owner:
        raise PermissionError(errno.EPERM, f"it belongs to uid {found.st_uid}", path)
    if owner is not None and (found.st_nlink != 1 or _others_write(found)):
        raise PermissionError(errno.EPERM, "it can be written by others, or has several names", path)


def begin(name: str | os.PathLike[str], at: int | None = None, flags: int = 0) -> int:
    """A descriptor to write to a new file, this user's alone (0600); raises OSError where there is one, or a link.

    `at` is of the folder, of a relative `name`.
    """
    return os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | flags, 0o600, dir_fd=at)


def create(path: str | os.PathLike[str], *, append: bool = False, special: bool = False) -> int:
    """A descriptor to write to; raises OSError. A new file is this user's alone (0600), another keeps its mode.

    One that exists is emptied, unless `append`; where others can write to its folder, it has to be this user's own,
    under one name. `special`: a pipe that has a reader, or a character device, will do as well.
    """
    flags = os.O_WRONLY | HARMLESS | (os.O_APPEND if append else 0)
    with _reached(os.fspath(path)) as place:
        try:
            descriptor = begin(place.name, place.at, flags)
        except FileExistsError:
            descriptor = _open_existing(place, flags, special=special)
    os.set_blocking(descriptor, True)
    return descriptor


def _open_existing(place: _Place, flags: int, *, special: bool) -> int:
    try:
        descriptor = os.open(place.name, flags | place.nofollow, dir_fd=place.at)
    except OSError as error:
        if error.errno == errno.ENXIO:
            error.strerror = "it is a pipe without a reader"
        raise
    found = os.fstat(descriptor)
    regular = stat.S_ISREG(found.st_mode)
    stream = special and (stat.S_ISFIFO(found.st_mode) or stat.S_ISCHR(found.st_mode))
    mine = found.st_uid == os.geteuid() and found.st_nlink == 1
    if not (regular or stream) or not (mine or _only_ours(os.fstat(place.at))):
        os.close(descriptor)
        raise PermissionError(errno.EPERM, "it is not a file of your own")
    if regular and not flags & os.O_APPEND:
        os.ftruncate(descriptor, 0)
    return descriptor


def replace(path: str | os.PathLike[str], data: bytes) -> None:
    """Make a file, and the folders above it, this user's alone (0600, 0700), at once or not at all; raises OSError.

    A folder that others can write to is refused, and so is what is there already and is no file of this user's.
    """
    with _reached(os.fspath(path), make=True, owner=os.geteuid()) as place:
        if not _only_ours(os.fstat(place.at)):
            raise PermissionError(errno.EPERM, "it is in a folder that can be written by others", path)
        with suppress(FileNotFoundError):
            found = os.stat(place.name, dir_fd=place.at, follow_symlinks=False)
            if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
                raise PermissionError(errno.EPERM, "it is not a file of your own", path)
        fresh = f".{place.name}.{os.urandom(6).hex()}"
        descriptor = begin(fresh, place.at)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(descriptor)
            os.rename(fresh, place.name, src_dir_fd=place.at, dst_dir_fd=place.at)
        except BaseException:
            os.unlink(fresh, dir_fd=place.at)
            raise


def write_beside(folder: Path, name: str, text: str) -> Path:
    """Write a file under this name, or under one with a number where it is there already; raises OSError."""
    for number in range(_MOST_BESIDE):
        path = folder / (name.replace(".", f"-{number}.") if number else name)
        try:
            descriptor = begin(path)
        except FileExistsError:
            continue
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        return path
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(folder / name))


@contextmanager
def folder_of(path: str | os.PathLike[str]) -> Iterator[int]:
    """A descriptor (O_PATH) of the folder that a file is in or comes to be in; raises OSError."""
    with _reached(os.fspath(path), owner=os.geteuid()) as place:  # a link in the place of the file is not followed
        yield place.at


@contextmanager
def listable(folder: str | os.PathLike[str], at: int | None = None) -> Iterator[int]:
    """A descriptor of a folder, or of that which `at` is of, to list what is in it; raises OSError."""
    descriptor = os.open(folder if at is None else ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=at)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _reached(path: str, *, make: bool = False, owner: int | None = None) -> Iterator[_Place]:
    """Where the path leads; its last part need not exist. `make` makes the folders that are missing.

    Links of `owner` are followed on the way; a last part that is one is not, and cannot be opened then.
    """
    try:
        place = _walk(path, make, owner)
        try:
            yield place
        finally:
            os.close(place.at)
    except OSError as error:
        error.filename = path  # the kernel was told a part of it
        raise


def _walk(path: str, make: bool, owner: int | None) -> _Place:  # noqa: FBT001
    rest, links = _parts(path), 0
    here = os.open("/" if path.startswith("/") else ".", _FOLDER)
    try:
        while True:
            name, nofollow = rest.pop(0) if rest else ".", os.O_NOFOLLOW
            found = _look(name, here)
            if found and stat.S_ISLNK(found.st_mode) and (rest or owner is None):
                links += 1
                _trust(found, os.fstat(here), owner, links, path)
                if not _is_procfs(here):
                    target = os.readlink(name, dir_fd=here)
                    rest[:0] = _parts(target)
                    here = _into("/", here) if target.startswith("/") else here
                    continue
                nofollow = 0  # /dev/stdout, /dev/fd/63: no path says what the kernel's own links lead to
            if not rest:
                return _Place(here, name, nofollow)
            if not found and make:
                with suppress(FileExistsError):
                    os.mkdir(name, 0o700, dir_fd=here)
            here = _into(name, here, nofollow)
    except BaseException:
        os.close(here)
        raise


def _look(name: str, at: int) -> os.stat_result | None:
    with suppress(FileNotFoundError):
        return os.stat(name, dir_fd=at, follow_symlinks=False)
    return None


def _into(name: str, at: int, nofollow: int = 0) -> int:
    """A descriptor of the folder `name`, in the place of the one that it is in."""
    below = os.open(name, _FOLDER | nofollow, dir_fd=at)
    os.close(at)
    return below


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _trust(link: os.stat_result, around: os.stat_result, owner: int | None, links: int, path: str) -> None:
    """Raise OSError for a symlink that another user can have put there; in a sticky folder nobody swaps one of mine."""
    if links > LINKS:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
    mine = around.st_mode & stat.S_ISVTX and link.st_uid == os.geteuid() and link.st_nlink == 1
    if not mine and not _only_ours(around, owner):
        raise PermissionError(errno.EPERM, "it is, or is behind, a symlink that somebody else can have put there", path)


def _only_ours(folder: os.stat_result, owner: int | None = None) -> bool:
    """Whether only root and this user (and `owner`) can put something there."""
    return folder.st_uid in (0, os.geteuid(), owner) and not _others_write(folder)


def _others_write(found: os.stat_result) -> bool:
    """Whether more than the owner can write; a group with the owner's id is the owner's alone (user private groups)."""
    mode = found.st_mode
    return bool(mode & stat.S_IWOTH or (mode & stat.S_IWGRP and found.st_gid and not _is_private(found)))


def _is_private(found: os.stat_result) -> bool:
    """Whether its group is its owner's private one: of the same number, and without another member."""
    if found.st_gid != found.st_uid:
        return False
    try:
        owner, members = pwd.getpwuid(found.st_uid).pw_name, grp.getgrgid(found.st_gid).gr_mem
    except KeyError:
        return True  # an id without a name has no members
    return set(members) <= {owner}


def _is_procfs(folder: int) -> bool:
    with suppress(OSError):
        return os.fstat(folder).st_dev == os.stat("/proc/self").st_dev  # noqa: PTH116 - beside fstat
    return False
