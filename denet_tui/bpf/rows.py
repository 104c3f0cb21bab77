"""What was counted between two readings, taken out of the maps: the rows of the side at rest (kernel/program.c)."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from denet_tui.bpf.maps import Map
from denet_tui.model import BUCKETS

KEY = struct.Struct("<Ii")
"""Tgid, side and ABI in the lower half, the number in the upper one (ROW_KEY of kernel/maps.c)."""
SIDE_BIT, ABI_BIT = 22, 23
"""In the lower half of a row key."""
TGID = (1 << SIDE_BIT) - 1
LANES = 8 * (5 + BUCKETS)
"""Bytes of what adds up."""
_ROW = struct.Struct(f"<{LANES}sQ")
_HOT = struct.Struct(f"<q8x{LANES}sQ")
"""Key and row in an element of hot_rows; between them the turn that it belongs to (epoch + 1)."""
_TURN = 1
_SIDES = bytes(byte >> SIDE_BIT % 8 & 1 for byte in range(256))
"""The side by the byte of a row key that has it."""

Row = tuple[int, tuple[bytes, int]]
"""The key, and what adds up with the longest call."""


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


def take_all(hot: Map, owners: Map, others: Map, epoch: int) -> Iterator[Iterable[Row]]:
    """All rows of the side at rest, which was written to in this epoch: they are deleted. Of a key there may be two."""
    half = hot.max_entries // 2
    first = (epoch & 1) * half
    with hot.mapped(first, half) as values:
        with values.cast("Q") as numbers:
            turns = numbers[_TURN :: _HOT.size // 8].tolist()
        places = [place for place, turn in enumerate(turns) if turn == epoch + 1]
        owners.delete_many(struct.pack(f"<{len(places)}I", *[first + place for place in places]))
        found = [_HOT.unpack_from(values, place * _HOT.size) for place in places]
    yield [(key, (lanes, peak)) for key, lanes, peak in found]
    for keys, packed in take(others, epoch & 1):
        yield zip(struct.unpack(f"<{len(keys) // 8}q", keys), _ROW.iter_unpack(packed), strict=True)
