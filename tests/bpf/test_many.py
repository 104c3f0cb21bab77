"""Exact where there is much of it: a million calls, 20,000 processes, and process ids that look alike."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.real import DENET, REPOSITORY, environment, inside, vouched, watched

pytestmark = pytest.mark.root

PID_MAX = Path("/proc/sys/kernel/pid_max")
MILLION = 1_000_000
MEGABYTE = 1 << 10
"""In the kB of /proc."""


@pytest.mark.parametrize("method", ["raw", pytest.param("tracefs", marks=pytest.mark.slow)])
def test_a_million_calls_of_sixteen_children(calls: Path, tmp_path: Path, method: str) -> None:
    counts, summary = watched([str(calls), "children", str(MILLION)], tmp_path, method=method)
    assert vouched(summary, method), summary["lost"]
    assert summary["syscalls"]["getpid"]["calls"] == summary["syscalls"]["getpid"]["returns"] == MILLION
    each = sorted(process["getpid"] for process in counts.processes)
    assert each == [0, *[MILLION // 16] * 16]


@pytest.mark.slow
def test_20_000_short_processes_each_with_its_row_and_flat_memory(calls: Path, tmp_path: Path) -> None:
    recording, count = tmp_path / "recording.jsonl", 20_000
    # Less than the 3,000 a second that a shell's loop makes at best: how far a tick falls behind on a busy machine
    # is not what is asked here.
    command = [str(calls), "short", str(count), "400"]
    argv = [*DENET, "run", "--no-tui", "--way", "raw", "-o", str(recording), "--", *command]
    quietly = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    resident = []
    with subprocess.Popen(argv, env=environment(), cwd=REPOSITORY, **quietly) as process:
        while process.poll() is None:
            resident.append(_resident(process.pid))
            try:
                process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
    assert process.returncode == 0
    summary = _summary(recording)
    assert summary["exact"] is True, summary["lost"]
    assert summary["syscalls"]["getppid"]["calls"] == count
    assert len({item["pid"] for item in summary["processes"]}) > count / 2  # ids may come round again
    rows = [item["syscalls"] for item in summary["processes"] if "getppid" in item["syscalls"]]
    assert len(rows) == count
    assert all(row["getppid"]["calls"] == 1 for row in rows)
    assert sum(row["exit_group"]["calls"] for row in rows) == count
    half = resident[len(resident) // 2 :]
    assert max(resident) < 40 * MEGABYTE, f"at most {max(resident)} kB"
    assert max(half) - min(half[:3]) < 4 * MEGABYTE, f"still growing: {resident}"


def test_nothing_of_500_processes_stays_in_the_maps(calls: Path) -> None:
    found = inside("leftovers", str(calls), "short", "500")
    assert found["exact"] is True
    assert found["broken"] == []
    assert found["ended"] == 501
    assert sorted(found["getppid"]) == [0] + [1] * 500
    assert (found["rows"], found["tasks"], found["processes"]) == (0, 0, 0)


def test_process_ids_65536_apart_do_not_mix(calls: Path, tmp_path: Path, many_pids: None) -> None:
    _, summary = watched([str(calls), "twins"], tmp_path)
    assert summary["exit_code"] == 0
    assert summary["exact"] is True, summary["lost"]
    by_pid = {item["pid"]: item["syscalls"]["getppid"]["calls"] for item in summary["processes"] if _is_twin(item)}
    low, high = sorted(by_pid)
    assert high - low == 65_536
    assert (by_pid[low], by_pid[high]) == (200 * 5, 200 * 8)


def test_a_process_id_used_again_at_once_loses_no_call_and_no_descendant(calls: Path, tmp_path: Path) -> None:
    """Two processes share a row then, which is said; but the second one and its child are watched to their ends."""
    _, summary = watched([str(calls), "reused"], tmp_path, "--interval", "0.1")
    assert summary["exit_code"] == 0
    assert (summary["exact"], summary["lost"]["reused"]) == (False, 1)
    assert summary["syscalls"]["getppid"]["calls"] == 10
    assert len(summary["processes"]) == 4
    assert all(item["end_ms"] is not None for item in summary["processes"])


@pytest.fixture
def many_pids() -> Iterator[None]:
    before = PID_MAX.read_text()
    try:
        PID_MAX.write_text(str(max(int(before), 4 * 65_536)))
    except OSError as error:
        pytest.skip(f"pid_max cannot be raised here: {error.strerror}")
    try:
        yield
    finally:
        PID_MAX.write_text(before)


def _is_twin(item: dict[str, Any]) -> bool:
    return "getppid" in item["syscalls"]


def _summary(path: Path) -> dict[str, Any]:
    """With the processes of the lines before it."""
    processes = list[Any]()
    with path.open() as lines:
        for line in lines:
            if line.startswith(('{"kind":"more","of":"summary"', '{"kind":"summary"')):
                found: dict[str, Any] = json.loads(line)
                processes += found.get("processes", [])
    assert found["kind"] == "summary"
    return found | {"processes": processes}


def _resident(pid: int) -> int:
    """VmRSS in kB; that of the shell-less denet-tui process itself."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0
