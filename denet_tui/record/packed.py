"""Recordings in fewer bytes: gzip and zstd, by the end of the name when written, by the first bytes when read."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from denet_tui.system.extras import needs

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_ENDING = re.compile(r"\.(gz|zst)(\.\d+)?\Z")
"""The number is that of a further run or part."""
_OTHER_ENDING = re.compile(r"\.(bz2|xz|lzma|lz4?|lzo|br|z|zip|7z|zstd|gzip)(\.\d+)?\Z", re.IGNORECASE)
"""Who gives such a name counts on what other unpackers take."""
_WITH_HEADER = 31
"""Of zlib's windows: the largest, with gzip's header and sum (zlib.h, deflateInit2)."""
_GZIP_LEVEL, _ZSTD_LEVEL = 3, 8
"""Of zlib: its default takes twice as long, for a sixth less. Of zstd: a fifth less than with its lowest level, for 0.1
ms more a tick; higher ones leave no less."""
_LEAST_MATCH = 6
"""Of zstd, in bytes: shorter ones, which are mostly digits, take more than they spare."""
_WINDOW_LOG = 24
"""Of zstd: 16 MiB, in which a keyframe finds the one before; up to 27 every unpacker takes (zstd -d)."""
_MOST = 1 << 20
"""Bytes that are unpacked at a time, however many they were packed from."""


class MissingError(Exception):
    """What packs or unpacks is not here; the text says what is missing, and what else to do."""


class Packer(NamedTuple):
    """Packs blocks; what `settle` brings makes all before it readable, and what `end` brings ends the file."""

    pack: Callable[[bytes], bytes]
    settle: Callable[[], bytes]
    end: Callable[[], bytes]


def packer(path: str | os.PathLike[str]) -> Packer | None:
    """What a file of this name is packed with; None for nothing. Raises MissingError."""
    if other := _OTHER_ENDING.search(os.fspath(path)):
        raise MissingError(f"nothing here packs .{other[1]}; end its name in .gz or .zst")
    found = _ENDING.search(os.fspath(path))
    return None if not found else _gzip() if found[1] == "gz" else _zstd_packer()


def _gzip() -> Packer:
    made = zlib.compressobj(_GZIP_LEVEL, wbits=_WITH_HEADER)
    return Packer(made.compress, lambda: made.flush(zlib.Z_SYNC_FLUSH), made.flush)


def is_packed(path: str | os.PathLike[str]) -> bool:
    """Whether a file of this name is packed."""
    return bool(_ENDING.search(os.fspath(path)))


def _zstd_packer() -> Packer:
    zstd = _zstd()
    known = zstd.CompressionParameter
    made = zstd.ZstdCompressor(
        options={
            known.compression_level: _ZSTD_LEVEL,
            known.window_log: _WINDOW_LOG,
            known.min_match: _LEAST_MATCH,
        }
    )
    return Packer(made.compress, lambda: made.flush(made.FLUSH_BLOCK), made.flush)


def _zstd() -> Any:
    try:
        try:
            from compression import zstd
        except ImportError:  # it came with Python 3.14
            from backports import zstd
    except ImportError:
        raise MissingError(f"{needs('zstd', 'backports.zstd>=1')}; .gz needs none") from None
    return zstd


class Unpacker:
    """Unpacks what comes piece by piece; what is not packed stays as it is."""

    LEAST = len(_ZSTD)
    """Bytes by which it is known what it is."""

    def __init__(self, first: bytes) -> None:
        """`first`: the first bytes, at least LEAST where there are so many. Raises MissingError."""
        self._make: Callable[[], Any] | None = None
        self._damage: type[Exception] = zlib.error
        if first.startswith(_GZIP):
            self._make = partial(zlib.decompressobj, _WITH_HEADER)
        elif first.startswith(_ZSTD):
            zstd = _zstd()
            self._make, self._damage = zstd.ZstdDecompressor, zstd.ZstdError
        self._now: Any = self._make and self._make()

    @staticmethod
    def is_packed(first: bytes) -> bool:
        """Whether these are the first bytes of something packed."""
        return first.startswith((_GZIP, _ZSTD))

    def unpack(self, block: bytes) -> Iterator[bytes]:
        """What a block brings, at most 1 MiB at a time; raises ValueError where it is damaged."""
        if not self._make or not block:
            yield block
            return
        rest: bytes | None = block
        try:
            while rest is not None:
                if self._now.eof:  # another one follows, as where two files were put together
                    self._now = self._make()
                yield self._now.decompress(rest, _MOST)
                rest = self._rest()
        except self._damage as problem:
            raise ValueError(f"it cannot be unpacked ({problem})") from None

    def _rest(self) -> bytes | None:
        """What there is still to unpack of the block; None for nothing."""
        if self._now.eof:
            return self._now.unused_data.lstrip(b"\0") or None
        if hasattr(self._now, "needs_input"):
            return None if self._now.needs_input else b""
        return self._now.unconsumed_tail or None
