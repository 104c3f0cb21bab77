"""A command whose execve takes longer than the first interval, as on a slow disk: nothing is told before it."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.watch.helpers import denet

pytestmark = pytest.mark.root

HELD_S = 0.8
_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def slow_to_execute(program: Path) -> Iterator[None]:
    """As fanotify(7) has it: a process that opens it to execute it waits for an answer."""
    asked = _libc.fanotify_init(4, os.O_RDONLY)  # FAN_CLASS_CONTENT
    assert asked >= 0
    assert _libc.fanotify_mark(asked, 1, ctypes.c_uint64(0x40000), -100, bytes(program)) == 0  # FAN_OPEN_EXEC_PERM

    def answer() -> None:
        (opened,) = struct.unpack_from("<i", os.read(asked, 4096), 16)
        time.sleep(HELD_S)
        os.write(asked, struct.pack("<iI", opened, 1))
        os.close(opened)

    answering = threading.Thread(target=answer)
    answering.start()
    try:
        yield
    finally:
        answering.join(30)
        os.close(asked)


def test_a_recording_begins_with_the_command_and_can_be_opened(tmp_path: Path) -> None:
    program = Path(shutil.copy("/bin/sleep", tmp_path / "program"))
    recording = tmp_path / "it.jsonl"
    with slow_to_execute(program):
        done = denet("run", "--no-tui", "--interval", "0.2", "-o", str(recording), "--", str(program), "0.5")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in recording.read_text().splitlines()]
    first = next(line for line in lines if line["kind"] in ("process", "tree"))
    assert (first["kind"], first.get("event"), first.get("execs")) == ("process", "exec", 1)
    assert [line["execs"] for line in lines if line.get("event") == "exec"] == [1]
    reported = denet("report", "--json", str(recording))
    assert reported.returncode == 0, reported.stderr
    assert json.loads(reported.stdout)["syscalls"]["execve"]["calls"] == 1
