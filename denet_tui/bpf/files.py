"""What the calls of an interval were about, read out of the maps of file_maps.c, with the names of files and peers."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import stat
import struct
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from denet_tui.bpf import names, rows
from denet_tui.bpf.maps import Map
from denet_tui.model import ABI_NATIVE
from denet_tui.syscalls import syscall
from denet_tui.touched import UNTOLD, FailedPath, File, SlowCall, Use

_TGID = (1 << 22) - 1
_ROW_KEY, _ROW = struct.Struct("<I4x16s"), struct.Struct("<8Q")
_NAME = struct.Struct("<II6HBBHII16s16s1280s")
_FAILED = struct.Struct("<I2h2HI16s232s")
_OF_TWO = 116
"""Bytes of each of two paths."""
_ROOT = 2
"""Of struct failed_path: the folder is the root that paths with a slash begin at."""
_SLOW = struct.Struct("<QQIi16s104s")
_SLOW_HEAD = 8
_TURNED_AWAY = ("files", "names", "paths", "slow calls", "calls on files", *UNTOLD)
"""In the order of enum turned_away."""
_NAMES = 100_000
"""That are remembered; the kernel side tells each once."""
_UNKNOWN = File("file", None)
_MIDDLE = bytes(range(0x80, 0xC0))
"""With what a character of UTF-8 goes on."""
_UNIX, _INET, _INET6 = 1, 2, 10
_FAMILIES = {int(each): each.name.removeprefix("AF_").lower() for each in socket.AddressFamily}
_DATAGRAM = 2
_PROTOCOLS = {6: "tcp", 17: "udp", 1: "icmp", 132: "sctp", 262: "mptcp"}
_TERMINALS = {4, 5, *range(136, 144)}
"""Majors (Documentation/admin-guide/devices.txt of the kernel)."""
_CONNECTING = ("connect", "bind")
_QUEUES = ("mq_open", "mq_unlink")
"""What they name is in no folder; the kernel gets the name without its slash (man 7 mq_overview)."""
_ADDRESS = 128
_NUMBERED = {0x6E736673: "namespace", 0x50494446: "pidfd"}
"""By magic number: file systems whose files have no names (NSFS_MAGIC, PID_FS_MAGIC of include/uapi/linux/magic.h)."""
_ANONYMOUS = {"[eventpoll]": "epoll"}
"""Kinds of anonymous inodes that are called otherwise than their names say."""


class _Name(NamedTuple):
    """Of struct file_name what is used."""

    magic: int
    rdev: int
    mode: int
    family: int
    type: int
    protocol: int
    local_port: int
    remote_port: int
    complete: int
    deleted: int
    again: int
    length: int
    of_peer: int
    local: bytes
    remote: bytes
    text: bytes


class About(NamedTuple):
    """What the calls between two readings were about; `turned_away` is what found no room in them."""

    used: list[tuple[int, File, Use]]
    """By tgid."""
    failed: list[tuple[FailedPath, int]]
    slow: list[SlowCall]
    """With the tgid in the place of the pid; more than the slowest."""
    turned_away: Mapping[str, int]


class FileTables:
    """The maps of kernel/file_maps.c. Methods raise OSError where the kernel refuses."""

    def __init__(self, tables: Mapping[str, Map]) -> None:
        self._tables = tables
        self._names: dict[bytes, File] = {}
        self._counted: dict[str, int] = {}

    def read(self, side: int) -> About:
        """All of the side at rest, which is emptied."""
        self._take_names()
        return About(
            list(self._used(side)),
            list(self._failed(side)),
            list(self._slowest(side)),
            self._turned_away(),
        )

    def name_of(self, identity: bytes) -> str | None:
        """What a file is called; None if that is not known, or there is none."""
        return self._names.get(identity, _UNKNOWN).path if any(identity[8:12]) else None

    def _take_names(self) -> None:
        table = self._tables["file_names"]
        for keys, values in table.read():
            for (identity,), name in zip(struct.iter_unpack("16s", keys), _NAME.iter_unpack(values), strict=True):
                if len(self._names) < _NAMES or identity in self._names:
                    self._names[identity] = _file(identity, _Name(*name))
            table.delete_many(keys)

    def _used(self, side: int) -> Iterator[tuple[int, File, Use]]:
        for keys, values in rows.take(self._tables["files"], side):
            for (where, identity), row in zip(_ROW_KEY.iter_unpack(keys), _ROW.iter_unpack(values), strict=True):
                yield where & _TGID, self._names.get(identity, _UNKNOWN), Use(*row)

    def _failed(self, side: int) -> Iterator[tuple[FailedPath, int]]:
        for keys, values in rows.take(self._tables["failed_paths"], side):
            for key, (count,) in zip(_FAILED.iter_unpack(keys), struct.iter_unpack("<Q", values), strict=True):
                _, length, other, nr, number, apart, folder, text = key
                name = syscall(ABI_NATIVE, nr).name
                if name in _CONNECTING:
                    path = address(text[:length]) if length >= 0 else None
                elif name in _QUEUES:
                    path = f"/{cut_text(text, length)}" if length >= 0 else None
                elif other:
                    first = self._path(text[:_OF_TWO], length, folder, number, apart & _ROOT)
                    second = self._path(text[_OF_TWO:], other, folder, number, apart)
                    path = f"{first or '?'} → {second or '?'}"
                else:
                    path = self._path(text, length, folder, number, apart)
                yield FailedPath(name, number, path), count

    def _path(self, text: bytes, length: int, folder: bytes, number: int, apart: int) -> str | None:
        """As it was given, below the folder where it begins there (or at another, or at the process's own root).

        None if it could not be read. An empty one is that folder with AT_EMPTY_PATH, and without it none (ENOENT).
        """
        if length < 0:
            return None
        if length > len(text):  # the end of one that is longer
            return f"…{names.text(text.lstrip(_MIDDLE), len(text))[0]}"
        path = cut_text(text, length)
        if not path and number == errno.ENOENT:
            return '""'
        if path.startswith("/"):
            root = self._names.get(folder, _UNKNOWN).path if apart == _ROOT else None
            return f"{root.rstrip('/')}{path}" if root else path
        below = "…" if apart else self._names.get(folder, _UNKNOWN).path
        return (f"{below.rstrip('/')}/{path}" if path else below) if below else path

    def _slowest(self, side: int) -> Iterator[SlowCall]:
        for keys, values in rows.take(self._tables["slow_calls"], side):
            stride = self._tables["slow_calls"].stride
            for at, (_, nr) in enumerate(struct.iter_unpack("<Ii", keys)):
                packed = values[at * stride + _SLOW_HEAD : (at + 1) * stride]
                for time_ns, at_ns, tgid, length, identity, text in _SLOW.iter_unpack(packed):
                    if time_ns:
                        about = cut_text(text, length) if length > 0 else self.name_of(identity)
                        yield SlowCall(syscall(ABI_NATIVE, nr).name, tgid, time_ns, at_ns, about)

    def _turned_away(self) -> dict[str, int]:
        table = self._tables["turned_away"]
        counts = struct.unpack(f"<{len(_TURNED_AWAY) * table.stride // 8}Q", table.lookup_span(0, len(_TURNED_AWAY)))
        each = len(counts) // len(_TURNED_AWAY)
        now = {name: sum(counts[at * each : (at + 1) * each]) for at, name in enumerate(_TURNED_AWAY)}
        grown = {name: count - self._counted.get(name, 0) for name, count in now.items()}
        self._counted = now
        return {name: count for name, count in grown.items() if count}


def begin_anew(bars: Map) -> None:
    """Forget how long the slowest calls of the run before took (slow_bars); raises OSError."""
    for index in range(bars.max_entries):
        bars.update(struct.pack("<I", index), bytes(8))


def _file(identity: bytes, name: _Name) -> File:
    inode = int.from_bytes(identity[:8], "little")
    pieces = [os.fsdecode(piece) for piece in name.text[: name.length].split(b"\0")[:-1]]
    if stat.S_ISSOCK(name.mode) and name.family:
        return _socket(name, inode)
    kind = _kind_of(name)
    if name.complete == names.IN_NO_FOLDER:
        called = pieces[0] if pieces else ""
        if kind == "pipe":
            return File(kind, f"pipe:[{inode}]")
        if called.startswith("memfd:"):
            return File("memfd", f"/{called}")
        if numbered := _NUMBERED.get(name.magic):
            return File(numbered, f"{numbered}:[{inode}]")
        return File(_ANONYMOUS.get(called, called.strip("[]") or kind), f"anon_inode:{called}")
    below = "/".join(reversed(pieces))
    path = f"/{below}" if name.complete else f"…/{below} [{inode}]"  # there may be another with the same end
    return File(kind, f"{path} (deleted)" if name.deleted else path)


def _kind_of(name: _Name) -> str:
    if stat.S_ISCHR(name.mode):
        return "terminal" if name.rdev >> 20 in _TERMINALS else "device"
    kinds = {stat.S_IFDIR: "directory", stat.S_IFIFO: "pipe", stat.S_IFBLK: "device", stat.S_IFSOCK: "socket"}
    return kinds.get(stat.S_IFMT(name.mode), "file")


def _socket(name: _Name, inode: int) -> File:
    if name.family == _UNIX:
        own, peer = address(name.text[: name.length]), address(name.text[_ADDRESS : _ADDRESS + name.of_peer])
    else:
        own, peer = _end(name.family, name.local, name.local_port), ""
        if name.remote_port:
            own, peer = own if name.local_port else "", _end(name.family, name.remote, name.remote_port)
    peer += " (others before)" if name.again else ""
    return socket_called(name.family, name.type, name.protocol, own, peer, inode)


def socket_called(family: int, type_: int, protocol: int, own: str, peer: str, inode: int) -> File:
    """A socket, by its addresses as `address` tells them."""
    if family == _UNIX:
        if own and peer and type_ == _DATAGRAM:
            return File("unix", f"{own} → {peer.removeprefix('unix ')}")
        return File("unix", own or peer or f"unix [{inode}]")
    if family not in (_INET, _INET6):
        return File("socket", f"{_family(family)} [{inode}]")
    kind = _PROTOCOLS.get(protocol, f"protocol {protocol}")
    return File(kind, " ".join(filter(None, (kind, own, peer and f"→ {peer}"))))


def address(packed: bytes) -> str:
    """A socket address (man 7 unix, ip, ipv6), empty where it is none."""
    if len(packed) <= 2:
        return ""
    (family,) = struct.unpack_from("=H", packed)
    if family == _UNIX:
        name = packed[2:]
        text = f"@{os.fsdecode(name[1:])}" if name[0] == 0 else os.fsdecode(name.partition(b"\0")[0])
        return f"unix {text}"
    place = {_INET: 4, _INET6: 8}.get(family)
    if place is None or len(packed) < (16 if family == _INET else 24):
        return _family(family)
    return _end(family, packed[place:], struct.unpack_from(">H", packed, 2)[0])


def _end(family: int, address: bytes, port: int) -> str:
    if family == _INET:
        return f"{ipaddress.IPv4Address(address[:4])}:{port}"
    if family != _INET6:
        return ""
    whole = ipaddress.IPv6Address(address[:16])
    return f"{whole.ipv4_mapped}:{port}" if whole.ipv4_mapped else f"[{whole}]:{port}"


def _family(number: int) -> str:
    """`netlink`, as the socket module has it; `socket family 99` for one without a name there."""
    return _FAMILIES.get(number, f"socket family {number}")


def cut_text(text: bytes, length: int) -> str:
    """A path, and an ellipsis where there was no room for all of it."""
    path, cut = names.text(text, length)
    return f"{path}…" if cut else path
