"""An hour of 300 processes that call all the time: what recording a tick costs, how soon it opens, and how soon one is
at any moment of it; all in CPU time, which others on the machine change less.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from denet_tui.model import Snapshot
from denet_tui.record.lines import open_file
from denet_tui.record.track import Track
from tests.record.long import lengthened, write
from tests.watch.helpers import DENET

pytestmark = [pytest.mark.bench, pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]

TICKS, PROCESSES, SEEKS = 7_200, 300, 12
BUSY = f"""
import os, time
for number in range({PROCESSES}):
    if not os.fork():
        end = time.monotonic() + 14
        while time.monotonic() < end:
            with open("/etc/passwd") as file:
                file.read(100)
            os.path.exists(f"/nonexistent{{number}}"), os.getppid()
            time.sleep(0.2 + number / 1000)
        os._exit(0)
while True:
    try:
        os.wait()
    except ChildProcessError:
        break
"""
PLAYED = """
import gc, json, random, resource, sys, threading, time
from denet_tui.record.lines import open_file
from denet_tui.record.playback import Playback
from denet_tui.record.track import Track
gc.set_threshold(50_000)  # as __main__ has it
playback, got, stop = Playback(Track(open_file(sys.argv[1]), "it")), [], threading.Event()
def publish(each):
    got.append((time.process_time(), each.elapsed_ns))
thread = threading.Thread(target=playback.run, args=(publish, stop))
thread.start()
while playback.state.following:
    time.sleep(0.01)
opened, seconds, chance = got[0], [], random.Random(1)
for _ in range(int(sys.argv[2])):
    to = chance.randrange(1, int(playback.state.known_s * 2)) / 2
    got.clear()
    sought = time.process_time()
    playback.seek(to)
    while not got:
        time.sleep(0.002)
    assert abs(got[0][1] / 1e9 - to) < 0.6
    seconds.append(got[0][0] - sought)
    while playback.warming or got[-1][1] != got[0][1]:
        time.sleep(0.01)
stop.set()
thread.join()
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"at_s": opened[1] / 1e9, "opened_s": opened[0], "seeks_s": sorted(seconds), "memory": memory}))
"""


def _ticks(path: Path) -> Iterator[Snapshot]:
    track = Track(open_file(str(path)), str(path))
    now, at = track.start(), track.begin
    while (tick := track.tick(now, at)) is not None:
        now, at, _ = tick
        yield now


def test_an_hour(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real, hour = tmp_path / "real.jsonl", tmp_path / "hour.jsonl"
    command = [*DENET, "run", "--no-tui", "-o", real, "--", sys.executable, "-c", BUSY]
    subprocess.run(command, check=True, capture_output=True)
    some = [each for each in _ticks(real) if sum(one.alive for one in each.processes) >= PROCESSES][2:]
    info = Track(open_file(str(real)), "it").info
    begun = time.process_time()
    for _ in lengthened(info, some, TICKS // 10):
        pass
    making = (time.process_time() - begun) * 10
    begun = time.process_time()
    write(hour, info, lengthened(info, some, TICKS))
    recording = (time.process_time() - begun - making) / TICKS
    found = json.loads(
        subprocess.run([sys.executable, "-c", PLAYED, hour, f"{SEEKS}"], check=True, capture_output=True).stdout
    )
    seeks = found["seeks_s"]
    rows = sum(len(each.recent) for each in some[0].processes)
    with capsys.disabled():
        print(f"\n{TICKS:,} ticks, {PROCESSES} processes, {rows:,} rows each, {hour.stat().st_size / 1e9:.2f} GB, CPU:")
        print(
            f"recording {recording * 1e3:.1f} ms a tick; opens in {found['opened_s']:.2f} s, {found['memory']:.0f} MB;"
        )
        print(f"seeks in {seeks[len(seeks) // 2] * 1e3:.0f} ms, at most {seeks[-1] * 1e3:.0f} ms")
    assert found["at_s"] > TICKS // 2 - 30
    assert found["opened_s"] < 2
    assert seeks[-1] < 0.2
    assert found["memory"] < 300
