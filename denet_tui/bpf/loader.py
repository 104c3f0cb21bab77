"""The privileged process: compile, load, attach, hand the descriptors of maps and links over, exit.

Started as `python -I -m denet_tui.bpf.loader` with where its socket is, and whose calls it may count:

    channel N UID|everyone  by a process with its privilege: descriptor N, and what that process says
    serve                   by systemd for a connection: descriptor 0, and the uid at its other end (SO_PEERCRED)
    connect NAME            by sudo or the like, for a process that listens at that abstract address, the asking user's

It reads one request (request.py) from the socket, answers with one JSON object and the descriptors (SCM_RIGHTS), and
ends; those of programs end with it, for who holds one can attach it where it reads what it likes. Nothing that a user
can write is read here: no file, no environment, no text but the request.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from denet_tui import uname
from denet_tui.bpf import btf, compiled, confine, facts, maps, programs, toolchain, tracepoints
from denet_tui.bpf.failure import LoadError
from denet_tui.bpf.privilege import invoking_user
from denet_tui.bpf.request import LARGEST, LARGEST_SCALE, SIZES, Request, peer_uid, write_reply

SECONDS = 30
"""The loader ends by itself after that, even inside C++: nobody without privilege could end it."""
PATIENCE_S = 5
"""For a request, once there is a connection."""
LARGEST_SCALE_SERVED = 2
"""Of the tables for a user without privilege: 4 times the usual ones, about 80 MB of kernel memory."""
OUTPUT = 100_000
"""Bytes of what libbcc and LLVM printed that are passed on."""

MAPS = (
    "pid_syscall_map",
    "hot_rows",
    "hot_owners",
    "errnos",
    "slots",
    "owners",
    "tasks",
    "processes",
    "accounts",
    "syscall_counts",
    "lost",
    "epoch",
    "grace",
)
_EXECS, _TIME = {"DETAIL_EXECS": ("execs", "long_execs")}, {"DETAIL_TIME": ("times", "waits")}
_DETAILS = {("all", "raw"): _EXECS | _TIME, ("all", "tracefs"): _EXECS}
"""The flags by detail and method, with the maps of each."""
_EVENTS_OF_TIME = ("sched_wakeup",)
_HERE = Path(__file__).parent
_SOURCE = _HERE / "syscalls.c"
_INCLUDE = re.compile(rb'^#include "(\w+\.c)"$', re.MULTILINE)
_EXECVE = {"x86_64": (59, 322)}
"""Numbers of execve and execveat where they are not those of the generic table, (221, 281)."""
_OFFSETS = {
    "task_struct.pid": "OFF_PID",
    "task_struct.real_parent": "OFF_REAL_PARENT",
    "task_struct.stack": "OFF_STACK",
    "task_struct.cred": "OFF_CRED",
    "cred.uid": "OFF_UID",
    "task_struct.ptrace": "OFF_PTRACE",
    "task_struct.seccomp.mode": "OFF_SECCOMP_MODE",
    "pt_regs": "SIZE_REGS",
    "task_struct.exit_code": "OFF_EXIT_CODE",
    "task_struct.signal": "OFF_SIGNAL",
    "signal_struct.flags": "OFF_SIGNAL_FLAGS",
    "signal_struct.live": "OFF_LIVE",
    "task_struct.tgid": "OFF_TGID",
    "task_struct.group_leader": "OFF_LEADER",
    "task_struct.start_boottime": "OFF_BORN",
    "task_struct.mm": "OFF_MM",
    "mm_struct.arg_start": "OFF_ARG_START",
    "mm_struct.arg_end": "OFF_ARG_END",
    "mm_struct.hiwater_rss": "OFF_HIWATER",
    "mm_struct.rss_stat": "OFF_RSS",
    "percpu_counter.count": "OFF_COUNT",
    "percpu_counter": "SIZE_COUNTER",
    "task_struct.__state": "OFF_STATE",
    "task_struct.state": "OFF_STATE",
    "task_struct.se.sum_exec_runtime": "OFF_CPU",
    "task_struct.min_flt": "OFF_MIN_FLT",
    "task_struct.maj_flt": "OFF_MAJ_FLT",
    "task_struct.ioac.read_bytes": "OFF_READ_BYTES",
    "task_struct.ioac.write_bytes": "OFF_WRITE_BYTES",
    "signal_struct.maxrss": "OFF_MAXRSS",
    "mm_struct.env_end": "OFF_ENV_END",
    "cred.euid": "OFF_EUID",
    "task_struct.fs": "OFF_FS",
    "fs_struct.pwd": "OFF_PWD",
    "path.dentry": "OFF_DENTRY",
    "dentry.d_parent": "OFF_DPARENT",
    "dentry.d_name.name": "OFF_DNAME",
    "dentry.__d_name.name": "OFF_DNAME",
    "mount.mnt": "OFF_MOUNT",
    "mount.mnt_parent": "OFF_MNT_PARENT",
    "mount.mnt_mountpoint": "OFF_MNT_POINT",
    "vfsmount.mnt_root": "OFF_MNT_ROOT",
}
_OFFSETS_OF = {
    "x86_64": {
        "task_struct.thread_info.status": "OFF_THREAD_STATUS",
        "pt_regs.orig_ax": "OFF_SYSCALL_NR",
        "pt_regs.ax": "OFF_AX",
        "pt_regs.di": "OFF_ARG_0",
        "pt_regs.si": "OFF_ARG_1",
        "pt_regs.dx": "OFF_ARG_2",
    },
    "aarch64": {"pt_regs.syscallno": "OFF_SYSCALL_NR", "pt_regs.orig_x0": "OFF_ARG_0", "pt_regs.regs": "OFF_REGS"},
}


_HELPERS = {"TASK_BTF": (5, 11), "TASK_REGS": (5, 15)}
"""Helpers of the kernel that the program uses, by the version that brought them."""
_NEEDED = {"OFF_PID", "OFF_TGID", "OFF_REAL_PARENT", "OFF_STACK", "SIZE_REGS", "OFF_SYSCALL_NR"}
"""By raw tracepoints."""


def flags_for(
    request: Request, only_uid: int | None, method: str, fields: dict[str, int]
) -> tuple[list[str], list[str]]:
    """(-D flags, notes for the user) for this kernel and attach method; raises LoadError where it cannot work."""
    machine, notes = uname.machine(), []
    execve, execveat = _EXECVE.get(machine, (221, 281))
    values = {"NR_EXECVE": execve, "NR_EXECVEAT": execveat, "HAS_X32": int(machine == "x86_64"), **request.sizes}
    wanted = _OFFSETS | _OFFSETS_OF.get(machine, {})
    try:
        found = btf.Btf.of_kernel().offsets(wanted)
    except btf.BtfError as error:
        found = {}
        if method == "raw":
            raise LoadError(
                "btf", f"raw tracepoints need this kernel's BTF ({error}); use --attach-method tracefs"
            ) from error
        notes.append("no BTF: exit statuses and command lines are not known, foreign ABIs are not told apart")
    values.update((wanted[name], offset) for name, offset in found.items())
    if "OFF_REGS" in values:
        values.update(OFF_ARG_1=values["OFF_REGS"] + 8, OFF_ARG_2=values["OFF_REGS"] + 16)
    values.update(dict.fromkeys(_DETAILS.get((request.detail, method), {}), 1))
    kernel = maps.kernel_version()
    values.update({name: 1 for name, since in _HELPERS.items() if "OFF_PID" in values and kernel >= since})
    if method == "raw":
        if missing := _NEEDED - values.keys():
            raise LoadError("btf", f"this kernel's BTF lacks {', '.join(sorted(missing))}; use --attach-method tracefs")
        values["WAY_RAW"] = 1
    else:
        values.update(fields)
    if facts.in_pid_namespace():
        values.update(_namespace_offsets(method))
    if only_uid is not None:
        values["ONLY_UID"] = only_uid
    if request.only_wanted:
        values["ONLY_WANTED"] = 1
    return [f"-D{name}={value}" for name, value in values.items()], notes


def _namespace_offsets(method: str) -> dict[str, int]:
    if method != "raw":
        raise LoadError(
            "namespace", "inside a PID namespace only raw tracepoints can tell processes; use --attach-method raw"
        )
    names = {"task_struct.thread_pid": "OFF_THREAD_PID", "pid.level": "OFF_LEVEL", "pid.numbers": "OFF_NUMBERS"}
    found = btf.Btf.of_kernel().offsets([*names, "upid.ns"])
    if len(found) <= len(names):
        raise LoadError("btf", "this kernel's BTF lacks struct pid; run denet-tui outside of the PID namespace")
    values = {flag: found[name] for name, flag in names.items()}
    return {**values, "PID_NAMESPACE": 1, "SIZE_UPID": found["upid.ns"] + 8}  # the pointer is the last member


def load(request: Request, only_uid: int | None, method: str) -> dict[str, Any]:
    """Compile, load and attach; returns descriptors by name under `maps` and `links`; raises LoadError.

    What was compiled before is not compiled again (compiled.py). `verified` are the instructions of each program that
    the verifier walked. `after` is to be called once the descriptors are handed over: until then it holds them, as bcc
    closes them when it is collected.
    """
    try:
        found = toolchain.find()
    except toolchain.ToolchainError as error:
        raise LoadError("bcc", str(error)) from error
    tracing = tracepoints.tracefs() if method == "tracefs" else None
    fields = tracepoints.field_offsets(tracing) if tracing else {}
    kind = programs.RAW_TRACEPOINT if method == "raw" else programs.TRACEPOINT
    inside = facts.in_pid_namespace()
    details = _DETAILS.get((request.detail, method), {})
    events = (*tracepoints.EVENTS, *(_EVENTS_OF_TIME if "DETAIL_TIME" in details else ()))
    uid = compiled.compiled_for(only_uid)
    settings = (replace(request, method=method), request.sizes, uid, inside, fields)
    cache = compiled.ProgramCache(*settings, _OFFSETS, found)
    optional = {"wanted": request.only_wanted, "claims": inside}
    names = (*MAPS, *sum(details.values(), ()), *(name for name, there in optional.items() if there))
    loaded = cache.load(kind, names, events, only_uid)
    if loaded is None:
        loaded = _made(cache, found, kind, flags_for(request, uid, method, fields), names, events, only_uid)
    links = {}
    for event in reversed(events):
        try:
            if method == "raw":
                links[event] = maps.raw_tracepoint_open(event, loaded.programs[event])
            else:
                links[event] = tracepoints.attach_perf(tracing or tracepoints.tracefs(), event, loaded.programs[event])
        except OSError as error:
            raise LoadError("attach", f"{event}: {_call(method, error)}: {error.strerror}", error.errno) from error
    return {
        "method": method,
        "bcc": found.version,
        "notes": loaded.notes,
        "maps": {name: loaded.maps[name] for name in names},
        "links": links,
        "programs": loaded.programs,
        "verified": {event: programs.info(descriptor).verified for event, descriptor in loaded.programs.items()},
        "after": loaded.after,
    }


def _made(
    cache: compiled.ProgramCache,
    found: toolchain.Toolchain,
    kind: int,
    flags: tuple[list[str], list[str]],
    names: Iterable[str],
    events: Iterable[str],
    only_uid: int | None,
) -> compiled.Loaded:
    """The program compiled and loaded by bcc, and afterwards kept; raises LoadError.

    What is compiled for any uid is loaded once more for this one, as it will be from what is kept.
    """
    try:
        module = _compile(toolchain.load(found), flags[0], _source())
    except toolchain.ToolchainError as error:
        raise LoadError("bcc", str(error)) from error
    loaded = {}
    for event in events:
        try:
            loaded[event] = module.load_func(f"on_{event}".encode(), kind).fd
            code = module.dump_func(f"on_{event}".encode())
            if places := compiled.uids_in(code):
                loaded[event] = programs.load_program(kind, compiled.of_uid(code, places, only_uid), f"on_{event}")
        except Exception as error:
            raise LoadError("load", f"{event}: {error}", getattr(error, "errno", None)) from error
    try:
        tables = {name: module[name.encode()].map_fd for name in names}
    except KeyError as error:
        raise LoadError("source", f"{_SOURCE} is damaged: it lacks a map; install denet-tui again") from error
    return compiled.Loaded(tables, loaded, flags[1], lambda: cache.keep(module, tables, loaded, flags[1]))


def _source() -> bytes:
    """All of it in one text: bcc takes tables of the text itself alone."""
    try:
        return _INCLUDE.sub(lambda found: (_HERE / found[1].decode()).read_bytes(), _SOURCE.read_bytes())
    except OSError as error:
        text = f"{_SOURCE} cannot be read ({error.strerror}); install denet-tui again"
        raise LoadError("source", text, error.errno) from error


def _compile(bcc: Any, flags: list[str], source: bytes) -> Any:
    """The compiled module. The shim stands in for kernel headers only while compiling."""
    os.environ["BCC_KERNEL_SOURCE"] = str(_HERE)
    try:
        return bcc.BPF(text=source, cflags=flags)
    except Exception as error:
        raise LoadError("compile", str(error) or type(error).__name__, getattr(error, "errno", None)) from error
    finally:
        del os.environ["BCC_KERNEL_SOURCE"]


def _call(method: str, error: OSError) -> str:
    """What failed while attaching: opening the event's id file, or the system call."""
    if error.filename:
        return f"open({error.filename})"
    return "perf_event_open" if method == "tracefs" else "bpf(BPF_RAW_TRACEPOINT_OPEN)"


def answer(request: Request, only_uid: int | None) -> tuple[dict[str, Any], list[int], Callable[[], None]]:
    """The reply object, the descriptors that go with it in the order of its `names`, and what to call afterwards."""
    methods: Iterable[str] = ("raw", "tracefs") if request.method == "auto" else (request.method,)
    failures = []
    for method in methods:
        try:
            loaded = load(request, only_uid, method)
        except LoadError as error:
            failures.append({"method": method, **error.as_dict()})
            if error.stage == "load" and error.number in compiled.IN_VAIN:  # as it would be whatever is attached to
                break
            continue
        names = [[kind, name] for kind in ("maps", "links") for name in loaded[kind]]
        descriptors = [loaded[kind][name] for kind, name in names]
        reply = {key: loaded[key] for key in ("method", "bcc", "notes", "verified")}
        return {**reply, "names": names, "failures": failures}, descriptors, loaded["after"]
    return {"failures": failures, "facts": facts.gather().as_dict()}, [], _nothing


def _asked(words: list[str]) -> tuple[socket.socket, int | None, int]:
    """The socket, whose calls may be counted (None: everyone's), and the largest scale of the tables."""
    match words:
        case ["channel", number, who]:
            return socket.socket(fileno=int(number)), None if who == "everyone" else int(who), LARGEST_SCALE
        case ["serve"]:
            channel = socket.socket(fileno=os.dup(0))
        case ["connect", name]:
            channel = socket.socket(socket.AF_UNIX)
            channel.connect(f"\0{name}")
            if peer_uid(channel) != invoking_user().uid:
                sys.exit(77)  # somebody else listens there
        case _:
            sys.exit(64)
    output = os.memfd_create("loader-output")
    os.dup2(output, 1)
    os.dup2(output, 2)
    return channel, peer_uid(channel), LARGEST_SCALE_SERVED


def _refusal(request: Request, largest: int) -> LoadError | None:
    """Why who asks by a socket cannot have this."""
    if request.scale > largest:
        rows = SIZES["ROWS"] << largest
        return LoadError("request", f"without root there are at most {rows:,} rows; use --rows {rows}, or sudo")
    least = SIZES["ROWS"]  # a smaller map would be one more program for the same memory: it is what bounds them
    if largest != LARGEST_SCALE and request.rows is not None and request.rows < least:
        return LoadError("request", f"without root there are at least {least:,} rows; leave --rows out, or use sudo")
    if largest != LARGEST_SCALE and facts.reads_need_capability():
        text = "this kernel (below 5.19) lets only root read what is counted; use `sudo denet-tui`"
        return LoadError("request", text)
    return None


def _served(
    channel: socket.socket, only_uid: int | None, largest: int
) -> tuple[dict[str, Any], list[int], Callable[[], None]]:
    """The answer to the request that comes in; whatever goes wrong, the other side hears of it."""
    channel.settimeout(PATIENCE_S)
    signal.alarm(PATIENCE_S)  # for all of the request: each piece of it may come in time
    method = "raw"
    try:
        with channel.makefile("rb") as lines:
            request = Request.of_line(lines.readline(LARGEST))
        signal.alarm(SECONDS)
        method = request.method
        if refused := _refusal(request, largest):
            return {"failures": [{"method": method, **refused.as_dict()}]}, [], _nothing
        return answer(request, only_uid)
    except Exception as error:  # noqa: BLE001
        failure = {"method": method, "stage": "loader", "text": f"{type(error).__name__}: {error}"}
        return {"failures": [failure]}, [], _nothing


def _nothing() -> None: ...


def _output() -> str:
    """What libbcc and LLVM printed: standard output is a memory file."""
    with suppress(OSError):  # as with a limit on the size of files
        sys.stdout.flush()
        return os.pread(1, OUTPUT, 0).decode(errors="replace")
    return ""


def main() -> None:
    """Serve one request."""
    confine.protect()
    signal.alarm(SECONDS)
    channel, only_uid, largest = _asked(sys.argv[1:])
    reply, descriptors, after = _served(channel, only_uid, largest)
    with suppress(OSError):  # whoever took the descriptors and did not read on has them all the same
        write_reply(channel, {**reply, "output": _output()}, descriptors)
    after()
    os._exit(0 if descriptors else 1)


if __name__ == "__main__":
    main()
