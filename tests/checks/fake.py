"""A machine made of dictionaries, for what cannot be made for real."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from denet_tui.bpf.facts import Mount
from denet_tui.bpf.privilege import User
from denet_tui.checks.host import LIMIT, Host, Output
from denet_tui.system import files

Content = str | bytes | OSError | int
"""Text, raw bytes, an error to raise when it is read, or the errno of one."""

NOTHING, EVERYTHING = "0" * 16, "000001ffffffffff"
"""No capability and all of them, as /proc/self/status has them."""


def no_such(path: str) -> OSError:
    return OSError(errno.ENOENT, os.strerror(errno.ENOENT), path)


class FakeHost(Host):
    """Files by path (folders exist where a file is below them), commands by argv or program path, mounts, ids.

    `modes` maps a path to st_mode (permission bits alone are enough), `owners` to (uid, gid), `times` to st_mtime;
    `links` maps a symbolic link to its target, `magics` a path to the magic number of the filesystem on it and
    below, `attributes` a path to its security.capability attribute, `limits` a name as NOFILE to (soft, hard).
    `answers` maps a name of a Host method that does more than read to what it returns or raises.
    """

    def __init__(
        self,
        files: Mapping[str, Content] | None = None,
        *,
        folders: Sequence[str] = (),
        commands: Mapping[str | tuple[str, ...], Output | str] | None = None,
        mounts: Sequence[Mount] | None = None,
        magics: Mapping[str, int] | None = None,
        modes: Mapping[str, int] | None = None,
        owners: Mapping[str, tuple[int, int]] | None = None,
        times: Mapping[str, float] | None = None,
        links: Mapping[str, str] | None = None,
        attributes: Mapping[str, bytes] | None = None,
        limits: Mapping[str, tuple[float, float]] | None = None,
        answers: Mapping[str, Any] | None = None,
        uid: int = 0,
        release: str = "6.1.0-18-amd64",
        machine: str = "x86_64",
    ) -> None:
        self.files = dict(files or {})
        self.folders = set(folders)
        self.commands = dict(commands or {})
        self.fake_mounts = None if mounts is None else list(mounts)
        self.magics = dict(magics or {})
        self.modes = dict(modes or {})
        self.owners = dict(owners or {})
        self.times = dict(times or {})
        self.links = dict(links or {})
        self.attributes = dict(attributes or {})
        self.limits = dict(limits or {})
        self.answers = dict(answers or {})
        self.fake_uid, self.fake_release, self.fake_machine = uid, release, machine
        self.ran: list[tuple[str, ...]] = []
        """Every command that a check ran, in order."""
        self.looked: list[str] = []
        """Every path that a check read, listed or asked the stat of, in order."""

    def __getattribute__(self, name: str) -> Any:
        answers = object.__getattribute__(self, "__dict__").get("answers", {})
        if name not in answers:
            return object.__getattribute__(self, name)

        def answer(*arguments: Any, **named: Any) -> Any:
            value = answers[name]
            if isinstance(value, BaseException):
                raise value
            return value(*arguments, **named) if isinstance(value, Callable) else value

        return answer

    def read_bytes(self, path: str) -> bytes:
        self.looked.append(path)
        content = self.files.get(self._follow(path))
        if isinstance(content, OSError):
            raise content
        if isinstance(content, int):
            raise OSError(content, os.strerror(content), path)
        if content is None:
            if self._is_folder(self._follow(path)):
                raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), path)
            raise no_such(path)
        return (content.encode() if isinstance(content, str) else content)[:LIMIT]

    def read_of(self, uid: int, path: str) -> bytes:
        files.check(self.lstat(path), path, uid)
        return self.read_bytes(path)

    def stat(self, path: str) -> os.stat_result:
        return self._stat(self._follow(path), path)

    def lstat(self, path: str) -> os.stat_result:
        if path in self.links:
            self.looked.append(path)
            return os.stat_result((stat.S_IFLNK | 0o777, 0, 0, 1, 0, 0, len(self.links[path]), 0, 0, 0))
        return self._stat(self._follow(path), path)

    def names(self, path: str) -> list[str]:
        self.looked.append(path)
        folder = self._follow(path)
        if not self._is_folder(folder):
            raise no_such(path) if folder not in self.files else OSError(errno.ENOTDIR, "Not a directory", path)
        below = [
            each for each in (*self.files, *self.folders, *self.links) if each.startswith(folder.rstrip("/") + "/")
        ]
        return sorted({each[len(folder.rstrip("/")) + 1 :].split("/")[0] for each in below})

    def access(self, path: str, mode: int) -> bool:
        try:
            found = self.stat(path)
        except OSError:
            return False
        if self.fake_uid == 0:
            return mode != os.X_OK or bool(found.st_mode & 0o111)
        bits = found.st_mode >> (6 if found.st_uid == self.fake_uid else 0) & 7
        wanted = (4 if mode & os.R_OK else 0) | (2 if mode & os.W_OK else 0) | (1 if mode & os.X_OK else 0)
        return bits & wanted == wanted

    def filesystem(self, path: str) -> int:
        fitting = [each for each in self.magics if path == each or path.startswith(each.rstrip("/") + "/")]
        if not fitting:
            raise no_such(path)
        return self.magics[max(fitting, key=len)]

    def run(self, argv: Sequence[str], seconds: float = 5.0) -> Output:
        self.ran.append(tuple(argv))
        found = self.commands.get(tuple(argv), self.commands.get(argv[0]))
        if found is None:
            return Output(127, "", f"{argv[0]}: No such file or directory")
        return Output(0, found, "") if isinstance(found, str) else found

    def mounts(self) -> list[Mount]:
        return super().mounts() if self.fake_mounts is None else list(self.fake_mounts)

    @property
    def release(self) -> str:
        return self.fake_release

    @property
    def machine(self) -> str:
        return self.fake_machine

    @property
    def uid(self) -> int:
        return self.fake_uid

    def namespace(self, kind: str) -> int:
        return {"user": 0xEFFFFFFD, "pid": 0xEFFFFFFC}[kind]

    def realpath(self, path: str) -> str:
        return self._follow(path)

    def capability_attribute(self, path: str) -> bytes:
        found = self.attributes.get(self._follow(path))
        if found is None:
            raise OSError(errno.ENODATA, os.strerror(errno.ENODATA), path)
        return found

    def search_path(self) -> list[str]:
        return ["/usr/sbin", "/usr/bin", "/usr/local/bin"]

    def interpreter(self) -> str:
        return "/usr/bin/python3"

    def asker(self) -> User:
        return User(self.fake_uid, self.fake_uid, "root" if self.fake_uid == 0 else "ann", "/")

    def limit(self, name: str) -> tuple[float, float]:
        return self.limits.get(name, (float("inf"), float("inf")))

    def probe_bpf(self) -> int:
        return errno.E2BIG

    def probe_perf(self) -> int:
        return errno.EINVAL

    def probe_perf_event(self) -> int:
        return 0

    def kernel_btf(self) -> bytes:
        content = self.files.get("/sys/kernel/btf/vmlinux")
        if isinstance(content, OSError):
            raise content
        if isinstance(content, int):
            raise OSError(content, os.strerror(content), "/sys/kernel/btf/vmlinux")
        if not isinstance(content, bytes):
            raise no_such("/sys/kernel/btf/vmlinux")
        return content

    def _follow(self, path: str) -> str:
        """The path with symbolic links resolved, its own and those of the folders above it."""
        for _ in range(40):
            for each in (path, *map(str, PurePosixPath(path).parents)):
                if each in self.links:
                    path = os.path.normpath(PurePosixPath(each).parent / self.links[each]) + path[len(each) :]
                    break
            else:
                return path
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)

    def _is_folder(self, path: str) -> bool:
        start = path.rstrip("/") + "/"
        return path in self.folders or any(each.startswith(start) for each in (*self.files, *self.folders, *self.links))

    def _stat(self, path: str, asked: str) -> os.stat_result:
        self.looked.append(asked)
        is_folder = path not in self.files
        if is_folder and not self._is_folder(path):
            raise no_such(asked)
        content = self.files.get(path, b"")
        size = len(content) if isinstance(content, str | bytes) else 0
        mode = self.modes.get(path, 0o755 if is_folder else 0o644)
        kind = 0 if stat.S_IFMT(mode) else stat.S_IFDIR if is_folder else stat.S_IFREG
        uid, gid = self.owners.get(path, (0, 0))
        time = self.times.get(path, 0)
        return os.stat_result((mode | kind, abs(hash(path)) % (1 << 32), 1, 1, uid, gid, size, time, time, time))


def status(effective: str = NOTHING, bounding: str = EVERYTHING, nnp: int = 0, seccomp: int = 0, **more: str) -> str:
    """The text of /proc/self/status."""
    fields = {
        "CapEff": effective,
        "CapBnd": bounding,
        "NoNewPrivs": nnp,
        "Seccomp": seccomp,
        "Uid": "0\t0\t0\t0",
        "Gid": "7\t7\t7\t7",
    }
    return "".join(f"{name}:\t{value}\n" for name, value in (fields | more).items())


def machine(text: str, **options: object) -> FakeHost:
    """A process in the first user namespace, with that status."""
    files = {"/proc/self/status": text, "/proc/self/uid_map": "0 0 4294967295", "/proc/sys/kernel/cap_last_cap": "40\n"}
    files |= options.pop("files", {})  # type: ignore[arg-type]
    return FakeHost(files, **options)  # type: ignore[arg-type]
