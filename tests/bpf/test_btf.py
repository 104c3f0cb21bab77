"""BTF as the kernel has it, BTF that is made up, and BTF that is damaged."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from denet_tui.bpf.btf import FUNCTION, VMLINUX, Btf, BtfError

STRUCT, UNION, INT, POINTER, TYPEDEF, ENUM, FUNC_PROTO = 4, 5, 1, 2, 8, 6, 13


class Builder:
    """Writes a BTF blob, type by type (Documentation/bpf/btf.rst)."""

    def __init__(self) -> None:
        self.strings, self.types, self.count = b"\0", b"", 0

    def name(self, text: str) -> int:
        if not text:
            return 0
        self.strings += text.encode() + b"\0"
        return len(self.strings) - len(text) - 1

    def add(self, kind: int, name: str, entries: int = 0, tail: bytes = b"", *, bitfields: bool = False) -> int:
        info = kind << 24 | entries | bitfields << 31
        self.types += struct.pack("<III", self.name(name), info, 4) + tail
        self.count += 1
        return self.count

    def composite(
        self, name: str, members: list[tuple[str, int, int]], kind: int = STRUCT, *, bitfields: bool = False
    ) -> int:
        """A struct or union; members are (name, type id, offset in bits)."""
        tail = b"".join(struct.pack("<III", self.name(each), type_id, at) for each, type_id, at in members)
        return self.add(kind, name, len(members), tail, bitfields=bitfields)

    def blob(self) -> bytes:
        sizes = (0, len(self.types), len(self.types), len(self.strings))
        return struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, *sizes) + self.types + self.strings


names = st.lists(st.text("abcdefgh", min_size=1, max_size=6), min_size=1, max_size=8, unique=True)


def noise(builder: Builder, which: list[int]) -> None:
    """Types of every length between those that are looked for."""
    for kind in which:
        entries = 2 if kind in (ENUM, FUNC_PROTO) else 0
        builder.add(kind, f"noise{kind}", entries, bytes({INT: 4, ENUM: 16, FUNC_PROTO: 16}.get(kind, 0)))


kinds = st.lists(st.sampled_from([INT, POINTER, TYPEDEF, ENUM, FUNC_PROTO]), max_size=6)


@given(names, st.data(), kinds)
def test_offsets_of_made_up_structs(fields: list[str], data: st.DataObject, between: list[int]) -> None:
    builder = Builder()
    number = builder.add(INT, "int", 0, bytes(4))
    noise(builder, between)
    gaps = data.draw(st.lists(st.integers(0, 99), min_size=len(fields), max_size=len(fields)))
    offsets = [8 * sum(gaps[: index + 1]) for index in range(len(fields))]
    bitfields = data.draw(st.booleans())
    sizes = [(8 << 24) * bitfields] * len(fields)
    inner = [(name, number, at | size) for name, at, size in zip(fields, offsets, sizes, strict=True)]
    inner_id = builder.composite("Inner", inner, bitfields=bitfields)
    noise(builder, between)
    hidden = builder.composite("", [("HIDDEN", inner_id, 64)], UNION)
    outer_id = builder.composite("Outer", [("FIRST", number, 0), ("", hidden, 128), ("PLAIN", inner_id, 1024)])
    called_id = builder.add(FUNCTION, "Called")
    wanted = [f"Inner.{name}" for name in fields] + [f"Outer.PLAIN.{name}" for name in fields]
    wanted += [f"Outer.HIDDEN.{name}" for name in fields]
    found = Btf(builder.blob()).offsets([*wanted, "Outer.absent", "Absent.FIRST", "Outer.PLAIN.absent"])
    kernel = Btf(builder.blob())
    assert kernel.numbers(["Outer", "Inner", "Called"]) == {"Outer": outer_id, "Inner": inner_id}
    assert kernel.numbers(["Outer", "Called"], FUNCTION) == {"Called": called_id}
    expected = [at // 8 for at in offsets]
    assert found == dict(
        zip(wanted, expected + [128 + at for at in expected] + [24 + at for at in expected], strict=True)
    )


def whole() -> bytes:
    builder = Builder()
    number = builder.add(INT, "int", 0, bytes(4))
    inner = builder.composite("inner", [("a", number, 0), ("b", number, 32)])
    builder.composite("task_struct", [("pid", number, 64), ("", inner, 128), ("deep", inner, 256)])
    return builder.blob()


WANTED = ["task_struct.pid", "task_struct.a", "task_struct.deep.b", "inner.b", "inner.none"]


def test_the_whole_blob_is_sound() -> None:
    expected = {"task_struct.pid": 8, "task_struct.a": 16, "task_struct.deep.b": 36, "inner.b": 4}
    assert Btf(whole()).offsets(WANTED) == expected


@settings(max_examples=400)
@given(st.data())
def test_damage_raises_btf_error_and_nothing_else(data: st.DataObject) -> None:
    blob = bytearray(whole())
    for _ in range(data.draw(st.integers(1, 4))):
        blob[data.draw(st.integers(0, len(blob) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(blob)))
    for damaged in (bytes(blob), bytes(blob[:cut])):
        try:
            found = Btf(damaged).offsets(WANTED)
        except BtfError:
            continue
        assert set(found) <= set(WANTED)


@given(st.binary(max_size=200))
def test_what_is_not_btf_raises_btf_error(data: bytes) -> None:
    with pytest.raises(BtfError):
        Btf(data)


def test_a_kernel_without_btf_is_told(tmp_path: Path) -> None:
    with pytest.raises(BtfError, match="No such file"):
        Btf.of_kernel(tmp_path / "vmlinux")


@pytest.mark.skipif(not VMLINUX.exists(), reason="this kernel has no BTF")
def test_the_running_kernel() -> None:
    wanted = ["task_struct.pid", "task_struct.tgid", "task_struct.mm", "task_struct.exit_code", "mm_struct.arg_start"]
    found = Btf.of_kernel().offsets([*wanted, "task_struct.no_such_member"])
    assert list(found) == wanted
    assert all(0 < offset < 65_536 for offset in found.values())
    assert len({found[name] for name in wanted[:4]}) == 4
