"""What 20,000 and 100,000 rows take, how long a diagnosis does, how soon a run counts, and what it weighs."""

from __future__ import annotations

import os
import re
import statistics
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from denet_tui.bpf import maps
from denet_tui.bpf.handover import Loading
from denet_tui.bpf.request import Request
from denet_tui.bpf.tracer import Tracer
from denet_tui.model import RunInfo
from denet_tui.watch.worker import Attached, Session

pytestmark = [pytest.mark.bench, pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]

ROUNDS = 15
DENET = [sys.executable, "-m", "denet_tui"]


def fill(tracer, number, processes):
    """Put rows into both maps, as the kernel side would, on the side that is read next."""
    rows, counts = tracer.maps["pid_syscall_map"], tracer.maps["syscall_counts"]
    side, calls = tracer.epoch & 1, {}
    value = struct.pack("<29QQ", 7, 7, 0, 0, 700, 7, *[0] * 23, 300)
    for index in range(number):
        tgid, nr = 1000 + index % processes, index // processes
        rows.update(struct.pack("<Ii", tgid | side << 22, nr), value)
        calls[nr] = calls.get(nr, 0) + 7
    for nr, count in calls.items():
        key = struct.pack("<I", side * 1920 + nr)
        before = struct.unpack(f"<{maps.possible_cpus()}Q", counts.lookup(key))
        counts.update(key, struct.pack(f"<{len(before)}Q", before[0] + count, *before[1:]))


@pytest.mark.parametrize(("number", "processes", "scale", "most_ms"), [(20_000, 500, 0, 60), (100_000, 2_500, 1, 120)])
def test_rows_to_snapshot(number, processes, scale, most_ms):
    """CPU time of this thread, the least of the rounds: others on the machine can only add to it."""
    tracer = Tracer(Loading(Request("raw", scale=scale)).receive())
    info = RunInfo(("x",), "/x", os.getpid(), "raw", "root", 0.5, 0, time.monotonic_ns())
    ourselves = Attached()
    ourselves.add(os.getpid())
    session = Session(info, tracer, ourselves)
    full_ms, empty_ms = [], []
    for _ in range(ROUNDS):
        started = time.thread_time()
        session.tick()
        empty_ms.append((time.thread_time() - started) * 1e3)
        fill(tracer, number, processes)
        started = time.thread_time()
        snapshot = session.tick()
        full_ms.append((time.thread_time() - started) * 1e3)
        assert snapshot.exact
        assert snapshot.delta.calls == 7 * number
    tracer.close()
    print(
        f"\n{number:,} rows read, decoded and turned into a Snapshot: {min(full_ms):.1f} ms of CPU "
        f"(median {statistics.median(full_ms):.1f}); a tick without rows: {min(empty_ms):.1f} ms"
    )
    assert min(full_ms) < most_ms


def test_first_call():
    """From the start of denet-tui to the first counted call, which is the command's execve."""
    seconds = []
    for _ in range(7):
        before = time.monotonic_ns()
        summary = Path(f"/tmp/denet-tui-bench-{os.getpid()}.json")
        started_ms = time.time() * 1000
        subprocess.run([*DENET, "run", "--no-tui", "--summary", summary, "--", "true"], check=True, capture_output=True)
        text = summary.read_text()
        exec_ms = float(re.search(r'"start_ms":([\d.]+)', text)[1])
        seconds.append((exec_ms - started_ms) / 1000)
        summary.unlink()
        assert time.monotonic_ns() > before
    print(f"\nfrom start to the first counted call: {statistics.median(seconds):.2f} s (best {min(seconds):.2f})")
    assert statistics.median(seconds) < 1.0


def test_diagnosis():
    """Every check of a machine on which watching works, the real probe included."""
    seconds = []
    for _ in range(5):
        before = time.monotonic()
        subprocess.run([*DENET, "diag"], check=True, capture_output=True)
        seconds.append(time.monotonic() - before)
    print(f"\ndiag: {statistics.median(seconds):.2f} s (best {min(seconds):.2f})")
    assert statistics.median(seconds) < 1.5


def test_memory():
    """RSS while watching without a screen."""
    process = subprocess.Popen([*DENET, "run", "--no-tui", "--", "sleep", "3"], stderr=subprocess.DEVNULL)
    time.sleep(2)
    status = Path(f"/proc/{process.pid}/status").read_text()
    rss = int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024
    process.wait()
    print(f"\nRSS without a screen: {rss:.0f} MB")
    assert rss < 40
