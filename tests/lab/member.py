"""Runs inside a virtual machine as a member of denet-trace: what one can have, and do, through the loader's socket.

`python -I member.py WHAT…` with the Python of /opt/denet-tui; prints one JSON object.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from denet_tui.bpf.failure import LoadError
from denet_tui.bpf.handover import Kernel
from denet_tui.bpf.maps import Map
from denet_tui.bpf.request import SOCKET, Request
from denet_tui.bpf.tracer import Tracer
from denet_tui.bpf.unprivileged import Served

SLICE = Path("/sys/fs/cgroup/denet_tui.slice")


def memory(what: str = "current") -> int:
    """Bytes that all members together hold, or may."""
    return int((SLICE / f"memory.{what}").read_text())


def loaded() -> Kernel | str:
    """A program of one's own, or what is said where there is none."""
    try:
        return Served(Request("raw")).receive(300)
    except LoadError as error:
        return error.text


def let_go(kernel: Kernel) -> None:
    for descriptor in (*kernel.maps.values(), *kernel.links.values()):
        os.close(descriptor)


def storm(number: str) -> dict[str, Any]:
    """So many connections, as fast as they can be made, and never a word."""
    came = Counter[str]()
    for _ in range(int(number)):
        with socket.socket(socket.AF_UNIX) as channel:
            try:
                channel.connect(SOCKET)
                came["connected"] += 1
            except OSError as error:
                came[str(error.strerror)] += 1
    return dict(came)


def nonsense() -> str:
    """Ask for nonsense, again where so many others are served at the moment that one is turned away."""
    for _ in range(300):
        with contextlib.suppress(BrokenPipeError, ConnectionResetError), socket.socket(socket.AF_UNIX) as channel:
            channel.settimeout(300)
            channel.connect(SOCKET)
            channel.sendall(b"nonsense\n")
            if channel.recv(4):
                return "answered"
        time.sleep(1)
    return "turned away"


def answered(number: str) -> dict[str, Any]:
    """So many connections, one after the other: every tenth has a program loaded, the others ask for nonsense."""
    came, most = Counter[str](), 0
    for index in range(int(number)):
        if index % 10 == 0:
            kernel = loaded()
            came["loaded" if isinstance(kernel, Kernel) else kernel] += 1
            if isinstance(kernel, Kernel):
                let_go(kernel)
        else:
            came[nonsense()] += 1
        most = max(most, memory())
    return {**came, "most": most, "limit": memory("max")}


def hoard() -> dict[str, Any]:
    """Programs loaded and held until there are no more to be had, and what is said then."""
    held: list[Kernel] = []
    readings = []
    while isinstance(kernel := loaded(), Kernel) and len(held) < 100:
        held.append(kernel)
        readings.append(memory())
    return {"held": len(held), "said": kernel, "most": max(readings), "limit": memory("max")}


def others(pid: str, secret: str, go: str) -> dict[str, Any]:
    """Enter somebody else's process into the maps, have it work (by making the file `go`), and look at all of them."""
    kernel = loaded()
    assert isinstance(kernel, Kernel), kernel
    tracer = Tracer(kernel)
    tracer.attach(int(pid))
    tracer.watch_everyone()
    Path(go).touch()
    time.sleep(15)
    seen = []
    for _ in range(2):
        for name, descriptor in kernel.maps.items():
            for keys, values in Map(descriptor).read():
                seen += [f"the secret, in {name}"] if secret.encode() in keys + values else []
        reading = tracer.read()
        seen += [f"calls of {tgid}" for tgid in reading.rows if tgid != os.getpid()]
        seen += [
            f"{each.tgid}: status {each.status}, executed {each.exec_ns}, parent {each.parent}"
            for each in reading.processes
            if each.tgid != int(pid) or each.exec_ns or each.status
        ]
    return {"seen": seen, "maps": sorted(kernel.maps)}


if __name__ == "__main__":
    print(
        json.dumps({"storm": storm, "answered": answered, "hoard": hoard, "others": others}[sys.argv[1]](*sys.argv[2:]))
    )
