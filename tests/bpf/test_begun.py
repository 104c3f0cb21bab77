"""Calls that threads are in already when they are attached to: shown as long as they last, and counted nowhere."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.bpf.test_running import watching
from tests.real import DENET, REPOSITORY, environment
from tests.watch.helpers import eventually, text_of

pytestmark = pytest.mark.root

PYTHON = str(Path(sys.executable).resolve())
HANGING = str(Path(__file__).with_name("hanging.py"))


@contextmanager
def hanging(folder: Path, *before: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """The process, and what it says of where its threads hang."""
    argv = [*before, PYTHON, "-S", HANGING, str(folder)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        try:
            assert process.stdout
            yield process, process.stdout.readline().split()
        finally:
            process.kill()


def in_flight(path: Path) -> list[dict[str, Any]]:
    """What the last tick of a recording has."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [each for line in lines if line["kind"] == "tree" for each in line["denet_tui"]["in_flight"]]


def told(path: Path, process: int) -> set[tuple[str, str | None]]:
    """The calls and what they are about of its threads but the first."""
    return {
        (each["syscall"], each.get("about"))
        for each in in_flight(path)
        if each["tgid"] == process and each["tid"] != process
    }


@pytest.mark.parametrize("way", ["attach", "machine"])
def test_what_threads_hung_in_before_is_told(tmp_path: Path, way: str) -> None:
    recording = tmp_path / "recording"
    with hanging(tmp_path) as (process, (port, udp, pipe)):
        words = ["attach", str(process.pid)] if way == "attach" else ["machine"]
        with watching(tmp_path, *words, detail="all"):
            eventually(lambda: text_of(recording).count('"kind":"tree"') >= 4, "it watches")
        assert told(recording, process.pid) == {
            ("connect", f"127.0.0.1:{port}"),
            ("connect", "unix @denet-full"),
            ("recvfrom", f"udp 127.0.0.1:{udp}"),
            ("read", f"pipe:[{pipe}]"),
            ("openat", f"{tmp_path}/fifo"),
            ("sendto", "unix @denet-datagrams"),
        }
