"""bpf(2) and perf_event_open(2) through ctypes, and maps read in few calls; no libbcc (man 2 bpf)."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from operator import sub
from pathlib import Path

from denet_tui.system import uname

LOOKUP, UPDATE, DELETE, NEXT_KEY, RAW_TRACEPOINT_OPEN = 1, 2, 3, 4, 17
OBJECT_INFO, FREEZE, LOOKUP_BATCH, DELETE_BATCH = 15, 22, 24, 27
ANY, NOEXIST = 0, 1

ARRAY, PERCPU_HASH, PERCPU_ARRAY = 2, 5, 6
_NO_BATCHES = (errno.EINVAL, errno.ENOTSUP, 524)  # 524: the kernel's own ENOTSUPP
_GAP = 32
"""So many entries of an array are read in vain sooner than another system call is made."""

_MANY = 64
"""From so many keys of a hash on, all of it is read."""

_GENERIC = {"bpf": 280, "perf_event_open": 241, "seccomp": 277, "prctl": 167}
_NUMBERS = {
    "x86_64": {"bpf": 321, "perf_event_open": 298, "seccomp": 317, "prctl": 157},
    "aarch64": _GENERIC,
    "riscv64": _GENERIC,
    "ppc64le": {"bpf": 361, "perf_event_open": 319, "seccomp": 358, "prctl": 171},
    "s390x": {"bpf": 351, "perf_event_open": 331, "seccomp": 348, "prctl": 172},
}
_libc = ctypes.CDLL(None, use_errno=True)


def number_of(name: str) -> int:
    """The number of a system call on this machine; raises OSError where it is not known."""
    try:
        return _NUMBERS[uname.machine()][name]
    except KeyError:
        raise OSError(errno.ENOSYS, f"{name} is not known on {uname.machine()}") from None


def system_call(name: str, *arguments: int) -> int:
    """Make the system call with integer arguments and return its result; raises OSError."""
    result = _libc.syscall(ctypes.c_long(number_of(name)), *map(ctypes.c_long, arguments))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int(result)


def bpf(command: int, attributes: bytes | ctypes.Array[ctypes.c_char]) -> int:
    """Make the system call bpf with a packed union bpf_attr; what the kernel writes back stays in a ctypes buffer."""
    buffer = ctypes.create_string_buffer(attributes, len(attributes)) if isinstance(attributes, bytes) else attributes
    return system_call("bpf", command, ctypes.addressof(buffer), len(buffer))


def raw_tracepoint_open(name: str, program: int) -> int:
    """Attach a loaded program to a raw tracepoint; the returned descriptor is the attachment."""
    text = ctypes.create_string_buffer(name.encode())
    return bpf(RAW_TRACEPOINT_OPEN, struct.pack("<QII", ctypes.addressof(text), program, 0))


def shape_of(descriptor: int) -> tuple[int, int, int, int, int]:
    """Type, key size, value size, entries and flags of a map (struct bpf_map_info); raises OSError."""
    buffer = ctypes.create_string_buffer(80)
    bpf(OBJECT_INFO, struct.pack("<IIQ", descriptor, len(buffer), ctypes.addressof(buffer)))
    kind, _, key_size, value_size, entries, flags = struct.unpack_from("<6I", buffer)
    return kind, key_size, value_size, entries, flags


def freeze(descriptor: int) -> None:
    """From now on programs alone write to a map, by whatever descriptor one has it (Linux 5.2); raises OSError."""
    bpf(FREEZE, struct.pack("<I", descriptor))


def kernel_version(release: str = "") -> tuple[int, ...]:
    """The first two numbers of a kernel's release, by default of the running one's."""
    return tuple(int(number) for number in re.findall(r"\d+", release or uname.release())[:2])


def possible_cpus(path: Path = Path("/sys/devices/system/cpu/possible")) -> int:
    """Number of values that a per-CPU map holds for each key; raises OSError where /sys is hidden.

    There is no guess instead: the kernel writes that many values, whatever room there is for them.
    """
    return int(path.read_text().strip().replace(",", "-").rpartition("-")[2]) + 1


class Map:
    """An open map descriptor; keys and values are bytes. Every method may raise OSError."""

    CHUNK = 2048
    """Rows asked for in one batch call; far above what one hash bucket holds, or the kernel says ENOSPC."""
    ROOM, LEAST = 512 << 10, 64
    """Fewer rows where they are so large that CHUNK of them would take more bytes than this."""

    def __init__(self, descriptor: int) -> None:
        self.fd = descriptor
        self.type, self.key_size, self.value_size, self.max_entries, _ = shape_of(descriptor)
        self.stride = self.value_size
        """Bytes of one value in a batch: of a per-CPU map all its CPUs', each rounded up to 8."""
        if self.type in (PERCPU_ARRAY, PERCPU_HASH):
            self.stride = (self.value_size + 7 & ~7) * possible_cpus()
        self.batches = True
        self._cursor = ctypes.create_string_buffer(max(8, self.key_size))
        fitting = max(self.LEAST, self.ROOM // (self.key_size + self.stride))
        self._allocate(min(self.CHUNK, self.max_entries, fitting))

    def _allocate(self, rows: int) -> None:
        self._rows = rows
        self._keys = ctypes.create_string_buffer(rows * self.key_size)
        self._values = ctypes.create_string_buffer(rows * self.stride)

    def lookup(self, key: bytes) -> bytes | None:
        """The value of a key, or None."""
        return next(self._lookup_each(key))

    def lookup_many(self, keys: bytes) -> Iterator[bytes | None]:
        """The value of each of these packed keys, or None; of many keys in few system calls."""
        if self.type == ARRAY:
            return iter(self._lookup_runs(keys))
        if len(keys) < _MANY * self.key_size:
            return self._lookup_each(keys)
        form = f"{self.key_size}s", f"{self.stride}s"
        found = dict[bytes, bytes]()
        for some, values in self.read():
            found.update(zip(*(_split(*each) for each in zip(form, (some, values), strict=True)), strict=True))
        return map(found.get, _split(form[0], keys))

    def lookup_span(self, first: int, count: int) -> bytes:
        """The packed values of `count` entries of an array from the index `first` on."""
        at, end, found = first, first + count, b""
        while self.batches and at < end:
            before = ctypes.create_string_buffer(struct.pack("<I", at - 1), 4) if at else None
            attributes = self._batch(before, self._cursor, self._keys, self._values, min(end - at, self._rows))
            try:
                bpf(LOOKUP_BATCH, attributes)
            except OSError as error:
                if error.errno in _NO_BATCHES:
                    self.batches = False
                    break
                if error.errno != errno.ENOENT:
                    raise
                end = at + _count(attributes)  # that of the array
            found += ctypes.string_at(self._values, _count(attributes) * self.stride)
            at += _count(attributes)
        return found + b"".join(
            each or b"" for each in self._lookup_each(struct.pack(f"<{end - at}I", *range(at, end)))
        )

    @contextmanager
    def mapped(self, first: int, count: int) -> Iterator[memoryview]:
        """The packed values of `count` entries of an array that can be mapped (BPF_F_MMAPABLE), from `first` on."""
        start, end = first * self.value_size, (first + count) * self.value_size
        offset = start - start % mmap.ALLOCATIONGRANULARITY
        # Not for good: what is mapped counts as this process's memory.
        with (
            mmap.mmap(self.fd, end - offset, mmap.MAP_SHARED, mmap.PROT_READ, offset=offset) as pages,
            memoryview(pages) as whole,
            whole[start - offset :] as values,
        ):
            yield values

    def _lookup_runs(self, keys: bytes) -> list[bytes | None]:
        """Those of an array; indexes that lie close together in one system call."""
        indexes, found, form = struct.unpack(f"<{len(keys) // 4}I", keys), dict[int, bytes](), f"{self.stride}s"
        order = sorted(indexes)
        gaps = [at for at, gap in enumerate(map(sub, order[1:], order), 1) if gap > _GAP]
        for begin, end in pairwise([0, *gaps, len(order)] if order else ()):
            first, last = order[begin], order[end - 1]
            values = self.lookup_span(first, last - first + 1)
            found.update(zip(range(first, last + 1), _split(form, values), strict=False))
        return [found.get(index) for index in indexes]

    def _lookup_each(self, keys: bytes) -> Iterator[bytes | None]:
        size = self.key_size
        key, value = ctypes.create_string_buffer(size), ctypes.create_string_buffer(self.stride)
        packed = struct.pack("<IIQQQ", self.fd, 0, ctypes.addressof(key), ctypes.addressof(value), ANY)
        attributes = ctypes.create_string_buffer(packed, len(packed))
        for start in range(0, len(keys), size):
            key.raw = keys[start : start + size]
            try:
                bpf(LOOKUP, attributes)
            except OSError as error:
                if error.errno != errno.ENOENT:
                    raise
                yield None
            else:
                yield value.raw

    def update(self, key: bytes, value: bytes, flags: int = ANY) -> bool:
        """Set a value; False if NOEXIST was asked for and the key was there."""
        return self._element(UPDATE, key, ctypes.create_string_buffer(value, len(value)), flags)

    def delete(self, key: bytes) -> bool:
        """Delete a key; False if it was not there."""
        return self._element(DELETE, key, None)

    def read(self) -> Iterator[tuple[bytes, bytes]]:
        """The whole map in chunks of (keys, values), each the packed rows of a chunk.

        Every row that exists throughout is in exactly one chunk. Uses batch calls (Linux 5.6; for
        per-CPU arrays 5.13), one call a row on older kernels.
        """
        if self.batches:
            try:
                yield from self._read_batches()
                return
            except OSError as error:
                if error.errno not in _NO_BATCHES:
                    raise
                self.batches = False
        yield from self._read_rows()

    def delete_many(self, keys: bytes) -> None:
        """Delete all these packed keys; those that are not there are passed over."""
        position, size = 0, self.key_size
        while self.batches and position < len(keys):
            rest = ctypes.create_string_buffer(keys[position:], len(keys) - position)
            attributes = self._batch(None, None, rest, None, len(rest) // size)
            try:
                bpf(DELETE_BATCH, attributes)
                return
            except OSError as error:
                if error.errno in _NO_BATCHES:
                    break
                if error.errno != errno.ENOENT:
                    raise
                position += (_count(attributes) + 1) * size
        for start in range(position, len(keys), size):
            self.delete(keys[start : start + size])

    def _element(self, command: int, key: bytes, value: ctypes.Array[ctypes.c_char] | None, flags: int = 0) -> bool:
        packed = ctypes.create_string_buffer(key, len(key))
        address = ctypes.addressof(value) if value is not None else 0
        try:
            bpf(command, struct.pack("<IIQQQ", self.fd, 0, ctypes.addressof(packed), address, flags))
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EEXIST):
                return False
            raise
        return True

    def _batch(
        self,
        start: ctypes.Array[ctypes.c_char] | None,
        out: ctypes.Array[ctypes.c_char] | None,
        keys: ctypes.Array[ctypes.c_char],
        values: ctypes.Array[ctypes.c_char] | None,
        count: int,
    ) -> ctypes.Array[ctypes.c_char]:
        addresses = (ctypes.addressof(buffer) if buffer is not None else 0 for buffer in (start, out, keys, values))
        return ctypes.create_string_buffer(struct.pack("<4Q2I2Q", *addresses, count, self.fd, 0, 0), 56)

    def _read_batches(self) -> Iterator[tuple[bytes, bytes]]:
        start = None
        while True:
            attributes = self._batch(start, self._cursor, self._keys, self._values, self._rows)
            try:
                bpf(LOOKUP_BATCH, attributes)
                last = False
            except OSError as error:
                if error.errno == errno.ENOSPC and not _count(attributes):  # a bucket longer than the buffer
                    self._allocate(self._rows * 2)
                    continue
                if error.errno != errno.ENOENT:
                    raise
                last = True
            count = _count(attributes)
            if count:
                keys, values = count * self.key_size, count * self.stride
                yield ctypes.string_at(self._keys, keys), ctypes.string_at(self._values, values)
            if last:
                return
            start = self._cursor

    def _read_rows(self) -> Iterator[tuple[bytes, bytes]]:
        """One row at a time; a row deleted under way sends the kernel back to the start, so rows are kept by key."""
        key: bytes | None = None
        seen: dict[bytes, bytes] = {}
        for _ in range(2 * self.max_entries):
            if (key := self._next(key)) is None:
                break
            value = self.lookup(key)
            if value is not None:
                seen[key] = value
        if seen:
            yield b"".join(seen), b"".join(seen.values())

    def _next(self, key: bytes | None) -> bytes | None:
        following = ctypes.create_string_buffer(self.key_size)
        current = ctypes.create_string_buffer(key, len(key)) if key is not None else None
        address = ctypes.addressof(current) if current is not None else 0
        try:
            bpf(NEXT_KEY, struct.pack("<IIQQ", self.fd, 0, address, ctypes.addressof(following)))
        except OSError as error:
            if error.errno == errno.ENOENT:
                return None
            raise
        return following.raw


def _split(form: str, packed: bytes) -> Iterator[bytes]:
    return (each for (each,) in struct.iter_unpack(form, packed))


def _count(attributes: ctypes.Array[ctypes.c_char]) -> int:
    return int(struct.unpack_from("<I", attributes, 32)[0])
