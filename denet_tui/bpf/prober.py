"""Tries the kernel side layer by layer, in a process of its own: a crash or a seccomp kill ends nobody else.

Started as `python -I -m denet_tui.bpf.prober ways|bcc`. Prints one JSON object a line, as soon as it is known, so
that what was reached is known even where this process is killed. Nothing that it makes outlives it.

ways: `{"way", "layer", "errno", "text"}` for each layer (errno 0 is good), and after `load` one with `programs`
(verified instructions by event) and `maps` (type, key size, value size and entries by name), after `count` one
with `made`, `counted` and `loss`.
bcc: `{"folder", "version", "library"}`, or `{"error"}`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from denet_tui.bpf import burst, loader, maps, programs, toolchain
from denet_tui.bpf.errors import LoadError
from denet_tui.bpf.handover import Kernel, Loading
from denet_tui.bpf.names import numbers
from denet_tui.bpf.tracer import Tracer

LAYERS = ("event", "map", "program", "attach", "load", "count")
"""`event` (files in tracefs) is the second way's alone; `load` is the real program, with all that bcc does."""
SECONDS = 20.0


def _say(**what: Any) -> None:
    print(json.dumps(what), flush=True)


def _tries(way: str, layer: str, attempt: Callable[[], Any]) -> Any:
    """The result of a layer, said; None where it failed."""
    try:
        result = attempt()
    except OSError as error:
        text = f"{error.strerror or error}" + (f" ({error.filename})" if error.filename else "")
        _say(way=way, layer=layer, errno=error.errno or -1, text=text)
    except LoadError as error:
        _say(way=way, layer=layer, errno=error.number or -1, text=error.text, stage=error.stage, output=error.output)
    else:
        _say(way=way, layer=layer, errno=0, text="")
        return result
    return None


def simple_layers(way: str) -> bool:
    """True where the kernel takes a tiny map and a tiny program this way, and lets it be attached."""
    tracing = Path()
    if way == "tracefs":
        found = _tries(way, "event", _event)
        if found is None:
            return False
        tracing = found
    table = _tries(way, "map", programs.create_map)
    kind = programs.RAW_TRACEPOINT if way == "raw" else programs.TRACEPOINT
    program = None if table is None else _tries(way, "program", lambda: programs.load_program(kind))
    if program is None:
        return False
    if way == "raw":
        link = _tries(way, "attach", lambda: maps.raw_tracepoint_open("sys_enter", program))
    else:
        link = _tries(way, "attach", lambda: loader.attach_perf(tracing, "sys_enter", program))
    for descriptor in (table, program, link):
        if descriptor is not None:
            os.close(descriptor)
    return link is not None


def _event() -> Path:
    tracing = loader.tracefs()
    (tracing / "events" / "raw_syscalls" / "sys_enter" / "id").read_bytes()
    return tracing


def real_layers(way: str, loading: Loading) -> None:
    """Load the real program, look at what the kernel holds of it, and count a known burst."""
    kernel: Kernel | None = _tries(way, "load", lambda: loading.receive(SECONDS))
    if kernel is None:
        return
    tracer = Tracer(kernel)
    try:
        verified = {event: programs.info(descriptor).verified for event, descriptor in kernel.programs.items()}
        tables = {name: maps.Map(descriptor) for name, descriptor in kernel.maps.items()}
        shapes = {name: [each.type, each.key_size, each.value_size, each.max_entries] for name, each in tables.items()}
        _say(way=way, programs=verified, maps=shapes, bcc=kernel.bcc)
        outcome = _tries(way, "count", lambda: burst.count(tracer, numbers()["read"]))
        if outcome is not None:
            _say(way=way, made=outcome.made, counted=outcome.counted, loss=outcome.loss, exact=outcome.exact)
    finally:
        tracer.close()


def ways() -> None:
    """Both ways; the two loaders work at the same time."""
    good = [way for way in ("raw", "tracefs") if simple_layers(way)]
    for way, loading in [(way, Loading(way)) for way in good]:
        real_layers(way, loading)


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
    {"ways": ways, "bcc": bcc}[sys.argv[1]]()
