"""Watched once more with the programs that are loaded: nothing of the run before is told, or measured by."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from denet_tui.bpf import reset
from denet_tui.bpf.files import About
from denet_tui.bpf.handover import Loading
from denet_tui.bpf.request import Request
from denet_tui.bpf.tracer import Tracer

pytestmark = pytest.mark.root

SLEEPS = 'read go; for at in 1 2 3 4 5 6; do sleep "$1"; done; read more < "$2"; exit 0'


def run(tracer: Tracer, seconds: str, file: Path) -> int:
    """On one CPU, for the slowest calls are kept by CPU; watched while it runs, but not read. Its id."""
    argv = ["taskset", "-c", "0", "sh", "-c", SLEEPS, "sh", seconds, str(file)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE) as process:
        tracer.attach(process.pid)
        process.communicate(b"go\n", timeout=30)
    return process.pid


def told(about: About | None) -> tuple[list[int], set[str | None]]:
    """How often it has slept, in ns, and which files were used."""
    assert about
    slept = [each.time_ns for each in about.slow if each.syscall == "clock_nanosleep"]
    return slept, {file.path for _, file, _ in about.used}


def test_the_next_run_begins_anew(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("one", "two", "three")]
    for file in files:
        file.write_text("line\n")
    kernel = Loading(Request("raw", detail="files")).receive()
    tracer = Tracer(kernel)
    try:
        run(tracer, "0.2", files[0])
        slept, names = told(tracer.read().about)
        assert len([each for each in slept if each > 2 * 10**8]) == 5
        assert str(files[0]) in names
        run(tracer, "0.2", files[1])  # and is not read
        reset.stop_watching(kernel, tracer.read)
        run(tracer, "0.05", files[2])
        slept, names = told(tracer.read().about)
    finally:
        tracer.close()
    assert len(slept) == 5
    assert max(slept) < 2 * 10**8
    assert str(files[2]) in names
    assert not {str(file) for file in files[:2]} & names
