"""What a good run ran on, as it is recorded. What has changed since is drift.py's: a run only records."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping
from pathlib import Path

import denet_tui
from denet_tui.bpf import toolchain
from denet_tui.checks.host import Host
from denet_tui.system import files

FORMAT = 1
SYSCTLS = (
    "kernel/unprivileged_bpf_disabled",
    "kernel/perf_event_paranoid",
    "kernel/kptr_restrict",
    "net/core/bpf_jit_enable",
    "net/core/bpf_jit_harden",
)
_LIBRARIES = (
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/lib64",
    "/lib",
    "/usr/local/lib",
)
ABSENT = "not there"
UNREADABLE = {os.strerror(errno.EACCES), os.strerror(errno.EPERM)}
_MOST = 100
"""Values in a record, at most; more is no record of ours."""

Record = dict[str, str]
"""What was seen, in words, by the name that a person sees."""


class LastGoodError(Exception):
    """The record cannot be believed; the text says why."""


def where(host: Host) -> str:
    """The file of the record: the asker's own under sudo too, root's in /var/lib."""
    asker = host.asker()
    environment = os.environ if asker.uid == host.uid else {}
    default = Path("/var/lib") if asker.uid == 0 else Path(asker.home, ".local/state")
    return str(files.own_folder(environment, "XDG_STATE_HOME", default) / "last-good.json")


def look(host: Host) -> Record:
    """What there is now. What cannot be read is there as the reason, so that this is a change, too."""
    record = {"kernel": host.release, "denet-tui": denet_tui.__version__, "bcc": _bcc(host), "libbcc": _library(host)}
    record |= {name.replace("/", "."): _first(host, f"/proc/sys/{name}") for name in SYSCTLS}
    record["tracefs mount"] = _tracefs(host)
    try:
        status = host.status()
        start = _start(status)
        record |= {f"capabilities {name} {start}": status.get(name, ABSENT) for name in ("CapEff", "CapBnd")}
    except OSError as error:
        record["capabilities"] = str(error.strerror)
    return record


def _start(status: Mapping[str, str]) -> str:
    """The kind of start, by whose capabilities these are: `sudo denet-tui` is not compared with `denet-tui`."""
    uid = next(iter(status.get("Uid", "").split()[1:]), "unknown")
    if uid == "0":
        return "as root"
    return f"as uid {uid}" + ("" if set(status.get("CapEff", "0")) == {"0"} else ", given capabilities")


def _first(host: Host, path: str) -> str:
    try:
        return host.read(path).strip()[:200]
    except OSError as error:
        return str(error.strerror)


def _bcc(host: Host) -> str:
    try:
        found = host.find_bcc()
    except toolchain.ToolchainError:
        return ABSENT
    return f"{found.version} in {found.folder}"


def _library(host: Host) -> str:
    for folder in _LIBRARIES:
        path = f"{folder}/libbcc.so.0"
        try:
            found = host.stat(path)
        except OSError:
            continue
        return f"{path}, {found.st_size} B, written at {int(found.st_mtime)}"
    return ABSENT


def _tracefs(host: Host) -> str:
    try:
        found = [mount for mount in host.mounts() if mount.kind == "tracefs"]
        mount = next((mount for mount in found if mount.point == "/sys/kernel/tracing"), found[0] if found else None)
    except OSError as error:
        return str(error.strerror)
    return f"{mount.point} {','.join((*mount.options, *mount.super_options))}" if mount else ABSENT


def remember(host: Host, path: str) -> None:
    """Write what there is now as the last good state, whole or not at all; raises OSError."""
    files.replace(path, json.dumps({"format": FORMAT, "seen": look(host)}, indent=1).encode() + b"\n")


def recall(host: Host, path: str) -> Record | None:
    """The last good state, None if none was recorded; raises OSError, LastGoodError where it cannot be believed."""
    try:
        content = json.loads(host.read_of(host.asker().uid, path))
        seen = content["seen"]
        if content["format"] != FORMAT or len(seen) > _MOST:
            raise LastGoodError(f"{path} is of another version of denet-tui")
        return {str(name)[:100]: str(value)[:500] for name, value in seen.items()}
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise LastGoodError(f"{path} is damaged ({type(error).__name__})") from None
