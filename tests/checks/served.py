"""Machines made of dictionaries on which the loader's socket could work, or is."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

from denet_tui.bpf.request import SOCKET
from denet_tui.bpf.toolchain import Toolchain
from denet_tui.checks import service
from tests.checks.fake import EVERYTHING, Content, FakeHost, status

TOOLS = ("systemctl", "groupadd", "groupdel", "setpriv", "gpasswd")
COPY = f"{service.FOLDER}/lib/python3.11/site-packages/denet_tui/checks/units"
WRITTEN = {f"{service.SYSTEMD}/{name}": text for name, text in service.units().items()}
WANTED = f"{service.SYSTEMD}/sockets.target.wants/{service.UNIT}"
LISTENS = {SOCKET: stat.S_IFSOCK | 0o660}
EXACT = json.dumps({"way": "raw", "made": 1000, "counted": 1000, "exact": True})


def able(**more: Any) -> FakeHost:
    """A machine where the socket could work, and is not set up."""
    files: dict[str, Content] = {f"/usr/bin/{name}": "" for name in TOOLS}
    files |= {f"{COPY}/{name}": text for name, text in service.units().items()}
    files |= {
        f"{service.FOLDER}/bin/python": "",
        "/run/systemd/system/x": "",
        "/sys/kernel/btf/vmlinux": b"",
        "/proc/1/status": status(EVERYTHING),
        "/proc/self/status": status(),
        "/etc/group": "root:x:0:\n",
    }
    files |= more.pop("files", {})
    modes = dict.fromkeys((f"/usr/bin/{name}" for name in TOOLS), 0o755) | more.pop("modes", {})
    answers = {"find_bcc": Toolchain(Path("/usr/lib"), "0.26")} | more.pop("answers", {})
    return FakeHost(files, modes=modes, answers=answers, **more)


def installed(**more: Any) -> FakeHost:
    """The same machine with the socket, which lets gid 990 in."""
    files = {**WRITTEN, WANTED: "", SOCKET: "", "/etc/group": "denet-trace:x:990:ann\n", **more.pop("files", {})}
    owners = {SOCKET: (0, 990), **more.pop("owners", {})}
    modes = {**LISTENS, **more.pop("modes", {})}
    commands = {"/usr/bin/setpriv": EXACT, **more.pop("commands", {})}
    return able(files=files, owners=owners, modes=modes, commands=commands, **more)
