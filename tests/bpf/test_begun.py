"""Calls that threads are in already when they are attached to: shown as long as they last, and counted nowhere."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from denet_tui.bpf.begun import Look, sleep_of
from tests.bpf.test_running import watching
from tests.watch.helpers import eventually, text_of

pytestmark = pytest.mark.root

PYTHON = str(Path(sys.executable).resolve())
HANGING = str(Path(__file__).with_name("hanging.py"))


@contextmanager
def hanging(folder: Path, *before: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """The process, and what it says of where its threads hang."""
    argv = [*before, PYTHON, "-S", HANGING, str(folder)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        try:
            assert process.stdout
            yield process, process.stdout.readline().split()
        finally:
            process.kill()


def in_flight(path: Path) -> list[list[dict[str, Any]]]:
    """What each tick of a recording has."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [line["denet_tui"]["in_flight"] for line in lines if line["kind"] == "tree"]


def told(threads: list[dict[str, Any]], process: int) -> set[tuple[str, str | None]]:
    """The calls and what they are about of its threads but the first."""
    mine = [each for each in threads if process == each.get("tgid", each.get("pid")) != each["tid"]]
    return {(each["syscall"], each.get("about")) for each in mine}


@pytest.mark.slow
@pytest.mark.parametrize("way", ["attach", "machine"])
def test_what_threads_hung_in_before_is_told(tmp_path: Path, way: str) -> None:
    recording = tmp_path / "recording"
    with hanging(tmp_path) as (process, (port, udp, pipe)):
        words = ["attach", str(process.pid)] if way == "attach" else ["machine"]
        with watching(tmp_path, *words, detail="all") as seen:
            eventually(lambda: text_of(recording).count('"kind":"tree"') >= 4, "it watches")
        ways = {
            ("connect", f"127.0.0.1:{port}"),
            ("connect", f"unix @denet-full-{process.pid}"),
            ("recvfrom", f"udp 127.0.0.1:{udp}"),
            ("read", f"pipe:[{pipe}]"),
            ("openat", f"{tmp_path}/fifo"),
            ("sendto", f"unix @denet-datagrams-{process.pid}"),
            ("sendmsg", f"unix @denet-datagrams-{process.pid}"),
        }
        assert told(in_flight(recording)[-1], process.pid) == ways
        assert told(seen.summary["in_flight"], process.pid) == ways
    mine = [each for each in seen.summary["in_flight"] if each["pid"] == process.pid]
    assert {(each["time_ns"], each["at_ms"]) for each in mine} == {(None, None)}
    if way == "attach":
        assert seen.summary["syscalls"] == {}


def test_what_has_ended_since_is_told_no_more(tmp_path: Path) -> None:
    recording = tmp_path / "recording"
    with (
        hanging(tmp_path) as (process, (_, udp, _)),
        watching(tmp_path, "attach", str(process.pid), detail="all") as seen,
    ):
        eventually(lambda: text_of(recording).count('"kind":"tree"') >= 3, "it watches")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"x", ("127.0.0.1", int(udp)))
        with (tmp_path / "fifo").open("wb"):
            eventually(lambda: len([*Path(f"/proc/{process.pid}/task").iterdir()]) == 6, "both threads have ended")
        ticks = text_of(recording).count('"kind":"tree"')
        eventually(lambda: text_of(recording).count('"kind":"tree"') >= ticks + 2, "it has read that")
    names = [{name for name, _ in told(each, process.pid)} for each in in_flight(recording)]
    assert names[0] == {"connect", "recvfrom", "read", "openat", "sendto", "sendmsg"}
    assert names[-1] == {"connect", "read", "sendto", "sendmsg"}
    assert not {"recvfrom", "openat"} & seen.summary["syscalls"].keys(), "what had begun before is in no number"
    assert seen.summary["exact"]


def test_a_call_is_told_without_what_it_is_about_where_only_calls_are_asked_for(tmp_path: Path) -> None:
    with hanging(tmp_path) as (process, _), watching(tmp_path, "attach", str(process.pid)) as seen:
        pass
    assert ("connect", None) in told(seen.summary["in_flight"], process.pid)
    assert {about for _, about in told(seen.summary["in_flight"], process.pid)} == {None}


@pytest.mark.slow
def test_calls_that_are_not_asked_for_are_not_told(tmp_path: Path) -> None:
    only = "--syscalls", "connect,close"
    with hanging(tmp_path) as (process, _), watching(tmp_path, "attach", str(process.pid), *only, detail="all") as seen:
        pass
    assert {name for name, _ in told(seen.summary["in_flight"], process.pid)} == {"connect"}


def test_who_has_asked_by_sudo_is_told(tmp_path: Path) -> None:
    theirs = Path(tempfile.mkdtemp())
    try:
        os.chown(theirs, NOBODY, NOBODY)
        with subprocess.Popen(["setpriv", *OWN, "--clear-groups", "sleep", "60"]) as process:
            eventually(lambda: text_of(Path(f"/proc/{process.pid}/comm")) == "sleep\n", "it sleeps")
            asks = {"SUDO_UID": str(NOBODY), "SUDO_GID": str(NOBODY)}
            with watching(theirs, "attach", str(process.pid), **asks) as seen:
                pass
            process.kill()
    finally:
        shutil.rmtree(theirs)
    assert [each["syscall"] for each in seen.summary["in_flight"]] == ["clock_nanosleep"]


UNDUMPABLE = "import ctypes, os; ctypes.CDLL(None).prctl(4, 0, 0, 0, 0); os.write(1, b'1'); os.read(0, 1)"
NOBODY = 65534
OWN = [f"--reuid={NOBODY}", f"--regid={NOBODY}"]
WHOSE = {
    "theirs": (OWN, ["cat"], True),
    "setuid": ([f"--ruid={NOBODY}", f"--regid={NOBODY}"], ["cat"], False),
    "setgid": ([f"--reuid={NOBODY}", f"--rgid={NOBODY}"], ["cat"], False),
    "capable": ([*OWN, "--inh-caps=+net_raw", "--ambient-caps=+net_raw"], ["cat"], False),
    "not dumpable": (OWN, [PYTHON, "-S", "-c", UNDUMPABLE], False),
}


@pytest.mark.parametrize("whose", WHOSE)
def test_a_user_is_told_of_what_they_could_trace(whose: str) -> None:
    options, argv, may = WHOSE[whose]
    with subprocess.Popen(
        ["setpriv", "--clear-groups", *options, *argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin
        assert process.stdout
        if argv == ["cat"]:
            process.stdin.write(b"1")
            process.stdin.flush()
        assert process.stdout.read(1) == b"1"
        eventually(lambda: sleep_of(process.pid, process.pid) is not None, "it waits for input")
        theirs = Look(lambda: [process.pid], NOBODY, about=True).found()
        everyones = Look(lambda: [process.pid], None, about=True).found()
        process.stdin.close()
    assert {tid: call.about for tid, call in theirs.items()} == (
        {process.pid: everyones[process.pid].about} if may else {}
    )
    assert (everyones[process.pid].about or "").startswith("pipe:[")


def test_what_runs_between_two_looks_is_in_another_sleep() -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        eventually(lambda: sleep_of(process.pid, process.pid) is not None, "it waits for input")
        before = sleep_of(process.pid, process.pid)
        assert before == sleep_of(process.pid, process.pid)
        process.stdin.write(b"1")
        process.stdin.flush()
        assert process.stdout.read(1) == b"1"
        eventually(lambda: sleep_of(process.pid, process.pid) is not None, "it waits again")
        assert sleep_of(process.pid, process.pid) != before
        process.stdin.close()
