"""What may be asked of the loader: a few choices from fixed sets, and nothing else, whichever process asks."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

SOCKET = "/run/denet-tui/loader.socket"
"""Where the loader's service listens for members of the group (checks/units)."""
GROUP = "denet-trace"
"""Its members may connect there."""
SIZES = {
    "ROWS": 65536,
    "HOT": 8192,
    "ERRNOS": 57344,
    "SLOTS": 65536,
    "TASKS": 16384,
    "PROCESSES": 16384,
    "EXECS": 4096,
    "LONG_EXECS": 512,
    "WAITS": 16384,
}
"""Rows, and how many of a side are found sooner (hot_rows; the others are in pid_syscall_map), errnos of rows, watched
threads (those whose slot is taken are in TASKS), processes, executions, those of long command lines, and calls that
wait, by process, all between two readings. HOT and SLOTS are powers of two."""
LARGEST_SCALE = 4
"""All tables may be 2^scale times as large: 16 times is 0.6 GB of kernel memory, for 262,144 processes."""
LARGEST = 4096
"""Bytes of a request, at most."""
METHODS = ("auto", "raw", "tracefs")
DETAILS = ("calls", "files", "all")


class _Fields(NamedTuple):
    method: str = "auto"
    scale: int = 0
    rows: int | None = None
    only_wanted: bool = False
    detail: str = "calls"
    by_cgroup: bool = False


class Request(_Fields):
    """How the program is to be loaded; raises ValueError for what is in none of the sets.

    The tables have SIZES << scale entries, but for `rows`, where there are to be fewer; of few, all but one of a side
    are in pid_syscall_map. With `only_wanted` the calls that are named in its map are counted, and no others. `detail`:
    what is watched besides the calls. With `by_cgroup` the processes of the cgroup in its map are watched, no others.
    """

    __slots__ = ()

    def __new__(cls, *values: Any, **named: Any) -> Self:
        """As the fields are; raises ValueError."""
        self = super().__new__(cls, *values, **named)
        if self.method not in METHODS or self.detail not in DETAILS:
            raise ValueError("not a request")
        if type(self.only_wanted) is not bool or type(self.by_cgroup) is not bool:
            raise ValueError("not a request")
        if type(self.scale) is not int or not 0 <= self.scale <= LARGEST_SCALE:
            raise ValueError("not a size")
        if self.rows is not None and (type(self.rows) is not int or not 0 < self.rows <= SIZES["ROWS"] << self.scale):
            raise ValueError("not a number of rows")
        return self

    @property
    def sizes(self) -> dict[str, int]:
        """Entries of each table."""
        sizes = {name: number << self.scale for name, number in SIZES.items()}
        if self.rows is not None and self.rows < SIZES["ROWS"]:
            return sizes | {"ROWS": self.rows, "HOT": 1}
        return sizes | {"ROWS": (self.rows or sizes["ROWS"]) - sizes["HOT"]}

    def line(self) -> bytes:
        """As it is sent."""
        return json.dumps(self._asdict()).encode() + b"\n"

    @classmethod
    def of_line(cls, line: bytes) -> Request:
        """As it was sent; raises ValueError where that is no request."""
        try:
            fields = json.loads(line.decode())
            return cls(**fields)
        except (TypeError, RecursionError, json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ValueError("not a request") from error


def peer_uid(channel: socket.socket) -> int:
    """The uid at the other end, as the kernel has it (SO_PEERCRED, man 7 unix)."""
    _, uid, _ = struct.unpack("3i", channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(uid)


def write_reply(channel: socket.socket, reply: dict[str, Any], descriptors: Sequence[int]) -> None:
    """The loader's answer: its length, the descriptors with that, and the object; raises OSError."""
    body = json.dumps(reply).encode()
    socket.send_fds(channel, [struct.pack("<I", len(body))], descriptors)
    channel.sendall(body)


def scale_for(wanted: dict[str, int]) -> int:
    """The scale at which the tables hold that many entries, or the largest there is."""
    fitting = (s for s in range(LARGEST_SCALE) if all(SIZES[name] << s >= number for name, number in wanted.items()))
    return next(fitting, LARGEST_SCALE)
