"""The privileged process: compile, load, attach, hand the descriptors of maps and links over, exit.

Started as `python -I -m denet_tui.bpf.loader` with where its socket is, and whose calls it may count:

    channel N UID|everyone  by a process with its privilege: descriptor N, and what that process says
    channel N asked         likewise, ahead of time: whose calls comes there in a line of its own, before the request
    serve                   by systemd for a connection: descriptor 0, and the uid at its other end (SO_PEERCRED)
    connect NAME            by sudo or the like, for a process that listens at that abstract address, the asking user's

It reads one request (request.py) from the socket, answers with one JSON object and the descriptors (SCM_RIGHTS), and
ends; those of programs end with it, for its holder can attach it where it reads what it likes. Nothing that a user
can write is read here: no file, no environment, no text but the request.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from denet_tui.bpf import compiled, confine, facts, file_calls, macros, maps, programs, symbols, toolchain, tracepoints
from denet_tui.bpf.failure import LoadError
from denet_tui.bpf.privilege import invoking_user
from denet_tui.bpf.request import LARGEST, LARGEST_SCALE, SIZES, Request, peer_uid, write_reply

SECONDS = 60
"""The loader ends by itself after that, even inside C++: no process without privilege could end it."""
PATIENCE_S = 5
"""For a request, once there is a connection."""
LARGEST_SCALE_SERVED = 2
"""Of the tables for a user without privilege: 4 times the usual ones, 250 MB of kernel memory, 425 with all detail."""
OUTPUT = 100_000
"""Bytes of what libbcc and LLVM printed that are passed on, the last: the verifier's log ends with why it rejects."""

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
_EVENTS_OF_TIME = ("sched_wakeup",)
_EVENTS_OF_CGROUPS = ("cgroup_attach_task",)
_HERE = Path(__file__).parent
_SOURCE = _HERE / "kernel" / "program.c"
_INCLUDE = re.compile(rb'^#include "(\w+\.c)"$', re.MULTILINE)


def load(request: Request, only_uid: int | None) -> dict[str, Any]:
    """Compile, load and attach; returns descriptors by name under `maps` and `links`; raises LoadError.

    The request names its attach method: none is chosen here.
    What was compiled before is not compiled again (compiled.py). `verified` are the instructions of each program that
    the verifier walked. `after` is to be called once the descriptors are handed over: until then it holds them, as bcc
    closes them when it is collected.
    """
    try:
        found = toolchain.find()
    except toolchain.ToolchainError as error:
        raise LoadError("bcc", str(error)) from error
    method = request.method
    tracing = tracepoints.tracefs() if method == "tracefs" else None
    fields = tracepoints.field_offsets(tracing) if tracing else {}
    kind = programs.RAW_TRACEPOINT if method == "raw" else programs.TRACEPOINT
    inside = facts.in_pid_namespace()
    details = macros.DETAILS.get((request.detail, method), {})
    events = events_of(request, details)
    uid = compiled.compiled_for(only_uid)
    settings = (request, request.sizes, uid, inside, fields)
    cache = compiled.ProgramCache(*settings, macros.OFFSETS, found)
    optional = {"wanted": request.only_wanted, "claims": inside, "cgroup": request.by_cgroup}
    needed = (*MAPS, *sum(details.values(), ()), *(name for name, there in optional.items() if there))
    names = needed, file_calls.maps_of(request)
    loaded = cache.load(kind, needed, events, names[1], only_uid)
    if loaded is None:
        symbols.leave_few()
        loaded = _made(cache, found, kind, macros.flags_for(request, uid, fields), names, events, only_uid)
    handed = file_calls.fill(loaded.maps)
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
        "maps": handed,
        "links": links,
        "programs": loaded.programs,
        "verified": {event: programs.info(descriptor).verified for event, descriptor in loaded.programs.items()},
        "after": loaded.after,
    }


def events_of(request: Request, details: Collection[str]) -> tuple[str, ...]:
    """The tracepoints that are attached to, the first one last."""
    of_time = _EVENTS_OF_TIME if "DETAIL_TIME" in details else ()
    return (*tracepoints.EVENTS, *of_time, *(_EVENTS_OF_CGROUPS if request.by_cgroup else ()))


def _made(
    cache: compiled.ProgramCache,
    found: toolchain.Toolchain,
    kind: int,
    flags: tuple[list[str], list[str]],
    names: tuple[Iterable[str], Iterable[str]],
    events: Iterable[str],
    only_uid: int | None,
) -> compiled.Loaded:
    """The program compiled and loaded by bcc, and afterwards kept; raises LoadError.

    `names` are the maps that must be there, and those that may be.
    """
    try:
        module = compile_program(toolchain.load(found), flags[0], program_text())
    except toolchain.ToolchainError as error:
        raise LoadError("bcc", str(error)) from error
    loaded = dict[str, int]()

    def load_one(event: str) -> None:
        try:
            loaded[event] = compiled.load(module, kind, event, only_uid)
        except Exception as error:
            raise LoadError("load", f"{event}: {error}", getattr(error, "errno", None)) from error

    try:
        compiled.side_by_side(load_one, events)
    except LoadError as error:
        if (plain := file_calls.without_cast(flags[0])) != flags[0]:  # as where nothing is compiled to machine code
            print(error.text)
            return _made(cache, found, kind, (plain, flags[1]), names, events, only_uid)
        raise
    try:
        tables = {name: module[name.encode()].map_fd for name in names[0]}
    except KeyError as error:
        raise LoadError("source", f"{_SOURCE.parent} is damaged: it lacks a map; install denet-tui again") from error
    for name in names[1]:
        with suppress(KeyError):
            tables[name] = module[name.encode()].map_fd
    return compiled.Loaded(tables, loaded, flags[1], lambda: cache.keep(module, tables, loaded, flags[1]))


def program_text() -> bytes:
    """All of it in one text: bcc takes tables of the text itself alone."""
    try:
        return _INCLUDE.sub(lambda found: _SOURCE.with_name(found[1].decode()).read_bytes(), _SOURCE.read_bytes())
    except OSError as error:
        text = f"{error.filename} cannot be read ({error.strerror}); install denet-tui again"
        raise LoadError("source", text, error.errno) from error


def compile_program(bcc: Any, flags: list[str], source: bytes) -> Any:
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


def _tries(request: Request) -> Iterator[Request]:
    """What is loaded, the best first: what a verifier refuses with its details may pass without, and is exact."""
    if request.method != "auto":
        yield request
        return
    yield request._replace(method="raw")
    if request.detail != "calls":
        yield request._replace(method="raw", detail="calls")
    yield request._replace(method="tracefs")


def answer(request: Request, only_uid: int | None) -> tuple[dict[str, Any], list[int], Callable[[], None]]:
    """The reply object, the descriptors that go with it in the order of its `names`, and what to call afterwards."""
    failures: list[dict[str, Any]] = []
    for asked in _tries(request):
        if asked.detail != request.detail and failures[-1]["stage"] != "load":
            continue  # nothing that its details need was refused
        try:
            loaded = load(asked, only_uid)
        except LoadError as error:
            failures.append({"method": asked.method, "detail": asked.detail, **error.as_dict()})
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
            channel = socket.socket(fileno=int(number))
            if who == "asked":
                compiled.sources()  # which takes a while: this process may have to wait anyway
                who = _line(channel)
            return channel, None if who == "everyone" else int(who), LARGEST_SCALE
        case ["serve"]:
            channel = socket.socket(fileno=os.dup(0))
        case ["connect", name]:
            channel = socket.socket(socket.AF_UNIX)
            channel.connect(f"\0{name}")
            if peer_uid(channel) != invoking_user().uid:
                sys.exit(77)  # another process listens there
        case _:
            sys.exit(64)
    output = os.memfd_create("loader-output")
    os.dup2(output, 1)
    os.dup2(output, 2)
    return channel, peer_uid(channel), LARGEST_SCALE_SERVED


def _line(channel: socket.socket) -> str:
    """The first line that comes, and nothing behind it; exits where its sender has ended."""
    line = b""
    while not line.endswith(b"\n"):
        line += channel.recv(1) or sys.exit(1)
    return line.decode().strip()


def _refusal(request: Request, largest: int) -> LoadError | None:
    """Why a process that asks by a socket cannot have this."""
    if request.scale > largest:
        rows = SIZES["ROWS"] << largest
        return LoadError("request", f"without root there are at most {rows:,} rows; use --rows {rows}, or sudo")
    least = SIZES["ROWS"]  # a smaller map would be one more program for the same memory: it is what bounds them
    if largest != LARGEST_SCALE and request.rows is not None and request.rows < least:
        return LoadError("request", f"without root there are at least {least:,} rows; leave --rows out, or use sudo")
    if largest != LARGEST_SCALE and request.by_cgroup:
        return LoadError("request", "only root watches a cgroup; use sudo")
    if largest != LARGEST_SCALE and facts.reads_need_capability():
        text = "this kernel (below 5.19) lets only root read what is counted; use sudo"
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
        return os.pread(1, OUTPUT, max(0, os.fstat(1).st_size - OUTPUT)).decode(errors="replace")
    return ""


def main(words: list[str] | None = None) -> None:
    """Serve one request; `words` are those of the command line, where it is none."""
    confine.protect()
    signal.alarm(SECONDS)
    channel, only_uid, largest = _asked(sys.argv[1:] if words is None else words)
    reply, descriptors, after = _served(channel, only_uid, largest)
    with suppress(OSError):  # a process that took the descriptors and did not read on has them, too
        write_reply(channel, {**reply, "output": _output()}, descriptors)
    after()
    os._exit(0 if descriptors else 1)


if __name__ == "__main__":
    main()
