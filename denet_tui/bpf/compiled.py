"""What bcc compiled, kept by root between two starts and loaded by bpf(2) alone: bcc and LLVM take most of a start.

A file is used where it says that it is for this kernel, this source, these settings and these files of bcc and LLVM,
and where nobody but root could have written it. The kernel verifies what comes from it as it verifies anything else.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import json
import os
import re
import resource
import stat
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

from denet_tui.bpf import btf, maps, programs
from denet_tui.bpf.failure import LoadError
from denet_tui.bpf.tracepoints import EVENTS

FOLDER = Path("/var/cache/denet-tui")
"""Root's alone (0700). Without it, and for a loader that is not root, everything is compiled anew."""
_MOST = 64
"""Files that are kept; the longest unused go first. Each is some 60 KB."""
_LARGEST = 1 << 20
"""Bytes of a file that is read."""
_HERE = Path(__file__).parent
_NOTES, _BUILD_ID = Path("/sys/kernel/notes"), b"\3\0\0\0GNU\0"
"""Of the running kernel: ELF notes, and how that of its build (NT_GNU_BUILD_ID) begins after its sizes."""
ANY_UID = 0x6D656E65
"""Compiled in the place of the uid whose calls may be counted: one program is kept for all of them, and each load puts
its own there. It is nobody's, and no other number of the program's."""
_LOAD_MAP, _BY_DESCRIPTOR = 0x18, 1
"""Of an instruction that loads a map's address (BPF_LD_IMM64, BPF_PSEUDO_MAP_FD)."""
IN_VAIN = (errno.EPERM, errno.ENOSYS, errno.EMFILE)
"""Of bpf(2): a compiler would take its second, and the kernel give the same answer."""
_CALL, _OF_KERNEL, _HELPERS = 0x85, 2, 1000
"""Of an instruction that calls a helper, or a function of the kernel (BPF_PSEUDO_KFUNC_CALL), which has a larger number
than there are helpers."""
_WITHIN = {"grace": "epoch"}
"""Maps of maps, and which map says what fits into them (kernel/maps.c)."""


class _UnusableError(Exception):
    """What is kept cannot be used; the text says why."""


class Loaded(NamedTuple):
    """Descriptors of maps by name and of programs by event, notes for the user, what to do once they are passed on."""

    maps: dict[str, int]
    programs: dict[str, int]
    notes: list[str]
    after: Callable[[], None]


class ProgramCache:
    """Where the program is kept that was compiled with these settings, for this kernel, from this source."""

    def __init__(self, *settings: object) -> None:
        self._settings = settings

    @cached_property
    def _key(self) -> str:
        return hashlib.sha256(repr((os.uname()[2:], self._settings, sources())).encode()).hexdigest()

    @property
    def file(self) -> Path:
        """Where it is kept."""
        return FOLDER / self._key

    def load(
        self,
        kind: int,
        names: Iterable[str],
        events: Iterable[str] = tuple(EVENTS),
        optional: Iterable[str] = (),
        uid: int | None = None,
    ) -> Loaded | None:
        """What is kept here, loaded as programs of that kind; None if it has to be compiled, and why is printed.

        `names` are the maps that are to be there, `optional` those that may be, `events` what it has a program for, and
        `uid` goes to where ANY_UID was compiled. Raises LoadError where the kernel refuses what libbcc would ask of it.
        """
        tables: dict[str, int] = {}
        loaded: dict[str, int] = {}
        try:
            kept = self._read()
            if maps.kernel_version() < (5, 11):  # maps count as locked memory there, and libbcc lifts the limit, too
                with suppress(OSError, ValueError):
                    resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            _create_maps(kept["maps"], tables)

            def load_one(event: str) -> None:
                loaded[event] = _load(kind, event, tables, uid, **kept["programs"][event])

            side_by_side(load_one, events)
            wanted = {name: tables[name] for name in names} | {n: tables[n] for n in optional if n in tables}
            found = Loaded(wanted, loaded, list(kept["notes"]), lambda: None)
        except Exception as error:
            for descriptor in (*tables.values(), *loaded.values()):  # else there are two of each while it is compiled
                os.close(descriptor)
            if isinstance(error, OSError) and error.errno in IN_VAIN:
                raise LoadError("load", str(error), error.errno) from error
            print(f"compiled: {getattr(error, 'strerror', None) or error}")
            return None
        print(f"not compiled, taken from {self.file}")
        return found

    def keep(self, module: Any, tables: dict[str, int], loaded: Iterable[str], notes: list[str]) -> None:
        """Write down what a module of bcc has, for the next start; where that cannot be, nothing is kept."""
        if os.geteuid():
            return
        names = {descriptor: name for name, descriptor in tables.items()}
        kept: dict[str, Any] = {"notes": notes, "programs": {}}
        for event in loaded:
            code = code_of(module, event)
            uses = [(offset, names.setdefault(table, f"map_{table}")) for offset, table in map_uses(code)]
            kept["programs"][event] = {"code": base64.b64encode(code).decode(), "uses": uses, "uids": uids_in(code)}
        kept["maps"] = {name: maps.shape_of(table) for table, name in names.items()}
        with suppress(OSError, _UnusableError):
            self._write({"key": self._key, "compilers": {path: _signature(path) for path in _compilers()}, **kept})

    def _read(self) -> Any:
        if os.geteuid():
            raise _UnusableError("only root keeps what it compiled")
        try:
            _only_roots(self.file)
            status = self.file.lstat()
            if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST:
                raise _UnusableError(f"{self.file} is damaged")
            text = self.file.read_bytes()
        except OSError as error:
            raise _UnusableError(f"{self.file}: {error.strerror}") from error
        digest, _, body = text.partition(b"\n")
        if digest != _digest(body):
            raise _UnusableError(f"{self.file} is damaged")
        kept = json.loads(body)
        if kept["key"] != self._key or any(_signature(path) != was for path, was in kept["compilers"].items()):
            raise _UnusableError(f"{self.file} is of another kernel, bcc or LLVM")
        with suppress(OSError):  # read-only: then it cannot be cleared away, either
            os.utime(self.file)
        return kept

    def _write(self, kept: dict[str, Any]) -> None:
        body = json.dumps(kept).encode()
        FOLDER.mkdir(mode=0o700, exist_ok=True)
        _only_roots(FOLDER)
        for old in sorted(FOLDER.iterdir(), key=lambda path: path.lstat().st_mtime)[: -(_MOST - 1)]:
            with suppress(OSError):
                old.unlink()
        new = self.file.with_suffix(f".{os.getpid()}")
        try:
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(_digest(body) + b"\n" + body)
            new.replace(self.file)
        except OSError:
            new.unlink(missing_ok=True)
            raise


def load(module: Any, kind: int, event: str, uid: int | None) -> int:
    """Descriptor of a program that a module of bcc has compiled, for this uid; raises what bcc raises, or OSError."""
    name = f"on_{event}".encode()
    code, compiled = code_of(module, event), module.dump_func(name)
    plain = code == compiled
    if places := uids_in(code):
        code = of_uid(code, places, uid)
    try:
        return programs.load_program(kind, code, f"on_{event}")
    except OSError:
        if plain:  # libbcc prints what the verifier says, and lifts a limit before Linux 5.11
            loaded = int(module.load_func(name, kind).fd)
            if code == compiled:
                return loaded
        raise


def code_of(module: Any, event: str) -> bytes:
    """Its instructions; functions of the kernel, which bcc calls as it calls helpers, are told from these."""
    code = bytearray(module.dump_func(f"on_{event}".encode()))
    for at in range(0, len(code), 8):
        if code[at] == _CALL and struct.unpack_from("<i", code, at + 4)[0] > _HELPERS:
            code[at + 1] = _OF_KERNEL << 4
    return bytes(code)


def _create_maps(shapes: dict[str, list[int]], made: dict[str, int]) -> None:
    """Put descriptors of new maps into `made`, by name; raises OSError."""

    def create(name: str) -> None:
        made[name] = programs.create_map(shapes[name], name, made[_WITHIN[name]] if name in _WITHIN else 0)

    side_by_side(create, (name for name in shapes if name not in _WITHIN))  # those that are in others come first
    side_by_side(create, (name for name in shapes if name in _WITHIN))


def side_by_side(do: Callable[[str], None], names: Iterable[str]) -> None:
    """Do it for each, two at a time: bpf(2) takes nearly all of it, on two CPUs half as long; raises what `do` does."""
    left, errors = list(names)[::-1], list[Exception]()

    def work() -> None:
        with suppress(IndexError):  # the other one has taken the last
            while left:
                name = left.pop()
                try:
                    do(name)
                except Exception as error:  # noqa: BLE001 - raised below
                    errors.append(error)
                    left.clear()

    other = threading.Thread(target=work)
    with suppress(RuntimeError):  # there may be no second one
        other.start()
    work()
    if other.ident:
        other.join()
    if errors:
        raise errors[0]


def _load(
    kind: int,
    event: str,
    tables: dict[str, int],
    uid: int | None,
    *,
    code: str,
    uses: list[tuple[int, str]],
    uids: list[int],
) -> int:
    """Descriptor of a program whose instructions name these maps and this uid; raises OSError."""
    patched = bytearray(base64.b64decode(code))
    for offset, name in uses:
        struct.pack_into("<i", patched, offset + 4, tables[name])
    return programs.load_program(kind, of_uid(bytes(patched), uids, uid), f"on_{event}")


def compiled_for(uid: int | None) -> int | None:
    """What stands for a uid (None: everyone) where it is compiled: ANY_UID where it can be put in afterwards.

    It cannot where nothing is kept, for root (a comparison with 0 is compiled in other ways, too), and from 2^31 on.
    """
    return ANY_UID if uid is not None and 0 < uid < 1 << 31 and os.geteuid() == 0 else uid


def of_uid(code: bytes, places: Iterable[int], uid: int | None) -> bytes:
    """A program with that uid as the number of the instructions at these offsets; raises struct.error from 2^31 on."""
    patched = bytearray(code)
    for offset in places:
        struct.pack_into("<i", patched, offset + 4, uid)
    return bytes(patched)


def uids_in(code: bytes) -> list[int]:
    """Offsets of the instructions whose number is ANY_UID."""
    numbers = enumerate(struct.iter_unpack("<4xi", code))
    return [offset * 8 for offset, (number,) in numbers if number == ANY_UID]


def map_uses(code: bytes) -> Iterator[tuple[int, int]]:
    """(offset, descriptor) of each instruction that loads the address of a map."""
    for offset, (operation, registers, _, descriptor) in enumerate(struct.iter_unpack("<BBhi", code)):
        if operation == _LOAD_MAP and registers >> 4 == _BY_DESCRIPTOR:
            yield offset * 8, descriptor


@cache
def sources() -> list[tuple[str, str]]:
    """All that decides what is compiled, and is not in the settings: this kernel's build, and this program's files.

    Not where they lie: copies that are the same take what one of them has compiled.
    """
    own = sorted(path for pattern in ("*.py", "kernel/*.c", "include/**/*.h") for path in _HERE.glob(pattern))
    found = []
    for path in (_NOTES if _has_build_id() else btf.VMLINUX, *own):
        with suppress(OSError):  # a kernel without BTF
            found.append((str(path).removeprefix(str(_HERE)), hashlib.sha256(path.read_bytes()).hexdigest()))
    return found


def _has_build_id() -> bool:
    """Whether the kernel's notes tell builds apart; else its types do, and they are 5 MB to read."""
    try:
        return _BUILD_ID in _NOTES.read_bytes()
    except OSError:
        return False


def _compilers() -> set[str]:
    """The files of bcc, clang and LLVM that are in this process."""
    mapped = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    return set(re.findall(r"(/\S*lib(?:bcc|bpf|LLVM|clang)\S*)$", mapped, re.MULTILINE))


def _signature(path: str) -> list[int] | None:
    """What tells a file from another one that takes its place."""
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return [status.st_ino, status.st_size, status.st_mtime_ns]


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()


def _only_roots(path: Path) -> None:
    """Raises _UnusableError where another than root could have written there, OSError where there is nothing."""
    for each in (path, *path.parents):
        status = each.lstat()
        if status.st_uid or status.st_mode & 0o022 or stat.S_ISLNK(status.st_mode):
            raise _UnusableError(f"{each} is not root's alone")
