"""What is known of the end: of the command where its parent was killed, of a process that was attached to."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.watch.helpers import (
    DENET,
    PATIENCE,
    alive,
    children,
    command_line,
    denet,
    eventually,
    run,
    started,
    text_of,
)

pytestmark = pytest.mark.root


def supervisor_of(denet_tui: subprocess.Popen[bytes], folder: Path) -> tuple[int, int]:
    """(supervisor, command) once the command has written its id to `pid`."""
    eventually(lambda: text_of(folder / "pid").endswith("\n"), "the command runs")
    pid = int(text_of(folder / "pid"))
    (parent,) = [int(line.split()[1]) for line in text_of(Path(f"/proc/{pid}/status")).splitlines() if "PPid" in line]
    assert parent in children(denet_tui.pid)
    return parent, pid


@pytest.mark.parametrize(("end", "code", "number"), [("exit 7", 7, None), ("kill -9 $$", None, 9)])
def test_a_killed_supervisor_takes_neither_the_numbers_nor_the_status(
    tmp_path: Path, end: str, code: int | None, number: int | None
) -> None:
    script = f"echo $$ > pid; until [ -e go ]; do sleep 0.05; done; {end}"
    summary = tmp_path / "summary"
    running = started(
        "run", "--no-tui", "--summary", str(summary), "--", "sh", "-c", script, cwd=tmp_path, stderr=subprocess.PIPE
    )
    supervisor, _ = supervisor_of(running, tmp_path)
    os.kill(supervisor, signal.SIGKILL)
    time.sleep(0.3)
    (tmp_path / "go").touch()
    said = running.communicate(timeout=PATIENCE)[1].decode()
    assert "mistake" not in said
    assert "Traceback" not in said
    assert running.returncode == (code or 128 + 9)
    told = json.loads(summary.read_text())
    assert (told["exit_code"], told["signal"], told["exact"]) == (code, number, True)
    words = "the process that started the command was killed; the command is watched on"
    assert told["notes"] == [words]
    assert f"note: {words}" in said, "after the table as well"


@pytest.mark.parametrize("asked", ["kill", "leave"])
def test_on_quit_holds_where_the_supervisor_was_killed(tmp_path: Path, asked: str) -> None:
    running = started(
        "run", "--no-tui", "--on-quit", asked, "--", "sh", "-c", "echo $$ > pid; sleep 100; :", cwd=tmp_path
    )
    supervisor, command = supervisor_of(running, tmp_path)
    os.kill(supervisor, signal.SIGKILL)
    time.sleep(0.3)
    running.terminate()
    running.wait(PATIENCE)
    try:
        assert alive(command) is (asked == "leave")
    finally:
        for pid in (*children(command), command):
            if command_line(pid):
                os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(("end", "code", "number"), [("exit 0", 0, None), ("kill -9 $$", None, 9)])
def test_how_a_process_ended_that_was_attached_to_is_said(
    tmp_path: Path, end: str, code: int | None, number: int | None
) -> None:
    script = f"until [ -e go ]; do sleep 0.05; done; {end}"
    with subprocess.Popen(["sh", "-c", script], cwd=tmp_path) as process:
        running = started(
            "attach", "--json", "--detail", "calls", str(process.pid), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert running.stdout is not None
        assert b"metadata" in running.stdout.readline()
        (tmp_path / "go").touch()
        out, said = running.communicate(timeout=PATIENCE)
    told = json.loads(out.splitlines()[-1])
    assert (told["exit_code"], told["signal"]) == (code, number)
    assert ("killed by SIGKILL" if number else f"exited with status {code}") in said.decode()
    assert running.returncode == 0  # it is not denet-tui's command


BEFORE_IT_WAS_WATCHED = """
import os, subprocess, sys
from denet_tui.bpf.handover import Loading
from denet_tui.commands import run, targets
from denet_tui.watch.launch import Start
process = subprocess.Popen(["sleep", "60"])
def load(wanted, only_uid):
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | (os.WNOWAIT if sys.argv[1] == "a zombie" else 0))
    return Loading(wanted, only_uid=only_uid)
request = targets.WatchRequest(no_tui=True)
start = Start(request.options, aim="process", pids=[process.pid], loader=load)
run.exit_with(lambda before: run.watch(start, targets.ProcessTarget([process.pid]), request, before, None))
"""


@pytest.mark.parametrize("left", ["gone", "a zombie"])
def test_what_ends_while_the_program_loads_was_not_watched(left: str) -> None:
    done = run(sys.executable, "-c", BEFORE_IT_WAS_WATCHED, left)
    assert re.fullmatch(r"denet-tui: process \d+ ended before it could be watched; `denet-tui run .*\n", done.stderr)
    assert done.returncode == 125


def test_elapsed_is_until_the_commands_end(tmp_path: Path) -> None:
    summary = tmp_path / "summary"
    recording = tmp_path / "recording"
    done = denet(
        "run", "--no-tui", "--detail", "calls", "-o", str(recording), "--summary", str(summary), "--", "sleep", "0.2"
    )
    assert done.returncode == 0
    told = json.loads(summary.read_text())
    (sleep,) = told["processes"]
    began = json.loads(recording.read_text().splitlines()[0])["t0_ms"]
    assert told["elapsed_s"] * 1000 == pytest.approx(sleep["end_ms"] - began, abs=0.01)


def test_more_inherited_descriptors_than_select_can_take() -> None:
    many = 'ulimit -n 4000; for number in {3..1500}; do eval "exec $number< /dev/null"; done; '
    done = run("bash", "-c", many + 'exec "$@"', "bash", *DENET, "run", "--no-tui", "--", "sh", "-c", "exit 3")
    assert done.returncode == 3, done.stderr


def test_a_thread_of_the_kernel_is_not_waited_for() -> None:
    done = denet("attach", "--no-tui", "2", timeout=30)
    assert done.returncode == 125
    assert "process 2 (kthreadd) is a thread of the kernel" in done.stderr


def test_a_thread_is_told_from_a_process(tmp_path: Path) -> None:
    code = (
        "import threading, time; thread = threading.Thread(target=time.sleep, args=(60,)); thread.start();"
        "print(thread.native_id, flush=True)"
    )
    with subprocess.Popen(["python3", "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        tid = int(process.stdout.readline())
        done = denet("attach", "--no-tui", str(tid), timeout=30)
        process.kill()
    assert done.returncode == 125
    assert f"{tid} is a thread of process {process.pid}" in done.stderr
    assert f"attach {process.pid}" in done.stderr
