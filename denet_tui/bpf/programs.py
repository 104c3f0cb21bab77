"""The smallest map and program there are, and what the kernel says of loaded programs (man 2 bpf)."""

from __future__ import annotations

import ctypes
import errno
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from denet_tui.bpf.maps import OBJECT_INFO, bpf

MAP_CREATE, PROG_LOAD, PROG_NEXT_ID, PROG_BY_ID = 0, 5, 11, 13
ARRAY = 2
TRACEPOINT, RAW_TRACEPOINT = 5, 17
_NAMES = (
    "unspec socket_filter kprobe sched_cls sched_act tracepoint xdp perf_event cgroup_skb cgroup_sock lwt_in lwt_out"
    " lwt_xmit sock_ops sk_skb cgroup_device sk_msg raw_tracepoint cgroup_sock_addr lwt_seg6local lirc_mode2"
    " sk_reuseport flow_dissector cgroup_sysctl raw_tracepoint_writable cgroup_sockopt tracing struct_ops ext lsm"
    " sk_lookup syscall netfilter"
)
TYPES = tuple(_NAMES.split())
"""Names of enum bpf_prog_type (include/uapi/linux/bpf.h), by number."""

_RETURN_1 = struct.pack("<BBhiBBhi", 0xB7, 0, 0, 1, 0x95, 0, 0, 0)
"""r0 = 1; exit. On a tracefs tracepoint 0 would take the event away from all others (kernel/tracepoints.c)."""
_MOST = 100_000
"""Programs that are listed at most."""


class ProgramInfo(NamedTuple):
    """A loaded program: its id, type, name, the uid that loaded it, and instructions that the verifier walked.

    `verified` is 0 where the kernel does not say (below 5.16).
    """

    id: int
    type: str
    name: str
    uid: int
    verified: int


def create_map(shape: Sequence[int] = (ARRAY, 4, 8, 1, 0), name: str = "", inner: int = 0) -> int:
    """Descriptor of a new map of that shape, by default an array of one u64; raises OSError.

    `inner` is the descriptor of a map such as a map of maps has in it.
    """
    return bpf(MAP_CREATE, struct.pack("<7I16s", *shape, inner, 0, _label(name)))


def load_program(kind: int, code: bytes = _RETURN_1, name: str = "") -> int:
    """Descriptor of a new program, by default one that returns 1; raises OSError."""
    held, license_ = ctypes.create_string_buffer(code, len(code)), ctypes.create_string_buffer(b"GPL")
    head = struct.pack("<IIQQ", kind, len(code) // 8, ctypes.addressof(held), ctypes.addressof(license_))
    return bpf(PROG_LOAD, head + struct.pack("<24x16s", _label(name)))


def _label(name: str) -> bytes:
    """As the kernel shows it in its lists, cut as it cuts."""
    return name.encode()[:15]


def info(program: int) -> ProgramInfo:
    """What the kernel says of the program behind a descriptor (struct bpf_prog_info); raises OSError."""
    buffer = ctypes.create_string_buffer(232)
    bpf(OBJECT_INFO, struct.pack("<IIQ", program, len(buffer), ctypes.addressof(buffer)))
    kind, number = struct.unpack_from("<II", buffer)
    (uid,) = struct.unpack_from("<I", buffer, 48)
    (verified,) = struct.unpack_from("<I", buffer, 216)
    name = buffer.raw[64:80].partition(b"\0")[0].decode(errors="replace")
    return ProgramInfo(number, TYPES[kind] if kind < len(TYPES) else f"type {kind}", name, uid, verified)


def ids() -> Iterator[int]:
    """Ids of all loaded programs; raises OSError (EPERM without CAP_SYS_ADMIN)."""
    number = 0
    for _ in range(_MOST):
        attributes = ctypes.create_string_buffer(struct.pack("<III", number, 0, 0), 12)
        try:
            bpf(PROG_NEXT_ID, attributes)
        except OSError as error:
            if error.errno == errno.ENOENT:
                return
            raise
        (number,) = struct.unpack_from("<I", attributes, 4)
        yield number


def open_by_id(number: int) -> int:
    """A descriptor of a loaded program; raises OSError (ENOENT where it has just gone)."""
    return bpf(PROG_BY_ID, struct.pack("<III", number, 0, 0))
