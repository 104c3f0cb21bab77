"""What was counted between two readings, taken out of the maps: the rows of the side at rest (syscalls.c)."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

from denet_tui.bpf.maps import Map
from denet_tui.model import BUCKETS

SIDE_BIT = 22
"""In the lower half of a row key."""
ROW = struct.Struct(f"<{8 * (5 + BUCKETS)}sQ")
_SIDES = bytes(byte >> SIDE_BIT % 8 & 1 for byte in range(256))
"""The side by the byte of a row key that has it."""
_HOT_HEAD = 16
"""Bytes before the row in an element of hot_rows."""


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


def take_all(tables: Mapping[str, Map], side: int) -> list[tuple[bytes, bytes]]:
    """Packed (keys, values) of all rows of calls on the side at rest, which are deleted; each key once."""
    hot, *others = _take_hot(tables["hot_owners"], tables["hot_rows"], side), *take(tables["pid_syscall_map"], side)
    overflow = {key for keys, _ in others for (key,) in struct.iter_unpack("8s", keys)}  # few, and mostly none
    pieces = [hot, *others]
    if not overflow or overflow.isdisjoint(key for (key,) in struct.iter_unpack("8s", hot[0])):
        return pieces
    found = [key for keys, _ in pieces for (key,) in struct.iter_unpack("8s", keys)]
    rows: dict[bytes, tuple[int, int]] = {}
    for key, (lanes, peak) in zip(found, ROW.iter_unpack(b"".join(values for _, values in pieces)), strict=True):
        lanes_before, peak_before = rows.get(key, (0, 0))
        rows[key] = lanes_before + int.from_bytes(lanes, "little"), max(peak, peak_before)
    packed = (ROW.pack(lanes.to_bytes(ROW.size - 8, "little"), peak) for lanes, peak in rows.values())
    return [(b"".join(rows), b"".join(packed))]


def _take_hot(owners: Map, table: Map, side: int) -> tuple[bytes, bytes]:
    """Those that have the place that their key's hash names."""
    half = table.max_entries // 2
    owned = {
        index: key
        for indexes, keys in owners.read()
        for (index,), (key,) in zip(struct.iter_unpack("<I", indexes), struct.iter_unpack("8s", keys), strict=True)
        if index // half == side
    }
    places = struct.pack(f"<{len(owned)}I", *owned)
    values = [value or bytes(table.stride) for value in table.lookup_many(places)]
    owners.delete_many(places)
    return b"".join(owned.values()), b"".join(value[_HOT_HEAD:] for value in values)
