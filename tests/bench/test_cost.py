"""What watching costs per syscall, against an empty pair of raw tracepoints, perf trace and strace.

CPU time of the calling thread, the least of rounds in which every side is measured and the bare call is steady: that
stays the same on a busy machine. Other tracers on the machine are in the bare call, and so in no difference.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = [pytest.mark.bench, pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]

ROUNDS = int(os.environ.get("DENET_TUI_BENCH_ROUNDS", "60"))
TRIES = 5 * ROUNDS
CALLS, RUNS = 20_000, 3
STEADY_NS = 10
"""By how much the bare call may differ in a round that counts."""
GETPPID, FAILING, READING, OPENING, PINGPONG = range(5)
"""Kinds of calls, as in loop.c."""
PINGPONG_SHARE = 0.1
"""Of a byte to another process and back on one CPU: so much more it may cost where the time is watched, too."""
FILES_FACTOR, FILES_FAILING_NS = 1.5, 2_000
"""A read may cost that many times as much, a failing openat that much more, where files are watched, too."""


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> str:
    binary = tmp_path_factory.mktemp("bench") / "loop"
    source = Path(__file__).with_name("loop.c")
    subprocess.run(["gcc", "-O2", "-o", binary, source], check=True)
    return str(binary)


class Looper:
    """A process that loops on request, or does whatever else a line of text asks for."""

    def __init__(self, *argv: str) -> None:
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = self._process.pid

    def ask(self, line: str) -> str:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()

    def ns(self, kind: int = GETPPID, calls: int = CALLS, runs: int = RUNS) -> float:
        """CPU time of one call, the least of some runs."""
        return min(float(self.ask(f"{calls} {kind}")) for _ in range(runs))

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


@contextmanager
def looping(*argv: str) -> Iterator[Looper]:
    looper = Looper(*argv)
    try:
        yield looper
    finally:
        looper.close()


def test_cost_per_syscall(loop: str) -> None:
    added: dict[str, list[float]] = defaultdict(list)
    least = [float("inf")] * 2
    with (
        looping(loop) as watched,
        looping(loop) as other,
        looping(sys.executable, "-m", "tests.bench.holder", str(watched.pid)) as holder,
    ):

        def attached(what: str, looper: Looper = watched, kinds: Sequence[int] = (GETPPID, FAILING)) -> list[float]:
            assert holder.ask(what) == f"{what}\n"
            return [looper.ns(kind) for kind in kinds]

        for _ in range(TRIES):
            before = attached("bare")
            found = {"empty": attached("empty"), "watched": attached("ours"), "not watched": attached("ours", other)}
            after = attached("bare")
            least = [min(each) for each in zip(least, before, after, strict=True)]
            if any(max(each) > low + STEADY_NS for low, *each in zip(least, before, after, strict=True)):
                continue  # another tracer has come or gone, or somebody else takes the CPU's caches
            for name, (passed, failed) in found.items():
                added[name].append(passed - before[0])
                added[f"{name}, failing"].append(failed - before[1])
            if len(added["empty"]) == ROUNDS:
                break
    assert added["empty"], "no round was steady: too much else runs on this machine"
    print(f"\nbare call {least[0]:.0f} ns; over the empty pair, least (and medians) of {len(added['empty'])} rounds:")
    pairs = added.pop("empty"), added.pop("empty, failing")
    over = {}
    for name, values in added.items():
        pair = pairs["failing" in name]
        over[name], base = min(values) - min(pair), min(pair)
        usual = statistics.median(values) - statistics.median(pair)
        print(f"  {name:22} {over[name]:+7.1f} ({usual:+.1f}) ns   {1 + over[name] / base:5.2f} x {base:.0f}")
    assert over["watched"] <= 0.95 * min(pairs[0])
    assert over["not watched"] <= 0.15 * min(pairs[0])
    assert over["watched, failing"] - over["watched"] <= 100


def in_turn(loop: str, sides: Iterable[str]) -> Iterator[tuple[str, Looper]]:
    """Each side, ROUNDS times in turn, and the loop that is watched like that meanwhile."""
    with (
        looping(loop) as watched,
        looping(sys.executable, "-m", "tests.bench.holder", str(watched.pid)) as holder,
    ):
        for _ in range(ROUNDS):
            for side in sides:
                assert holder.ask(side) == f"{side}\n"
                yield side, watched


def test_cost_of_files(loop: str) -> None:
    """Over the calls alone: of one without a descriptor or path, of a read of a byte, of an openat that fails."""
    kinds = {"getppid": GETPPID, "read": READING, "failing openat": OPENING}
    found: dict[str, dict[str, list[float]]] = {side: defaultdict(list) for side in ("bare", "ours", "files")}
    for side, watched in in_turn(loop, found):
        watched.ns(READING, 100)  # it is met, and its file is known
        for name, kind in kinds.items():
            found[side][name].append(watched.ns(kind))
    least = {side: {name: min(each) for name, each in times.items()} for side, times in found.items()}
    print()
    for name in kinds:
        bare, ours, files = (least[side][name] for side in found)
        print(f"  {name:15} {bare:6.0f} ns, watched {ours:6.0f}, with files {files:6.0f}: {files - ours:+6.0f}")
    assert least["files"]["getppid"] <= 1.1 * least["ours"]["getppid"]
    assert least["files"]["read"] <= FILES_FACTOR * least["ours"]["read"]
    assert least["files"]["failing openat"] <= least["ours"]["failing openat"] + FILES_FAILING_NS


def test_cost_of_time(loop: str) -> None:
    """Two switches and two wakeups, over the same calls with files."""
    found: dict[str, list[float]] = {side: [] for side in ("bare", "ours", "files", "time")}
    for side, watched in in_turn(loop, found):
        found[side].append(watched.ns(PINGPONG, 5_000, 1))
    bare, ours, files, timed = map(min, found.values())
    print(
        f"\n  a byte and back {bare:.0f} ns, watched {ours:.0f}, with files {files:.0f}, with time {timed:.0f}:", end=""
    )
    print(f" {timed - files:+.0f} ns, {100 * (timed - files) / files:.1f} %")
    assert timed - files <= PINGPONG_SHARE * files


@pytest.mark.parametrize(("tracer", "calls"), [("perf", 5_000), ("strace", 2_000)])
def test_cost_beside_a_peer(loop: str, tmp_path: Path, tracer: str, calls: int) -> None:
    if not shutil.which(tracer):
        pytest.skip(f"needs {tracer}")
    output = ["-o", str(tmp_path / "report")]
    argv = {
        "perf": ["perf", "trace", "-s", "--sort-events", "-m", "4096", *output],
        "strace": ["strace", "-c", "-f", *output],
    }
    ours = wall_ns([sys.executable, "-m", "denet_tui", "run", "--no-tui", "--"], loop, CALLS)
    bare, theirs = wall_ns([], loop, CALLS), wall_ns(argv[tracer], loop, calls)
    print(f"\nadded wall time: denet-tui {ours - bare:,.0f} ns, {tracer} {theirs - bare:,.0f} ns a call")
    assert theirs - bare >= 20 * (ours - bare)  # in wall time on a busy machine; it is far more on a quiet one


def wall_ns(argv: list[str], loop: str, calls: int) -> float:
    """Wall time of a call in the loop under a tracer that starts it: waking that up is a part of what it costs."""
    with looping(*argv, loop) as looper:
        looper.ask(f"1 {GETPPID}")
        taken = []
        for _ in range(5):
            before = time.perf_counter_ns()
            looper.ask(f"{calls} {GETPPID}")
            taken.append((time.perf_counter_ns() - before) / calls)
        return statistics.median(taken)
