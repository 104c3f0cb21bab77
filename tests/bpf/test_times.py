"""Where the time went, of processes that know it: parts, their sum, and the CPU time of wait4."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from denet_tui.bpf.accounts import Account
from denet_tui.bpf.handover import Loading
from denet_tui.bpf.records import Process, endings
from denet_tui.bpf.request import Request
from denet_tui.bpf.tasks import BLOCKED, ON_CPU, RUNNABLE, Clock, Task
from denet_tui.bpf.times import Spent, _time, _until, of_unmet
from denet_tui.bpf.tracer import Tracer
from denet_tui.detail import NOTHING_USED, UNKNOWN, Time
from denet_tui.record.lines import open_file
from denet_tui.record.totals import Totals
from denet_tui.record.track import Track
from tests.bpf.unseen import STINT_NS
from tests.real import denet, run, run_summary
from tests.watch.helpers import eventually, started, text_of

pytestmark = pytest.mark.root

PART_NS = 200_000_000
PARTS = ("user_ns", "kernel_ns", "runqueue_ns", "blocked_ns", "unknown_ns")


def whole(time: dict[str, Any]) -> int:
    """All parts."""
    return sum(time[part] for part in PARTS)


def test_known_parts_are_told_and_add_up(parts: Path, tmp_path: Path) -> None:
    summary, recording = tmp_path / "summary", tmp_path / "recording"
    done = run(denet("run", "--no-tui", "--summary", str(summary), "-o", str(recording), "--", str(parts)))
    told = {name: (int(pid), int(cpu_us)) for pid, name, cpu_us in map(str.split, done.stdout.splitlines())}
    found = json.loads(summary.read_text())
    by_pid = {each["pid"]: each for each in found["processes"]}
    mine = {name: by_pid[pid] for name, (pid, _) in told.items()}
    time = {name: each["time"] for name, each in mine.items()}
    for name, each in mine.items():
        wall_ns = (each["end_ms"] - each["start_ms"]) * 1e6
        if name != "lock":  # that has another thread, which begins later
            # To its last switch: for a CPU to end on it may have to wait.
            late_ns = time[name]["runqueue_ns"] if whole(time[name]) > wall_ns else 0
            assert whole(time[name]) == pytest.approx(wall_ns, abs=0.01 * wall_ns + late_ns), name
        cpu_ns = time[name]["user_ns"] + time[name]["kernel_ns"]
        assert cpu_ns == pytest.approx(told[name][1] * 1000, rel=0.01, abs=2e6), name
    for name in ("spin", "one", "other"):
        assert time[name]["user_ns"] > 0.9 * PART_NS, "the rest is in the calls that ask for the time"
        assert time[name]["blocked_ns"] < 0.02 * PART_NS
    assert time["calls"]["kernel_ns"] == pytest.approx(told["calls"][1] * 1000, rel=0.02)
    assert time["one"]["runqueue_ns"] + time["other"]["runqueue_ns"] > 0.9 * PART_NS, "on one CPU one waits"
    asleep = time["sleep"]["blocked_in_ns"]["clock_nanosleep"]
    assert asleep == pytest.approx(PART_NS, rel=0.02)
    assert time["sleep"]["blocked_ns"] == pytest.approx(asleep, abs=2e6)
    held = time["lock"]["blocked_in_ns"]["futex"] - PART_NS
    assert -0.02 * PART_NS < held < 0.02 * PART_NS + time["lock"]["runqueue_ns"], "its holder may come late to a CPU"
    assert {part: found["time"][part] for part in PARTS} == {
        part: sum(each["time"][part] for each in by_pid.values()) for part in PARTS
    }
    assert "time of all threads: on CPU " in done.stderr
    last = Totals.of(Track(open_file(str(recording)), "recording")).last
    assert last.detail.time
    assert [getattr(last.detail.time, part) for part in PARTS] == [found["time"][part] for part in PARTS]
    assert {each.pid: [getattr(each.time, part) for part in PARTS] for each in last.processes if each.time} == {
        pid: [each["time"][part] for part in PARTS] for pid, each in by_pid.items()
    }


@pytest.mark.slow
def test_what_is_not_watched_or_cannot_be_known_is_null(tmp_path: Path) -> None:
    _, found = run_summary(["true"], tmp_path, method="tracefs")
    assert found["time"] is None
    assert [each["time"] for each in found["processes"]] == [None]
    _, found = run_summary(["true"], tmp_path, "--syscalls", "read")
    assert whole(found["time"]) > 0


@pytest.mark.slow
def test_what_the_kernel_has_not_told_is_taken_from_its_accounts_or_not_known() -> None:
    lines = run([sys.executable, "-m", "tests.bpf.unseen"]).stdout.splitlines()
    switched_to, woken, away = (json.loads(line) for line in lines)
    for found in (switched_to, woken, away):
        whole_ns = sum(found[part] for part in ("cpu_ns", "runqueue_ns", "blocked_ns", "unknown_ns"))
        assert found["least_ns"] <= whole_ns <= found["most_ns"], "nothing is lost, nor twice there"
        assert found["untimed"] == 0
    for found in (switched_to, woken):
        assert found["cpu_ns"] - found["kernel_ns"] >= STINT_NS, "not the kernel's"
        assert found["unknown_ns"] == 0
    assert 0 < away["unknown_ns"] < away["most_ns"]
    assert away["blocked_ns"] == 0, "it is not made up"


def test_waiting_for_a_cpu_is_what_the_kernel_says(tmp_path: Path) -> None:
    # The idle task of a CPU, and others, may wake it and make room for it untold.
    waits = """
import os, time
def waited():
    return int(open("/proc/thread-self/schedstat").read().split()[1])
before = waited()
for _ in range(120):
    time.sleep(0.005)
print(before, waited(), flush=True)
os._exit(0)
"""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        command = denet("run", "--no-tui", "--summary", str(tmp_path / "s"), "--detail", "all", "--", sys.executable)
        done = run([*command, "-c", waits])
        busy.kill()
    found = json.loads((tmp_path / "s").read_text())
    assert found["time"]["unknown_ns"] == 0
    before, after = map(int, done.stdout.split())  # since its fork
    assert 0.95 * (after - before) - 5e6 < found["time"]["runqueue_ns"] < 1.05 * after + 20e6


def test_what_sleeps_since_it_was_attached_has_slept(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as sleeper:
        watching = started(
            "attach", "--no-tui", "--summary", str(tmp_path / "s"), "-o", str(tmp_path / "r"), f"{sleeper.pid}"
        )
        eventually(lambda: text_of(tmp_path / "r").count('"kind":"tree"') >= 2, "it watches")
        sleeper.kill()
        watching.wait(60)
    found = json.loads((tmp_path / "s").read_text())
    assert found["time"]["blocked_ns"] > 0.9 * whole(found["time"]) > 0


def test_a_process_that_nothing_was_told_of_yet_leaves_the_time_of_all_known() -> None:
    """Between its birth and its first turn, or killed before that: a machine has such a one at nearly any moment."""
    met, born, killed = (
        Process(tgid, 1, 5_000, end_ns, 0, 1, 0, None, "ls", (), tgid) for tgid, end_ns in ((7, 0), (8, 0), (9, 7_000))
    )
    spent = Spent({met.tgid: None}, {}, {})
    found = of_unmet(8_000, (met, born, killed), spent)
    assert found.keys() == {born.tgid, killed.tgid}, "of the other it is not known"
    assert found[killed.tgid] == Time(unknown_ns=2_000)
    assert found[born.tgid] == Time(unknown_ns=3_000)


def test_what_a_process_does_as_it_ends_is_before_its_end(tmp_path: Path) -> None:
    touches = "import os\nroom = bytearray(200 << 20)\nroom[::4096] = bytes(len(room) // 4096)\nos._exit(0)"
    _, found = run_summary([sys.executable, "-I", "-S", "-c", touches], tmp_path)
    (only,) = found["processes"]
    assert whole(only["time"]) == pytest.approx((only["end_ms"] - only["start_ms"]) * 1e6, rel=0.01)
    used_ns = only["time"]["user_ns"] + only["time"]["kernel_ns"]
    assert used_ns == pytest.approx(only["cpu_ns"], rel=0.01, abs=2e6), "as wait4 counts it"
    assert whole(found["time"]) <= found["elapsed_s"] * 1e9 * 1.01


SPINS = "import os\nwhile True:\n    for _ in range(2_000_000): pass\n    "


@pytest.mark.slow
@pytest.mark.parametrize("calls", ["pass", "os.getppid()"])
def test_what_runs_when_it_is_attached_has_all_its_time_since_then(tmp_path: Path, calls: str) -> None:
    summary, recording = tmp_path / "summary", tmp_path / "recording"
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", SPINS + calls]) as spinner:
        try:
            watching = started("attach", "--no-tui", "--summary", str(summary), "-o", str(recording), str(spinner.pid))
            eventually(lambda: text_of(recording).count('"kind":"tree"') >= 3, "it watches")
            watching.send_signal(signal.SIGINT)
            watching.wait(60)
        finally:
            spinner.kill()
    found = json.loads(summary.read_text())
    (only,) = found["processes"]
    before_ms = only["start_ms"] - json.loads(text_of(recording).partition("\n")[0])["t0_ms"]
    assert before_ms >= 0, "nothing is watched before what is told of begins"
    assert whole(only["time"]) == pytest.approx(found["elapsed_s"] * 1e9 - before_ms * 1e6, abs=100_000)
    assert (only["time"]["unknown_ns"] == whole(only["time"])) is (calls == "pass"), "of that nothing was told"


RESTLESS = """
import os, threading, time
def moves(pause_s):
    while True:
        time.sleep(pause_s)
        os.getppid()
for number in range(39):
    threading.Thread(target=moves, args=(0.001 * number + 0.02,), daemon=True).start()
print("all there", flush=True)
time.sleep(60)
"""


def test_threads_that_move_while_they_are_attached_to_have_their_time_once() -> None:
    tracer = Tracer(Loading(Request("raw", detail="all")).receive())
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", RESTLESS], stdout=subprocess.PIPE) as restless:
        try:
            assert restless.stdout
            restless.stdout.readline()
            tracer.attach(restless.pid)
            for _ in range(3):
                time.sleep(0.1)
                reading = tracer.read()
                (process,), spent = reading.processes, reading.spent
                time_ns = spent and spent.times[restless.pid]
                assert time_ns
                assert len(reading.tasks) == 40
                assert time_ns.whole_ns == pytest.approx(40 * (reading.time_ns - process.start_ns), rel=0.001)
        finally:
            restless.kill()
            tracer.close()


@pytest.mark.parametrize("where", [ON_CPU, RUNNABLE, BLOCKED])
def test_what_came_between_a_moment_and_its_reading_is_in_no_part(where: int) -> None:
    its = Clock(mark_ns=10_000, cpu_ns=700, runqueue_ns=3_000, blocked_ns=500, where=where)
    parts, _ = _until(9_000, Task(7, 7, False, 0, 0, 0, its))
    assert _time(*parts).whole_ns == 4_200 - 1_000


def test_who_still_takes_a_cpu_to_end_has_not_ended() -> None:
    ends, living = (Process(tgid, 1, 5, end_ns, 0, 1, 0, None, "ls", (), tgid) for tgid, end_ns in ((7, 60), (8, 0)))
    incomplete = ends._replace(account=Account(UNKNOWN, NOTHING_USED, complete=False))
    late_ns = 60 + 2_000_000_000
    assert list(endings([ends, living], {}, 70, running=True)) == [ends]
    assert not list(endings([ends], {7}, 70, running=True))
    assert not list(endings([incomplete], {}, 70, running=True))
    assert list(endings([ends], {7}, 70, running=False)) == [ends._replace(end_ns=70)], "its time is until then"
    assert list(endings([incomplete], {}, 70, running=False)) == [incomplete]
    assert list(endings([ends], {7}, late_ns, running=True)) == [ends._replace(end_ns=late_ns)]


WAITS = """
import os, signal, sys, time
out, into = os.pipe()
if not os.fork():
    time.sleep(0.3)
    os.write(into, b"x")
    os._exit(0)
os.read(out, 1)
os.wait()
if not (child := os.fork()):
    os.kill(os.getpid(), signal.SIGSTOP)
    os._exit(0)
os.waitpid(child, os.WUNTRACED)
time.sleep(0.3)
os.kill(child, signal.SIGCONT)
os.wait()
zero = os.open("/dev/zero", os.O_RDONLY)
room = memoryview(bytearray(1 << 20))
for _ in range(4000):
    os.readv(zero, [room])
print(os.fstat(out).st_ino, child, file=open(sys.argv[1], "w"))
"""


def test_by_file_by_call_and_outside_of_calls(tmp_path: Path) -> None:
    told = tmp_path / "told"
    _, found = run_summary([sys.executable, "-I", "-S", "-c", WAITS, str(told)], tmp_path)
    inode, child = map(int, told.read_text().split())
    blocked = {each["path"]: each["blocked_ns"] for each in found["files"] if each["pid"] is None}
    whose = {each["path"]: each["pid"] for each in found["files"] if each["pid"] and each["blocked_ns"]}
    assert blocked["/dev/zero"] == 0
    (first,) = (each for each in found["processes"] if each["pid"] == whose[f"pipe:[{inode}]"])
    (stopped,) = (each["time"] for each in found["processes"] if each["pid"] == child)
    assert blocked[f"pipe:[{inode}]"] > 0.28e9
    assert blocked[f"pipe:[{inode}]"] == pytest.approx(first["time"]["blocked_in_ns"]["read"], rel=0.02)
    assert 0.28e9 < stopped["blocked_outside_ns"] <= stopped["blocked_ns"]
    assert first["time"]["blocked_outside_ns"] < 0.28e9, "its page faults may wait for a busy disk"
    calls = first["time"]["kernel_in_ns"]
    assert next(iter(calls)) == "readv"
    assert sum(calls.values()) == pytest.approx(first["time"]["kernel_ns"], rel=0.05)
    assert calls["readv"] > 0.5 * first["time"]["kernel_ns"]
