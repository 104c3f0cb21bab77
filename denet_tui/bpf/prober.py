"""Tries the kernel side layer by layer, in a process of its own: a crash or a seccomp kill ends no other process.

Started as `python -I -m denet_tui.bpf.prober methods|bcc|prove METHOD`. Prints one JSON object a line, as soon as it is
known, so that what was reached is known even where this process is killed. Nothing that it makes outlives it.

methods: `{"method", "layer", "errno", "text"}` for each layer (errno 0 is good), and after `load` one with `programs`
(verified instructions by event) and `maps` (type, key size, value size and entries by name), after `count` one
with `made`, `counted` and `loss`.
prove: `{"made", "counted"}` again and again, then `{"method"}` with the `outcome`, a `failure` (LoadError), or what was
`refused`.
bcc: `{"folder", "version", "library"}`, or `{"error"}`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from denet_tui.bpf import burst, confine, maps, programs, toolchain, tracepoints, unprivileged
from denet_tui.bpf.failure import LoadError
from denet_tui.bpf.handover import Kernel, Loading
from denet_tui.bpf.privilege import may_load
from denet_tui.bpf.request import Request
from denet_tui.bpf.tracer import Tracer
from denet_tui.syscalls import numbers

LAYERS = ("service", "event", "map", "program", "attach", "load", "count")
"""`service` is for a user without privilege, `event` (files in tracefs) for tracefs tracepoints alone; `load` is the
real program, with all that bcc does."""
SECONDS = 20.0


def _say(**what: Any) -> None:
    print(json.dumps(what), flush=True)


def _tries(method: str, layer: str, attempt: Callable[[], Any]) -> Any:
    """The result of a layer, said; None if it failed."""
    try:
        result = attempt()
    except OSError as error:
        text = f"{error.strerror or error}" + (f" ({error.filename})" if error.filename else "")
        _say(method=method, layer=layer, errno=error.errno or -1, text=text)
    except LoadError as error:
        _say(
            method=method,
            layer=layer,
            errno=error.number or -1,
            text=error.text,
            stage=error.stage,
            output=error.output,
        )
    else:
        _say(method=method, layer=layer, errno=0, text="")
        return result
    return None


def simple_layers(method: str) -> bool:
    """Whether the kernel takes a tiny map and a tiny program by this attach method, and lets it be attached."""
    tracing = Path()
    if method == "tracefs":
        found = _tries(method, "event", _event)
        if found is None:
            return False
        tracing = found
    table = _tries(method, "map", programs.create_map)
    kind = programs.RAW_TRACEPOINT if method == "raw" else programs.TRACEPOINT
    program = None if table is None else _tries(method, "program", lambda: programs.load_program(kind))
    if program is None:
        return False
    if method == "raw":
        link = _tries(method, "attach", lambda: maps.raw_tracepoint_open("sys_enter", program))
    else:
        link = _tries(method, "attach", lambda: tracepoints.attach_perf(tracing, "sys_enter", program))
    for descriptor in (table, program, link):
        if descriptor is not None:
            os.close(descriptor)
    return link is not None


def _event() -> Path:
    tracing = tracepoints.tracefs()
    (tracing / "events" / "raw_syscalls" / "sys_enter" / "id").read_bytes()
    return tracing


def real_layers(method: str, loading: unprivileged.Loads) -> None:
    """Load the real program, look at what the kernel holds of it, and count a known burst."""
    kernel: Kernel | None = _tries(method, "load", lambda: loading.receive(SECONDS))
    if kernel is None:
        return
    confine.confine()
    tracer = Tracer(kernel)
    try:
        tables = {name: maps.Map(descriptor) for name, descriptor in kernel.maps.items()}
        shapes = {name: [each.type, each.key_size, each.value_size, each.max_entries] for name, each in tables.items()}
        _say(method=method, programs=kernel.verified, maps=shapes, bcc=kernel.bcc)
        outcome = _tries(method, "count", lambda: burst.count(tracer, numbers()["read"]))
        if outcome is not None:
            _say(method=method, made=outcome.made, counted=outcome.counted, loss=outcome.loss, exact=outcome.exact)
    finally:
        tracer.close()


def methods() -> None:
    """Both attach methods; the two loaders work at the same time. Without privilege, through the loader's service."""
    confine.protect()
    if not may_load() and unprivileged.has_service():
        served = _tries("raw", "service", lambda: unprivileged.Served(Request("raw")))
        if served:
            real_layers("raw", served)
        return
    good = [method for method in ("raw", "tracefs") if simple_layers(method)]
    for method, loading in [(method, Loading(Request(method))) for method in good]:
        real_layers(method, loading)


def prove(method: str) -> None:
    """Count 1,000 known calls, by one attach method; each step of it is said."""
    confine.protect()
    try:
        wanted = Request(method)
        loading = Loading(wanted) if may_load() or not unprivileged.has_service() else unprivileged.Served(wanted)
        kernel = loading.receive(SECONDS)
    except LoadError as error:
        _say(method=error.method, failure=error.to_json())
        return
    confine.confine()
    tracer = Tracer(kernel)
    try:
        outcome = burst.count(tracer, numbers()["read"], lambda made, counted: _say(made=made, counted=counted))
        _say(method=kernel.method, outcome=outcome.to_json())
    except OSError as error:
        _say(method=kernel.method, refused=error.strerror or str(error))


def bcc() -> None:
    """Find and import bcc, and say which libbcc that brought."""
    try:
        found = toolchain.find()
        toolchain.load(found)
    except toolchain.ToolchainError as error:
        _say(error=str(error))
        return
    mapped = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    libraries = {line.split(maxsplit=5)[5] for line in mapped if "/libbcc.so" in line}
    _say(folder=str(found.folder), version=found.version, library=min(libraries, default=""))


if __name__ == "__main__":
    what: dict[str, Callable[..., None]] = {"methods": methods, "bcc": bcc, "prove": prove}
    what[sys.argv[1]](*sys.argv[2:])
