"""The privileged process: compile, load, attach, hand every descriptor over, exit.

Started as `python -I -m denet_tui.bpf.loader SOCKET` by handover.py, with a memory file as its
stdout and stderr: bcc and LLVM print there from C++. It reads one JSON request from the socket,
answers with one JSON object and the descriptors (SCM_RIGHTS), and ends. Nothing that a user can
write is read here: no file, no environment, no text but the request's numbers and flags.
"""

from __future__ import annotations

import array
import json
import os
import platform
import signal
import socket
import struct
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from denet_tui.bpf import btf, facts, maps, toolchain
from denet_tui.bpf.failure import LoadError

SECONDS = 30
"""The loader ends by itself after that, even inside C++: nobody without privilege could end it."""

MAPS = (
    "pid_syscall_map",
    "errnos",
    "slots",
    "owners",
    "tasks",
    "processes",
    "syscall_counts",
    "lost",
    "epoch",
    "grace",
)
EVENTS = {
    "sys_enter": "raw_syscalls",
    "sys_exit": "raw_syscalls",
    "task_newtask": "task",
    "sched_process_exec": "sched",
    "sched_process_exit": "sched",
}
"""Tracepoints and their groups. The first two come last when attaching, so that no process is half seen."""

_HERE = Path(__file__).parent
_RAW_TRACEPOINT, _TRACEPOINT = 17, 5
_FIELDS = {
    "sys_enter": {"id": "TP_ENTER_NR"},
    "sys_exit": {"id": "TP_EXIT_NR", "ret": "TP_EXIT_RESULT"},
    "task_newtask": {"pid": "TP_CHILD", "clone_flags": "TP_CLONE_FLAGS"},
    "sched_process_exec": {"old_pid": "TP_OLD_PID"},
}
_EXECVE = {"x86_64": (59, 322)}
"""Numbers of execve and execveat where they are not those of the generic table, (221, 281)."""
_OFFSETS = {
    "task_struct.pid": "OFF_PID",
    "task_struct.exit_code": "OFF_EXIT_CODE",
    "task_struct.mm": "OFF_MM",
    "mm_struct.arg_start": "OFF_ARG_START",
    "mm_struct.arg_end": "OFF_ARG_END",
}
_OFFSETS_OF = {
    "x86_64": {"task_struct.thread_info.status": "OFF_THREAD_STATUS", "pt_regs.orig_ax": "OFF_SYSCALL_NR"},
    "aarch64": {"pt_regs.syscallno": "OFF_SYSCALL_NR"},
}


def flags_for(request: dict[str, Any], way: str, tracing: Path | None) -> tuple[list[str], list[str]]:
    """(-D flags, notes for the user) for this kernel and way; raises LoadError where the way cannot work."""
    machine, notes = platform.machine(), []
    execve, execveat = _EXECVE.get(machine, (221, 281))
    values = {"NR_EXECVE": execve, "NR_EXECVEAT": execveat, **request["sizes"]}
    wanted = _OFFSETS | _OFFSETS_OF.get(machine, {})
    try:
        found = btf.Btf.of_kernel().offsets(wanted)
    except btf.BtfError as error:
        found = {}
        if way == "raw":
            raise LoadError("btf", f"raw tracepoints need this kernel's BTF ({error}); use --way tracefs") from error
        notes.append("no BTF: exit statuses and command lines are not known, foreign ABIs are not told apart")
    values.update((wanted[name], offset) for name, offset in found.items())
    if machine == "x86_64":
        values["HAS_X32"] = 1
    if "OFF_PID" in values and maps.kernel_version() >= (5, 11):
        values["TASK_BTF"] = 1
    if way == "raw":
        if not {"OFF_PID", "OFF_SYSCALL_NR"} <= values.keys():
            raise LoadError("btf", "this kernel's BTF lacks task_struct.pid or pt_regs; use --way tracefs")
        values.update(WAY_RAW=1, KNOWS_REFUSED=1)
    else:
        values.update(_field_offsets(tracing), KNOWS_REFUSED=1)
    if facts.in_pid_namespace():
        values.update(_namespace_offsets(way))
    if request.get("only_uid") is not None:
        values["ONLY_UID"] = request["only_uid"]
    if request.get("only_wanted"):
        values["ONLY_WANTED"] = 1
    return [f"-D{name}={value}" for name, value in values.items()], notes


def _namespace_offsets(way: str) -> dict[str, int]:
    if way != "raw":
        raise LoadError("namespace", "inside a PID namespace only raw tracepoints can tell processes; use --way raw")
    names = {"task_struct.thread_pid": "OFF_THREAD_PID", "pid.level": "OFF_LEVEL", "pid.numbers": "OFF_NUMBERS"}
    found = btf.Btf.of_kernel().offsets([*names, "upid.ns"])
    if len(found) <= len(names):
        raise LoadError("btf", "this kernel's BTF lacks struct pid; run denet-tui outside of the PID namespace")
    values = {flag: found[name] for name, flag in names.items()}
    return {**values, "PID_NAMESPACE": 1, "SIZE_UPID": found["upid.ns"] + 8}  # the pointer is the last member


def tracefs() -> Path:
    """Where tracefs is mounted, from /proc/self/mountinfo (looking into debugfs would make the kernel mount it)."""
    point = facts.mounted(Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace"), "tracefs")
    if point is not None:
        return Path(point)
    raise LoadError("tracefs", "tracefs is not mounted: sudo mount -t tracefs tracefs /sys/kernel/tracing")


def _field_offsets(tracing: Path | None) -> dict[str, int]:
    values = {}
    for event, fields in _FIELDS.items():
        path = (tracing or tracefs()) / "events" / EVENTS[event] / event / "format"
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


def load(request: dict[str, Any], way: str) -> dict[str, Any]:
    """Compile, load and attach; returns descriptors by name under `maps`, `programs` and `links`; raises LoadError."""
    try:
        found = toolchain.find()
        bcc = toolchain.load(found)
    except toolchain.ToolchainError as error:
        raise LoadError("bcc", str(error)) from error
    tracing = tracefs() if way == "tracefs" else None
    flags, notes = flags_for(request, way, tracing)
    module = _compile(bcc, flags, (_HERE / "syscalls.c").read_bytes())
    kind = _RAW_TRACEPOINT if way == "raw" else _TRACEPOINT
    programs, links = {}, {}
    for event in EVENTS:
        try:
            programs[event] = module.load_func(f"on_{event}".encode(), kind).fd
        except Exception as error:
            raise LoadError("load", f"{event}: {error}", getattr(error, "errno", None)) from error
    for event in reversed(EVENTS):
        try:
            if way == "raw":
                links[event] = maps.raw_tracepoint_open(event, programs[event])
            else:
                links[event] = attach_perf(tracing or tracefs(), event, programs[event])
        except OSError as error:
            raise LoadError("attach", f"{event}: {_call(way, error)}: {error.strerror}", error.errno) from error
    optional = {"wanted": bool(request.get("only_wanted")), "claims": facts.in_pid_namespace()}
    names = (*MAPS, *(name for name, there in optional.items() if there))
    tables = {name: module[name.encode()].map_fd for name in names}
    return {
        "way": way,
        "bcc": found.version,
        "notes": notes,
        "maps": tables,
        "programs": programs,
        "links": links,
        "keep": module,
    }


def _compile(bcc: Any, flags: list[str], source: bytes) -> Any:
    """The compiled module. The shim stands in for kernel headers only while compiling."""
    os.environ["BCC_KERNEL_SOURCE"] = str(_HERE)
    try:
        return bcc.BPF(text=source, cflags=flags)
    except Exception as error:
        raise LoadError("compile", str(error) or type(error).__name__, getattr(error, "errno", None)) from error
    finally:
        del os.environ["BCC_KERNEL_SOURCE"]


def _call(way: str, error: OSError) -> str:
    """What failed while attaching: opening the event's id file, or the system call."""
    if error.filename:
        return f"open({error.filename})"
    return "perf_event_open" if way == "tracefs" else "bpf(BPF_RAW_TRACEPOINT_OPEN)"


def attach_perf(tracing: Path, event: str, program: int) -> int:
    """perf_event_open(2) on a tracepoint; one event on one CPU is enough, the program runs on all."""
    import fcntl

    path = tracing / "events" / EVENTS[event] / event / "id"
    number = int(path.read_text(encoding="ascii"))
    attributes = array.array("B", struct.pack("<IIQQQQQ16x", 2, 64, number, 1, 1 << 10, 0, 0))
    address, _ = attributes.buffer_info()
    descriptor = maps.system_call("perf_event_open", address, -1, 0, -1, 8)
    set_program, enable = 0x40042408, 0x2400
    fcntl.ioctl(descriptor, set_program, program)
    fcntl.ioctl(descriptor, enable, 0)
    return descriptor


def answer(request: dict[str, Any]) -> tuple[dict[str, Any], list[int]]:
    """The reply object and the descriptors that go with it, in the order of its `names`."""
    ways: Iterable[str] = ("raw", "tracefs") if request["way"] == "auto" else (request["way"],)
    failures = []
    for way in ways:
        try:
            loaded = load(request, way)
        except LoadError as error:
            failures.append({"way": way, **error.as_dict()})
            continue
        names, descriptors = [], []
        for kind in ("maps", "programs", "links"):
            for name, descriptor in loaded[kind].items():
                names.append([kind, name])
                descriptors.append(descriptor)
        reply = {key: loaded[key] for key in ("way", "bcc", "notes")}
        request["keep"] = loaded["keep"]  # bcc closes its descriptors when it is collected
        return {**reply, "names": names, "failures": failures}, descriptors
    return {"failures": failures, "facts": facts.gather().as_dict()}, []


def main() -> None:
    """Serve one request."""
    signal.alarm(SECONDS)
    channel = socket.socket(fileno=int(sys.argv[1]))
    with channel.makefile("rb") as lines:
        request = json.loads(lines.readline())
    try:
        reply, descriptors = answer(request)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other side must hear of it
        reply, descriptors = {"failures": [{"way": request["way"], "stage": "loader", "text": repr(error)}]}, []
    sys.stdout.flush()
    body = json.dumps(reply).encode()
    socket.send_fds(channel, [struct.pack("<I", len(body))], descriptors)
    channel.sendall(body)
    os._exit(0)


if __name__ == "__main__":
    main()
