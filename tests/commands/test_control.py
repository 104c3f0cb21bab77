"""A run that goes on after its command, and what can be asked of one that is under way."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.real import REPOSITORY, SHIFTING, environment, run_summary, straced, watched
from tests.watch.helpers import DENET, PATIENCE, alive, eventually, text_of, tmux

pytestmark = pytest.mark.root

DAEMON = ["sh", "-c", "setsid sh -c 'sleep 0.3; ls / > /dev/null; ls /nowhere' > /dev/null 2>&1 & exit 3"]
COUNTING = "echo $$ > pid; until [ -e go ]; do ls > /dev/null; n=$((n + 1)); echo $n > made; sleep 0.1; done\n"


def test_until_the_last_descendant_has_ended_as_strace_has_it(tmp_path: Path) -> None:
    counts, summary = watched(DAEMON, tmp_path, "--until-last")
    assert (counts.status, summary["exit_code"], summary["exact"]) == (3, 3, True), summary["lost"]
    assert counts.without(SHIFTING) == straced(DAEMON, tmp_path).without(SHIFTING)
    assert len(summary["processes"]) == 5
    assert [process["end_ms"] is None for process in summary["processes"]] == [False] * 5
    last, first = max(each["end_ms"] for each in summary["processes"]), summary["processes"][0]["start_ms"]
    assert summary["elapsed_s"] > (last - first) / 1000 - 0.01
    assert summary["elapsed_s"] > 0.3
    _, short = run_summary(DAEMON, tmp_path)
    assert [each["end_ms"] for each in short["processes"]].count(None) >= 1
    assert short["exit_code"] == 3


def test_ctrl_c_ends_what_only_daemons_are_left_of(tmp_path: Path) -> None:
    daemon = ["sh", "-c", "setsid sleep 60 > /dev/null 2>&1 & echo $! > pid; exit 4"]
    argv = [*DENET, "run", "--no-tui", "--until-last", "-o", "kept", "--interval", "0.1", "--", *daemon]
    with subprocess.Popen(argv, env=environment(), cwd=tmp_path, stderr=subprocess.PIPE) as watching:
        eventually(lambda: '"event":"exit"' in text_of(tmp_path / "kept"), "the command has ended")
        pid = int(text_of(tmp_path / "pid"))
        eventually(lambda: text_of(Path(f"/proc/{pid}/comm")) == "sleep\n", "the daemon is there")
        eventually(lambda: text_of(tmp_path / "kept").count('"kind":"tree"') > 5, "the run goes on")
        watching.send_signal(signal.SIGINT)
        said = watching.communicate(timeout=PATIENCE)[1].decode()
    assert watching.returncode == 4, said
    assert f"still running: sleep ({pid})" in said
    elapsed, ticks = re.search(r"elapsed: ([\d.]+) s", said), text_of(tmp_path / "kept").count('"kind":"tree"')
    assert elapsed
    assert float(elapsed[1]) > 0.1 * (ticks - 2), "until the watching was ended, not until the command's end"
    assert alive(pid)
    os.kill(pid, signal.SIGKILL)


def test_a_signal_asks_for_the_table_so_far(tmp_path: Path) -> None:
    argv = [*DENET, "run", "--no-tui", "--interval", "10", "--", "sh", "-c", COUNTING]
    said = tmp_path / "said"
    with said.open("wb") as errors, subprocess.Popen(argv, env=environment(), cwd=tmp_path, stderr=errors) as watching:
        for number in (1, 2):
            eventually(lambda: text_of(tmp_path / "made") >= str(number), "the command is at work")  # noqa: B023
            watching.send_signal(signal.SIGUSR1)
            eventually(lambda: text_of(said).count("still running: ") == number, "it is told")  # noqa: B023
        (tmp_path / "go").touch()
        assert watching.wait(PATIENCE) == 0
    tables = re.findall(r"([\d.]+) +[\d.]+ +(\d+) .*total$", text_of(said), re.MULTILINE)
    assert [int(calls) for _, calls in tables] == sorted({int(calls) for _, calls in tables})
    assert len(tables) == 3
    assert text_of(said).count("exact: no call lost") == 3
    assert text_of(said).count("exited with status 0") == 1


def test_the_table_so_far_has_what_was_used_until_then(tmp_path: Path) -> None:
    """Nothing is looked up in /proc before, as nobody sees it: neither of a child nor of the command."""
    spend = "import time\nwhile time.process_time() < 0.4: pass\nopen('spent', 'w').write('x'); time.sleep(60)"
    argv = [*DENET, "run", "--no-tui", "--", "sh", "-c", '"$@" & wait', "sh", sys.executable, "-c", spend]
    said = tmp_path / "said"
    with said.open("wb") as errors, subprocess.Popen(argv, env=environment(), cwd=tmp_path, stderr=errors) as watching:
        eventually(lambda: text_of(tmp_path / "spent"), "the child has spent its time")
        watching.send_signal(signal.SIGUSR1)
        eventually(lambda: "still running: " in text_of(said), "the table is there")
        os.kill(int(re.search(r"still running: .*python\S* \((\d+)\)", text_of(said))[1]), signal.SIGKILL)
        assert watching.wait(PATIENCE) == 0, text_of(said)
    used = re.search(r"^used: (.*)$", text_of(said), re.MULTILINE)
    assert used, text_of(said)
    cpu = re.match(r"([\d.]+) ?(m?)s", used[1].removeprefix("CPU "))
    assert cpu, used[1]
    assert float(cpu[1]) / (1000 if cpu[2] else 1) >= 0.4, text_of(said)


def test_a_signal_that_comes_during_the_start_ends_nothing() -> None:
    argv = [*DENET, "run", "--no-tui", "--", "true"]
    with subprocess.Popen(argv, env=environment(), stderr=subprocess.PIPE) as early:
        eventually(lambda: text_of(Path(f"/proc/{early.pid}/task/{early.pid}/children")), "the supervisor is there")
        early.send_signal(signal.SIGUSR1)
        said = early.communicate(timeout=PATIENCE)[1].decode()
    assert early.returncode == 0, said


def test_suspended_the_terminal_is_the_shells_and_the_counting_goes_on(tmp_path: Path) -> None:
    (tmp_path / "script").write_text(COUNTING)
    with tmux(tmp_path) as terminal:
        terminal.line("stty -a > before; clear")
        terminal.line(f"{' '.join(DENET)} run -o kept -- sh script")
        eventually(lambda: terminal.flag("alternate_on") == "1" and text_of(tmp_path / "made"), "it is watched")
        eventually(lambda: "exact" in terminal.screen(), "the screen shows it")
        terminal.type("C-z")
        eventually(lambda: terminal.flag("alternate_on") == "0", "the shell has its terminal again")
        eventually(lambda: "Stopped" in terminal.screen(), "the shell says so")
        terminal.line("stty -a > after; echo ready")
        eventually(lambda: "ready" in terminal.screen().splitlines(), "the shell obeys")
        assert (terminal.flag("mouse_any_flag"), terminal.flag("cursor_flag")) == ("0", "1")
        assert text_of(tmp_path / "after") == text_of(tmp_path / "before")
        made = text_of(tmp_path / "made")
        eventually(lambda: text_of(tmp_path / "made") not in ("", made), "the command goes on")
        terminal.line("fg")
        eventually(lambda: terminal.flag("alternate_on") == "1", "the screen is back")
        (tmp_path / "go").touch()
        eventually(lambda: "exited 0" in terminal.screen(), "the end is shown")
        terminal.type("q")
        eventually(lambda: terminal.flag("alternate_on") == "0", "it is left")
        eventually(lambda: '"kind":"summary"' in text_of(tmp_path / "kept"), "the recording is whole")
    summary = json.loads(text_of(tmp_path / "kept").splitlines()[-1])
    assert summary["exact"] is True, summary["lost"]
    assert [each["comm"] for each in summary["processes"]].count("ls") == int(text_of(tmp_path / "made"))


def test_without_a_shell_nothing_is_suspended(tmp_path: Path) -> None:
    code = "from denet_tui.watch.caller import has_shell; print(has_shell())"
    python = [sys.executable, "-c", code]
    for apart, has in (({"start_new_session": True}, "False"), ({"process_group": 0}, "True")):
        done = subprocess.run(python, capture_output=True, text=True, cwd=REPOSITORY, timeout=60, **apart)
        assert done.stdout == f"{has}\n", done.stderr
