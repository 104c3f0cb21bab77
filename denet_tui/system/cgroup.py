"""Which cgroup of the second version a process is in, and what that is called (man 7 cgroups)."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

CONTAINER = re.compile(r"(?:.*[-:])?([0-9a-f]{64})(?:\.scope)?", re.DOTALL)
"""docker-ID.scope, libpod-ID.scope, cri-containerd-ID.scope, crio-ID.scope, nerdctl-ID.scope, PREFIX:cri:ID, or ID."""
_UNITS = ".service", ".scope"
_SHORT = 12
"""Digits of the id of a container, as `docker ps` shows them."""


def cgroup_of(pid: int) -> str | None:
    """As it is now; None if the process has ended, or has none."""
    with suppress(OSError):
        found = Path(f"/proc/{pid}/cgroup").read_bytes().partition(b"0::")[2]  # the last line (man 7 cgroups)
        return os.fsdecode(found.removesuffix(b"\n")) or None
    return None


def short_name(path: str) -> str:
    """The unit or container, and what is below it: `nginx.service`, `docker-0123456789ab`; else the path."""
    parts = path.split("/")
    for at in range(len(parts) - 1, 0, -1):
        if found := CONTAINER.fullmatch(parts[at]):
            name = parts[at].removesuffix(".scope").replace(found[1], found[1][:_SHORT])
            return "/".join((name, *parts[at + 1 :]))
        if parts[at].endswith(_UNITS):
            return "/".join(parts[at:])
    return path
