"""Struct offsets from /sys/kernel/btf/vmlinux (format: Documentation/bpf/btf.rst of the kernel)."""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import count, islice
from pathlib import Path

VMLINUX = Path("/sys/kernel/btf/vmlinux")

_MAGIC = 0xEB9F
_HEADER = struct.Struct("<HBBIIIII")
_TYPE = struct.Struct("<III")
_MEMBER = struct.Struct("<III")
_STRUCT, _UNION, FUNCTION = 4, 5, 12
_EXTRA = {1: 4, 3: 12, 14: 4, 17: 4}
"""Bytes after a type: INT, ARRAY, VAR, DECL_TAG."""
_EXTRA_EACH = {4: 12, 5: 12, 6: 8, 13: 8, 15: 12, 19: 12}
"""Bytes for each of its vlen entries: STRUCT, UNION, ENUM, FUNC_PROTO, DATASEC, ENUM64."""


class BtfError(Exception):
    """The BTF of this kernel is missing or cannot be read."""


class Btf:
    """The structs of one BTF blob by name; raises BtfError where it is not BTF."""

    def __init__(self, data: bytes) -> None:
        try:
            magic, _, _, header_length, type_offset, type_length, string_offset, string_length = _HEADER.unpack_from(
                data
            )
            if magic != _MAGIC:
                raise BtfError("not a BTF file of this machine's byte order")
            strings = header_length + string_offset
            self._strings = data[strings : strings + string_length]
            self._types = data[header_length + type_offset : header_length + type_offset + type_length]
            self._starts: list[int] = []
            self._walking = self._walk()
        except struct.error as error:
            raise BtfError(f"damaged BTF: {error}") from error

    @classmethod
    def of_kernel(cls, path: Path = VMLINUX) -> Btf:
        """The BTF of the running kernel; raises BtfError where the kernel has none."""
        try:
            return cls(path.read_bytes())
        except OSError as error:
            raise BtfError(f"{path}: {error.strerror}") from error

    def offsets(self, wanted: Iterable[str]) -> dict[str, int]:
        """Byte offsets of members given as `struct.member[.member…]`, the size in bytes of a struct given alone.

        What does not exist is left out. Raises BtfError where the BTF contradicts itself.
        """
        names = list(wanted)
        found: dict[str, int] = {}
        try:
            structs = self._find({name.partition(".")[0] for name in names})
            for name in names:
                type_name, *path = name.split(".")
                position = structs.get(type_name)
                offset = self._offset(position, path) if path else self._size(position)
                if offset is not None:
                    found[name] = offset
        except (struct.error, IndexError, ValueError, RecursionError) as error:
            raise BtfError(f"damaged BTF: {error}") from error
        return found

    def numbers(self, names: Iterable[str], kind: int = _STRUCT) -> dict[str, int]:
        """By what the kernel knows structs, or others of a kind; what does not exist is left out.

        Raises BtfError where the BTF is damaged.
        """
        try:
            return {name: bisect_left(self._starts, at) + 1 for name, at in self._find(set(names), kind).items()}
        except struct.error as error:
            raise BtfError(f"damaged BTF: {error}") from error

    def _start(self, index: int) -> int:
        """Position of a type; raises IndexError where there are not so many.

        None is walked before it is asked for: there are 130,000, and what is wanted is among the first thousand.
        """
        self._starts += islice(self._walking, max(index + 1 - len(self._starts), 0))
        return self._starts[index]

    def _walk(self) -> Iterator[int]:
        types, position, end = self._types, 0, len(self._types)
        unpack, extra, each = _TYPE.unpack_from, _EXTRA, _EXTRA_EACH
        while position < end:
            yield position
            info = unpack(types, position)[1]
            kind = info >> 24 & 0x1F
            position += 12 + extra.get(kind, 0) + each.get(kind, 0) * (info & 0xFFFF)

    def _name(self, offset: int) -> bytes:
        return self._strings[offset : self._strings.index(b"\0", offset)]

    def _find(self, names: set[str], kind: int = _STRUCT) -> dict[str, int]:
        """Positions of the structs with these names (the first definition of each that has members), or of others."""
        offsets = {}
        for name in names:
            at = self._strings.find(b"\0" + name.encode() + b"\0")
            if at >= 0:
                offsets[at + 1] = name
        found: dict[str, int] = {}
        with suppress(IndexError):  # all are walked
            for index in count():
                if len(found) == len(offsets):
                    break
                position = self._start(index)
                name_offset, info, _ = _TYPE.unpack_from(self._types, position)
                if name_offset in offsets and info >> 24 & 0x1F == kind and (info & 0xFFFF or kind != _STRUCT):
                    found.setdefault(offsets[name_offset], position)
        return found

    def _size(self, position: int | None) -> int | None:
        return None if position is None else _TYPE.unpack_from(self._types, position)[2]

    def _offset(self, position: int | None, path: list[str]) -> int | None:
        if position is None:
            return None
        if not path:
            return 0
        for name, type_id, bits in self._members(position):
            if name == path[0].encode():
                rest = self._offset(self._start(type_id - 1), path[1:])
            elif not name and self._is_composite(type_id):
                rest = self._offset(self._start(type_id - 1), path)
            else:
                continue
            if rest is not None:
                return bits // 8 + rest
        return None

    def _members(self, position: int) -> Iterator[tuple[bytes, int, int]]:
        info = _TYPE.unpack_from(self._types, position)[1]
        has_bitfields = info >> 31
        for index in range(info & 0xFFFF):
            name, type_id, offset = _MEMBER.unpack_from(self._types, position + 12 + 12 * index)
            yield self._name(name), type_id, offset & 0xFFFFFF if has_bitfields else offset

    def _is_composite(self, type_id: int) -> bool:
        kind = _TYPE.unpack_from(self._types, self._start(type_id - 1))[1] >> 24 & 0x1F
        return kind in (_STRUCT, _UNION)
