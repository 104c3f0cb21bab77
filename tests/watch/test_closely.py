"""A process looked at closely, and held for signals: it and no other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from denet_tui.model import ProcessInfo
from denet_tui.system import clock
from denet_tui.watch.closely import Held, look

HOUR_NS = 3600 * 10**9


def info(pid: int, since_ns: int = 0) -> ProcessInfo:
    return ProcessInfo(pid, pid, 1, "cat", ("cat",), clock.now_ns() - since_ns)


@pytest.fixture
def cat(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(b"x")
        process.stdin.flush()
        assert process.stdout.read(1) == b"x"
        yield process
        process.kill()


def test_what_proc_shows_of_a_process_that_lives(cat: subprocess.Popen[bytes], tmp_path: Path) -> None:
    seen = look(info(cat.pid))
    assert seen is not None
    assert (seen.uid, seen.cwd, seen.threads) == (os.geteuid(), str(tmp_path), {cat.pid: "cat"})
    assert 0 <= seen.age_ns < HOUR_NS


def test_another_with_its_id_is_not_it(cat: subprocess.Popen[bytes]) -> None:
    stranger = info(cat.pid, since_ns=HOUR_NS)
    assert look(stranger) is None
    with pytest.raises(ProcessLookupError):
        Held(stranger)


def test_a_signal_reaches_what_is_held_and_nothing_once_it_has_ended(cat: subprocess.Popen[bytes]) -> None:
    held = Held(info(cat.pid))
    held.send(signal.SIGTERM)
    assert cat.wait() == -signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        held.send(signal.SIGTERM)
    held.close()
    assert look(info(cat.pid)) is None
    with pytest.raises(ProcessLookupError):
        Held(info(cat.pid))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else afterwards")
def test_another_users_process_is_not_held() -> None:
    script = (
        "import os, sys; os.setuid(65534)\n"
        "from tests.watch.test_closely import Held, info\n"
        "try: Held(info(os.getppid()))\n"
        "except PermissionError: print('refused', len(os.listdir('/proc/self/fd')))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.startswith("refused"), done.stderr
