"""Maps of the real kernel: whole-map reads, batches against row by row, and deletes of what is not there."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator

import pytest

from denet_tui.bpf import maps
from denet_tui.bpf.maps import Map

pytestmark = pytest.mark.root

HASH, ARRAY, CREATE = 1, 2, 0
Make = Callable[..., Map]


@pytest.fixture
def make() -> Iterator[Make]:
    """Creates maps with keys of 4 bytes, and closes them at the end."""
    made: list[int] = []

    def create(kind: int, entries: int, value_size: int = 8) -> Map:
        made.append(maps.bpf(CREATE, struct.pack("<5I", kind, 4, value_size, entries, 0).ljust(64, b"\0")))
        return Map(made[-1])

    yield create
    for descriptor in made:
        os.close(descriptor)


def fill(table: Map, count: int) -> dict[bytes, bytes]:
    rows = {struct.pack("<I", 7 * number): struct.pack("<Q", number) for number in range(count)}
    for key, value in rows.items():
        assert table.update(key, value)
    return rows


def content(table: Map) -> list[tuple[bytes, bytes]]:
    """All rows that a read yields, one by one."""
    rows = []
    for keys, values in table.read():
        at, stride = table.key_size, table.stride
        pieces = len(keys) // at
        assert len(values) == pieces * stride
        rows += [(keys[i * at : (i + 1) * at], values[i * stride : (i + 1) * stride]) for i in range(pieces)]
    return rows


@pytest.mark.parametrize("count", [0, 1, 1000, Map.CHUNK + 1, 3 * Map.CHUNK])
def test_batches_and_single_rows_read_the_same(make: Make, count: int) -> None:
    table = make(HASH, max(1, count))
    rows = fill(table, count)
    in_batches = content(table)
    assert table.batches, "this kernel was thought to have no batches"
    table.batches = False
    one_by_one = content(table)
    assert sorted(in_batches) == sorted(one_by_one) == sorted(rows.items())


def test_a_chunk_smaller_than_a_bucket_grows(make: Make) -> None:
    table = make(HASH, 4096)
    rows = fill(table, 4096)
    table._allocate(1)
    assert sorted(content(table)) == sorted(rows.items())


@pytest.mark.parametrize("batches", [True, False])
def test_deleting_many_passes_over_what_is_not_there(make: Make, batches: bool) -> None:
    table = make(HASH, 1000)
    rows = fill(table, 1000)
    table.batches = batches
    keys = list(rows)
    missing = [struct.pack("<I", number) for number in (1, 2, 3, 4_000_000_000)]
    table.delete_many(b"".join([missing[0], *keys[:300], missing[1], missing[2], *keys[300:600], missing[3]]))
    assert sorted(key for key, _ in content(table)) == sorted(keys[600:])
    table.delete_many(b"")
    table.delete_many(b"".join(keys))
    assert content(table) == []


@pytest.mark.parametrize("batches", [True, False])
def test_a_per_cpu_value_has_one_part_for_every_cpu(make: Make, batches: bool) -> None:
    table, cpus = make(maps.PERCPU_ARRAY, 5), maps.possible_cpus()
    assert table.stride == 8 * cpus
    expected = {}
    for index in range(5):
        key, parts = struct.pack("<I", index), [100 * index + cpu for cpu in range(cpus)]
        expected[key] = parts
        table.update(key, struct.pack(f"<{cpus}Q", *parts))
    table.batches = batches
    found = {key: list(struct.unpack(f"<{cpus}Q", value)) for key, value in content(table)}
    assert found == expected
    assert sum(map(sum, found.values())) == sum(map(sum, expected.values()))


@pytest.mark.parametrize("batches", [True, False])
@pytest.mark.parametrize("kind", [maps.ARRAY, maps.PERCPU_ARRAY])
def test_an_array_is_looked_up_in_runs(make: Make, kind: int, batches: bool) -> None:
    size = Map.CHUNK + 100
    table = make(kind, size)
    for index in range(size):
        table.update(struct.pack("<I", index), struct.pack("<Q", index) * (table.stride // 8))
    table.batches = batches

    def numbers(packed: bytes) -> list[int]:
        return [number for (number,) in struct.iter_unpack(f"<Q{table.stride - 8}x", packed)]

    assert numbers(table.lookup_span(0, size)) == list(range(size))
    assert numbers(table.lookup_span(size - 2, 9)) == [size - 2, size - 1]
    assert numbers(table.lookup_span(size, 1)) == []
    scattered = [size - 1, 3, 0, 700, 1, 41, 3, 2000]
    found = list(table.lookup_many(struct.pack("<9I", *scattered, size)))
    assert found[-1] is None
    assert numbers(b"".join(each or b"" for each in found)) == scattered
    assert list(table.lookup_many(b"")) == []
    assert table.batches is batches


def test_single_elements(make: Make) -> None:
    table, key = make(HASH, 1), bytes(4)
    assert table.lookup(key) is None
    assert not table.delete(key)
    assert table.update(key, struct.pack("<Q", 5), maps.NOEXIST)
    assert not table.update(key, struct.pack("<Q", 6), maps.NOEXIST)
    assert table.lookup(key) == struct.pack("<Q", 5)
    with pytest.raises(OSError, match="long") as full:
        table.update(b"\1\0\0\0", bytes(8))
    assert full.value.errno == 7  # E2BIG: it holds one
    assert table.delete(key)


def test_what_is_no_map_is_refused() -> None:
    with pytest.raises(OSError, match=r"Bad file|Invalid"):
        Map(0)
