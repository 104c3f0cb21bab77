"""The tracepoints that the programs are attached to, and what tracefs says of them (man 2 perf_event_open)."""

from __future__ import annotations

import array
import fcntl
import struct
from pathlib import Path

from denet_tui.bpf import facts, maps
from denet_tui.bpf.failure import LoadError

EVENTS = {
    "sys_enter": "raw_syscalls",
    "sys_exit": "raw_syscalls",
    "task_newtask": "task",
    "sched_process_exec": "sched",
    "sched_process_exit": "sched",
    "sched_switch": "sched",
}
"""Tracepoints and their groups. The last comes first when attaching, so that no process is half seen."""

_FIELDS = {
    "sys_enter": {"id": "TP_ENTER_NR"},
    "sys_exit": {"id": "TP_EXIT_NR", "ret": "TP_EXIT_RESULT"},
    "task_newtask": {"pid": "TP_CHILD", "clone_flags": "TP_CLONE_FLAGS"},
    "sched_process_exec": {"old_pid": "TP_OLD_PID"},
}


def tracefs() -> Path:
    """Where tracefs is mounted, from /proc/self/mountinfo (looking into debugfs would make the kernel mount it)."""
    point = facts.mounted(Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace"), "tracefs")
    if point is not None:
        return Path(point)
    raise LoadError("tracefs", "tracefs is not mounted: as root, mount -t tracefs tracefs /sys/kernel/tracing")


def field_offsets(tracing: Path) -> dict[str, int]:
    """Where the fields of the tracepoints are, by -D flag; raises LoadError where tracefs does not say."""
    values = {}
    for event, fields in _FIELDS.items():
        path = tracing / "events" / EVENTS[event] / event / "format"
        try:
            text = path.read_text(encoding="ascii", errors="replace")
        except OSError as error:
            raise LoadError("tracefs", f"{path}: {error.strerror}", error.errno) from error
        for line in text.splitlines():
            parts = [part.strip() for part in line.split(";")]
            name = parts[0].rpartition(" ")[2]
            if parts[0].startswith("field:") and name in fields:
                values[fields[name]] = int(parts[1].removeprefix("offset:"))
    missing = {name for fields in _FIELDS.values() for name in fields.values()} - values.keys()
    if missing:
        raise LoadError("tracefs", f"the kernel's tracepoints lack the fields for {', '.join(sorted(missing))}")
    return values


def attach_perf(tracing: Path, event: str, program: int) -> int:
    """perf_event_open(2) on a tracepoint; one event on one CPU is enough, the program runs on all.

    It takes no samples, and counts none: its holder would learn of all processes' calls by them.
    """
    path = tracing / "events" / EVENTS[event] / event / "id"
    number = int(path.read_text(encoding="ascii"))
    disabled = 1  # until the filter is set: what came before would be counted
    attributes = array.array("B", struct.pack("<IIQ24xQ16x", 2, 64, number, disabled))
    address, _ = attributes.buffer_info()
    descriptor = maps.system_call("perf_event_open", address, -1, 0, -1, 8)
    set_program, set_filter, enable = 0x40042408, 0x40082406, 0x2400
    # A filter is set once: a holder of the descriptor could count by it what others call, and with what result.
    # No event fits it: the idle task has the pid 0, and switches, too.
    fcntl.ioctl(descriptor, set_filter, b"common_pid < 0\0")
    fcntl.ioctl(descriptor, set_program, program)
    fcntl.ioctl(descriptor, enable, 0)
    return descriptor
