"""What watching costs per syscall, against an empty pair of raw tracepoints, perf trace and strace.

Every round measures every side, interleaved; what is printed are the medians over the rounds, as ratios.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = [pytest.mark.bench, pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]

ROUNDS = 7


@pytest.fixture(scope="module")
def loop(tmp_path_factory):
    binary = tmp_path_factory.mktemp("bench") / "loop"
    source = Path(__file__).with_name("loop.c")
    subprocess.run(["gcc", "-O2", "-o", binary, source], check=True)
    return str(binary)


class Looper:
    """One looping process; `ns` is by default the best of several short runs, so that a stolen CPU does not count."""

    def __init__(self, argv):
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = self._process.pid

    def ns(self, calls=100_000, runs=8, choose=min):
        results = []
        for _ in range(runs):
            self._process.stdin.write(f"{calls}\n")
            self._process.stdin.flush()
            results.append(float(self._process.stdout.readline()))
        return choose(results)

    def close(self):
        self._process.stdin.close()
        self._process.wait()


@contextmanager
def held(kind, pid):
    argv = [sys.executable, "-m", "tests.bench.holder", kind, str(pid)]
    holder = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "ready\n"
    try:
        yield
    finally:
        holder.stdin.close()
        holder.wait()


def under(argv, loop, calls, output):
    """ns per call of the loop run by a tracer that starts it."""
    looper = Looper([*argv, loop])
    try:
        return looper.ns(calls, runs=5, choose=statistics.median)  # waking up the tracer is a part of its cost
    finally:
        looper.close()
        Path(output).unlink(missing_ok=True)


def test_cost_per_syscall(loop, tmp_path):
    perf = shutil.which("perf")
    strace = shutil.which("strace")
    report = str(tmp_path / "report")
    added = defaultdict(list)
    for _ in range(ROUNDS):
        looper = Looper([loop])
        bare = looper.ns()
        added["bare"].append(bare)
        with held("empty", 0):
            added["empty pair"].append(looper.ns() - bare)
        with held("ours", looper.pid):
            added["watched"].append(looper.ns() - bare)
        with held("ours", os.getpid()):
            added["not watched"].append(looper.ns() - bare)
        looper.close()
        if perf:
            argv = [perf, "trace", "-s", "--sort-events", "-m", "4096", "-o", report]
            added["perf trace -s"].append(under(argv, loop, 5_000, report) - bare)
        if strace:
            added["strace -c -f"].append(under([strace, "-c", "-f", "-o", report], loop, 2_000, report) - bare)
    medians = {name: statistics.median(values) for name, values in added.items()}
    print(f"\nadded ns per syscall, medians of {ROUNDS} rounds (bare call: {medians.pop('bare'):.0f} ns)")
    for name, value in medians.items():
        print(f"  {name:14} {value:10.0f}   {value / medians['empty pair']:8.2f} x empty pair")
    assert medians["watched"] <= 3.0 * medians["empty pair"]
    assert medians["not watched"] <= 1.7 * medians["empty pair"]
    for name, times in (("perf trace -s", 50), ("strace -c -f", 200)):
        if name in medians:
            print(f"  {name} costs {medians[name] / medians['watched']:.0f} times as much as watching with denet-tui")
            assert medians[name] >= times * medians["watched"]
