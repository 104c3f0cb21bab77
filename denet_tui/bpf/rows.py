"""What was counted between two readings, taken out of the maps: the rows of the side at rest (syscalls.c)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from denet_tui.bpf.maps import Map
from denet_tui.model import BUCKETS

KEY = struct.Struct("<Ii")
"""Tgid, side and ABI in the lower half, the number in the upper one (ROW_KEY of syscalls.c)."""
SIDE_BIT, ABI_BIT = 22, 23
"""In the lower half of a row key."""
TGID = (1 << SIDE_BIT) - 1
ROW = struct.Struct(f"<{8 * (5 + BUCKETS)}sQ")
_SIDES = bytes(byte >> SIDE_BIT % 8 & 1 for byte in range(256))
"""The side by the byte of a row key that has it."""
_HOT_HEAD = 16
"""Bytes before the row in an element of hot_rows."""
_CHUNK = 512
"""Rows that are taken at once: all of a tick would be megabytes."""


def take(table: Map, side: int) -> Iterator[tuple[bytes, bytes]]:
    """Packed (keys, values) of the rows on the side at rest, which are deleted."""
    for keys, values in table.read():
        step, stride = table.key_size, table.stride
        sides = keys[SIDE_BIT // 8 :: step].translate(_SIDES)
        if sides.count(side) < len(sides):
            wanted = [at for at, its_side in enumerate(sides) if its_side == side]
            keys = b"".join([keys[at * step : (at + 1) * step] for at in wanted])  # noqa: PLW2901
            values = b"".join([values[at * stride : (at + 1) * stride] for at in wanted])  # noqa: PLW2901
        table.delete_many(keys)
        yield keys, values


def take_hot(owners: Map, table: Map, side: int) -> Iterator[tuple[bytes, bytes]]:
    """The same of the rows that have the place that their key's hash names; others may have more of the same keys."""
    half = table.max_entries // 2
    owned = sorted(
        place
        for indexes, keys in owners.read()
        for place in zip(struct.unpack(f"<{len(indexes) // 4}I", indexes), _split(keys), strict=True)
        if place[0] // half == side
    )
    for start in range(0, len(owned), _CHUNK):
        chunk = owned[start : start + _CHUNK]
        places = struct.pack(f"<{len(chunk)}I", *[index for index, _ in chunk])
        values = b"".join([(value or bytes(table.stride))[_HOT_HEAD:] for value in table.lookup_many(places)])
        owners.delete_many(places)
        yield b"".join([key for _, key in chunk]), values


def _split(keys: bytes) -> Iterator[bytes]:
    return (key for (key,) in struct.iter_unpack("8s", keys))
