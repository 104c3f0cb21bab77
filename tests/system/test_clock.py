"""Own clock and the kernel side's: in a time namespace, after the machine slept, after the wall clock was set."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from denet_tui.record.table import render_table
from denet_tui.system.clock import Clocks, off_the_clock
from tests.real import REPOSITORY, environment
from tests.record.made import INFO, process, snapshot
from tests.record.schema import assert_valid
from tests.watch.helpers import DENET, run

SHIFTED = ["unshare", "--time", "--monotonic", "1000000", "--boottime", "3000000", "--fork", "--kill-child"]
SHIFTED_BACK = ["unshare", "--time", "--monotonic=-600", "--boottime=-600", "--fork", "--kill-child"]
SPAN = st.integers(0, 10**15)


def shifted(*words: str) -> subprocess.CompletedProcess[str]:
    if run("unshare", "--time", "true").returncode:
        pytest.skip("needs time namespaces (Linux 5.6, root)")
    return run(*words)


def ages_in(lines: list[dict[str, Any]]) -> list[int]:
    """For how many ns each call in a recording was in flight, at each tick."""
    ticks = [line["denet_tui"] for line in lines if line["kind"] == "tree"]
    return [tick["time_ns"] - call["since_ns"] for tick in ticks for call in tick["in_flight"]]


@pytest.mark.root
@pytest.mark.parametrize("namespace", [SHIFTED, SHIFTED_BACK], ids=["ahead", "behind"])
def test_times_are_those_of_the_machine_in_a_time_namespace(namespace: list[str], tmp_path: Path) -> None:
    summary, recording = tmp_path / "summary", tmp_path / "recording"
    options = ["--no-tui", "--detail", "calls", "--interval", "0.2", "--summary", str(summary), "-o", str(recording)]
    done = shifted(*namespace, *DENET, "run", *options, "--", "sh", "-c", "sleep 0.7; true")
    assert done.returncode == 0, done.stderr
    found = json.loads(summary.read_text())
    (command,) = [each for each in found["processes"] if each["comm"] == "sh"]
    (sleep,) = [each for each in found["processes"] if each["comm"] == "sleep"]
    assert command["start_ms"] <= sleep["start_ms"] <= sleep["end_ms"] - 700 <= command["end_ms"] - 700
    assert command["end_ms"] - command["start_ms"] < 30_000
    assert 0.7 < found["elapsed_s"] < 30
    assert (found["asleep_s"], found["wall_clock_set_s"]) == pytest.approx((0, 0), abs=0.01)
    lines = [json.loads(line) for line in recording.read_text().splitlines()]
    assert 10_000_000 < max(ages_in(lines)) < 30_000_000_000
    usages = [line["parent"] for line in lines if line["kind"] == "tree" and line["parent"]]
    assert all(usage["cpu_usage"] < 1000 and usage["uptime_secs"] < 30 for usage in usages)


@pytest.mark.root
def test_an_attached_process_is_not_in_its_call_for_days(tmp_path: Path) -> None:
    attach = f"{' '.join(DENET)} attach --no-tui --detail calls --interval 0.2 -o {tmp_path}/recording"
    script = f"sh -c 'for i in 1 2 3 4; do sleep 1; done' & {attach} $!"
    done = shifted(*SHIFTED, "sh", "-c", script)
    assert "exact: no call lost" in done.stderr, done.stderr
    ticks = [json.loads(line) for line in (tmp_path / "recording").read_text().splitlines()]
    assert_valid(ticks)
    assert 300_000_000 < max(ages_in(ticks)) < 2_000_000_000, "no call takes longer than a second"


def test_the_shift_is_known_to_the_nanosecond() -> None:
    """Two processes at once, one in another time namespace: what they call now is the same."""
    ask = [sys.executable, "-c", "from denet_tui.system import clock; print(clock.now_ns())"]
    settings = {"capture_output": True, "text": True, "cwd": REPOSITORY, "env": environment(), "check": True}
    if run("unshare", "--time", "true").returncode:
        pytest.skip("needs time namespaces (Linux 5.6, root)")
    before = int(subprocess.run(ask, **settings).stdout)  # type: ignore[call-overload]
    inside = int(subprocess.run([*SHIFTED, *ask], **settings).stdout)  # type: ignore[call-overload]
    after = int(subprocess.run(ask, **settings).stdout)  # type: ignore[call-overload]
    assert before < inside < after


@given(SPAN, SPAN, st.integers(-(10**15), 10**15))
def test_sleep_and_steps_are_told_apart(awake: int, asleep: int, step: int) -> None:
    began = Clocks(5_000, 7_000, 1_790_000_000_000_000_000)
    later = Clocks(began.kernel_ns + awake, began.boot_ns + awake + asleep, began.wall_ns + awake + asleep + step)
    assert later.asleep_since(began) == asleep
    assert later.stepped_since(began) == step


def test_what_no_time_shows_is_said() -> None:
    plain = snapshot(1.0, [process(1000, {})])
    slept = plain._replace(asleep_ns=3_600_000_000_000, set_ns=-7_200_000_000_000)
    assert not off_the_clock(plain)
    told = re.sub(r"\s+", " ", render_table(INFO, slept))
    assert "note: the machine slept for 3,600.00 s, which no time here counts; the wall clock was set back by " in told
    assert "set back by 7,200.00 s" in told
