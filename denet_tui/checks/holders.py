"""Who holds BPF programs (/proc/PID/fdinfo), and the kernel's log (man 2 syslog): what Host asks for leftovers."""

from __future__ import annotations

import ctypes
import errno
import os
import re
from pathlib import Path
from typing import NamedTuple

from denet_tui.bpf import programs as kernel

_READ_ALL, _SIZE_BUFFER = 3, 10
_NUMBERS = re.compile(r"^(?:prog_id|bpf_prog_id):\s*(\d+)", re.MULTILINE)
_MOST_SHOWN = 4


class LoadedProgram(NamedTuple):
    """A BPF program: id, type, name, and the processes that hold it (`comm (pid)`), directly or by a link."""

    id: int
    type: str
    name: str
    holders: tuple[str, ...]


def programs() -> list[LoadedProgram]:
    """All loaded programs but those of this process and what it started (probes run meanwhile); raises OSError."""
    numbers = list(kernel.ids())
    whose = _holders() if numbers else {}
    found = []
    for number in numbers:
        try:
            descriptor = kernel.open_by_id(number)
        except OSError as error:
            if error.errno == errno.ENOENT:  # gone meanwhile
                continue
            raise
        try:
            info = kernel.info(descriptor)
        finally:
            os.close(descriptor)
        holders = whose.get(number, [])
        others = tuple(f"{comm} ({pid})" for pid, comm in holders if not _ours(pid))
        if others or not holders:
            found.append(LoadedProgram(number, info.type, info.name, others[:_MOST_SHOWN]))
    return found


def _ours(pid: int) -> bool:
    """True for this process and its descendants."""
    own = os.getpid()
    for _ in range(64):
        if pid in (own, 0):
            break
        try:
            text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return False
        pid = int(text.rpartition(")")[2].split()[1])
    return pid == own


def _holders() -> dict[int, list[tuple[int, str]]]:
    """(pid, comm) by the id of a program that they hold open; processes that cannot be looked into are left out."""
    found: dict[int, list[tuple[int, str]]] = {}
    for process in Path("/proc").iterdir():
        if not process.name.isdecimal():
            continue
        try:
            entries = list(os.scandir(process / "fd"))
            comm = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            continue
        held = {number for entry in entries for number in _programs_of(process, entry)}
        for number in held:
            found.setdefault(number, []).append((int(process.name), comm))
    return found


def _programs_of(process: Path, entry: os.DirEntry[str]) -> set[int]:
    try:
        target = os.readlink(entry.path)  # noqa: PTH115 - twice as fast, and there are many
        if not target.startswith("anon_inode:") or not ("bpf" in target or "perf_event" in target):
            return set()
        text = (process / "fdinfo" / entry.name).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return set()
    return {int(number) for number in _NUMBERS.findall(text)}


def kernel_log(limit: int) -> str:
    """The end of the kernel's log, read without taking anything out of it; raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    size = libc.klogctl(_SIZE_BUFFER, None, 0)
    buffer = ctypes.create_string_buffer(max(1, min(size, limit)) if size > 0 else limit)
    length = libc.klogctl(_READ_ALL, buffer, len(buffer))
    if length < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "syslog(2)")
    return buffer.raw[:length].decode(errors="replace")
