"""Attached to while it forks, makes threads, ends and executes: every call from then on is counted, and no other's."""

from __future__ import annotations

import contextlib
import json
import mmap
import signal
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from denet_tui.bpf.handover import Loading
from denet_tui.bpf.request import Request
from denet_tui.bpf.tracer import Tracer
from tests.real import DENET, REPOSITORY, environment, totals
from tests.watch.helpers import eventually, text_of

pytestmark = pytest.mark.root


class Watching:
    """denet-tui at work; `summary` is there when it has ended, which it does by itself where `ends` says so."""

    summary: dict[str, Any]
    ends = False


@contextlib.contextmanager
def watching(folder: Path, *words: str, detail: str = "calls", **asks: str) -> Iterator[Watching]:
    """denet-tui, from its first tick until it is told to stop, or until what it watches has ended.

    `asks` are variables of its environment that say who does.
    """
    recording, path, found = folder / "recording", folder / "summary", Watching()
    argv = [
        *DENET,
        *words,
        "--no-tui",
        "--detail",
        detail,
        "--interval",
        "0.1",
        "-o",
        str(recording),
        "--summary",
        str(path),
    ]
    quietly = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with subprocess.Popen(argv, env=environment() | asks, cwd=REPOSITORY, **quietly) as watcher:
        try:
            eventually(lambda: watcher.poll() is not None or text_of(recording).count("\n") >= 2, "it watches")
            yield found
            if not found.ends:
                watcher.send_signal(signal.SIGINT)
            errors = watcher.communicate(timeout=60)[1].decode()
            assert watcher.returncode == 0, errors
        finally:
            watcher.kill()
    found.summary = json.loads(path.read_text())
    lost = {name: count for name, count in found.summary["lost"].items() if count}
    others = {"begun"} if "machine" in words else set()  # of whatever else runs here under a filter or a tracer
    assert set(lost) <= others, lost


@contextlib.contextmanager
def at_work(*argv: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def told(process: subprocess.Popen[bytes]) -> str:
    """The next line that it prints."""
    assert process.stdout is not None
    return process.stdout.readline().decode().strip()


@pytest.mark.parametrize("attempt", range(2))
def test_while_threads_come_and_go(running: Path, tmp_path: Path, attempt: int) -> None:
    with at_work(running, "churn") as process, watching(tmp_path, "attach", str(process.pid)) as seen:
        process.send_signal(signal.SIGUSR1)
        seen.ends = process.wait(60) == 0
    assert totals(seen.summary)["getppid"] == 5000, attempt
    assert len(seen.summary["processes"]) == 6
    assert all(each["end_ms"] is not None for each in seen.summary["processes"])
    made, back, lost = (totals(seen.summary, what) for what in ("calls", "returns", "unreturned"))
    assert made == back + lost


def test_the_next_owner_of_a_zombies_id_is_another(running: Path, tmp_path: Path) -> None:
    with at_work(running, "zombie") as parent:
        zombie = told(parent)
        with watching(tmp_path, "attach", str(parent.pid)) as seen:
            parent.send_signal(signal.SIGUSR1)
            assert told(parent) == "reaped"
            subprocess.run([running, "again", zombie, "1000"], check=True, timeout=20)
    assert totals(seen.summary)["write"] == 1
    assert [each["pid"] for each in seen.summary["processes"]] == [parent.pid]


def test_the_next_owner_of_the_id_of_a_thread_that_executed_in_vain_is_another(running: Path, tmp_path: Path) -> None:
    summary, binary = tmp_path / "summary", tmp_path / "bad"
    argv = [*DENET, "run", "--no-tui", "--summary", str(summary), "--", str(running), "badly", str(binary)]
    with subprocess.Popen(argv, env=environment(), cwd=REPOSITORY, stdout=subprocess.PIPE) as watcher:
        tid = told(watcher)
        assert told(watcher) == "ended"
        subprocess.run([running, "again", tid, "1000"], check=True, timeout=20)
        (command,) = _children_named("running", of=watcher.pid)
        subprocess.run(["kill", "-USR1", str(command)], check=True)
        assert watcher.wait(60) == 0
    found = json.loads(summary.read_text())
    assert found["exact"] is True, found["lost"]
    assert totals(found)["write"] < 10
    assert len(found["processes"]) == 2
    assert sorted(each["signal"] or 0 for each in found["processes"]) == [0, signal.SIGSEGV]
    execve = found["syscalls"]["execve"]
    assert (execve["calls"], execve["returns"] + execve["unreturned"]) == (2, 2)


@pytest.mark.parametrize(("what", "orphans"), [("attach", []), ("machine", ["init"])])
def test_a_chain_that_forks_and_ends_at_once(running: Path, tmp_path: Path, what: str, orphans: list[str]) -> None:
    hops = tmp_path / "hops"
    hops.write_bytes(bytes(mmap.PAGESIZE))
    with at_work(running, "hop", hops, *orphans) as process:
        eventually(lambda: _number_in(hops) > 10, "it hops")
        before = _number_in(hops)
        with watching(tmp_path, what, *([str(process.pid)] if what == "attach" else [])) as seen:
            after = _number_in(hops)
            eventually(lambda: _number_in(hops) > after + 200, "it goes on hopping")
            process.send_signal(signal.SIGUSR1)
            assert process.wait(60) == 0
            seen.ends = what == "attach"
    end = _number_in(hops)
    assert 10 * (end - after) - 9 <= totals(seen.summary)["getppid"] - _of_others(seen.summary) <= 10 * (end - before)


@pytest.mark.parametrize("stopped", [True, False], ids=["stopped", "running"])
def test_a_refused_call_right_after_the_attach(running: Path, tmp_path: Path, stopped: bool) -> None:
    go = tmp_path / "go"
    go.write_bytes(bytes(mmap.PAGESIZE))
    with at_work(running, "refused", go) as process:
        eventually(lambda: "Seccomp:\t2" in text_of(Path(f"/proc/{process.pid}/status")), "the filter is there")
        if stopped:
            process.send_signal(signal.SIGSTOP)
            eventually(lambda: "State:\tT" in text_of(Path(f"/proc/{process.pid}/status")), "it is stopped")
        with contextlib.suppress(AssertionError), watching(tmp_path, "attach", str(process.pid)) as seen:
            with go.open("r+b") as file:
                file.write(b"x")
            process.send_signal(signal.SIGCONT)
            seen.ends = process.wait(60) == 0
    found = json.loads((tmp_path / "summary").read_text())
    lost = {name: count for name, count in found["lost"].items() if count}
    assert (totals(found)["getppid"], lost) == ((1000, {}) if stopped else (999, {"begun": 1}))


def test_only_the_record_that_was_read_is_forgotten(running: Path) -> None:
    tracer = Tracer(Loading(Request("raw")).receive())
    with at_work(running, "zombie") as process:
        told(process)
        assert tracer.attach(process.pid)
        (record,) = tracer.read().processes
        tracer.forget([(record.tgid, record.start_ns - 1)])
        assert tracer.read().processes == [record], "it is of another process with that id"
        tracer.forget([(record.tgid, record.start_ns)])
        assert tracer.read().processes == []
        process.send_signal(signal.SIGUSR1)
        assert told(process) == "reaped"
    tracer.close()


def _number_in(path: Path) -> int:
    return int(struct.unpack("q", path.read_bytes()[:8])[0])


def _of_others(summary: dict[str, Any]) -> int:
    """getppid calls of processes that are not of this test's program."""
    others = [each for each in summary["processes"] if each["comm"] != "running"]
    return sum(each["syscalls"].get("getppid", {"calls": 0})["calls"] for each in others)


def _children_named(name: str, *, of: int) -> list[int]:
    found = subprocess.run(["pgrep", "-x", name], capture_output=True, text=True, check=True).stdout.split()
    parents = {int(pid): int(text_of(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()[1]) for pid in found}
    supervisors = subprocess.run(["pgrep", "-P", str(of)], capture_output=True, text=True, check=True).stdout.split()
    return [pid for pid, parent in parents.items() if str(parent) in supervisors]
