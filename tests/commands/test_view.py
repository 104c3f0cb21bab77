"""`view` from outside: on a real terminal, a real recording, a real stream of another machine's."""

from __future__ import annotations

import getpass
import json
import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.record.test_playback import long_run
from tests.record.test_read import recorded
from tests.watch.helpers import DENET, Tmux, denet, eventually, run, text_of, tmux

DENET_TUI = " ".join(DENET)
CALLS = "echo go > begun; until [ -e go ]; do ls > /dev/null; sleep 0.1; done; exit 3"


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recorded(tmp_path_factory.mktemp("view") / "rec.jsonl", long_run())


@pytest.mark.parametrize(("columns", "rows"), [(120, 40), (80, 24)])
def test_a_recording_is_shown_and_the_terminal_given_back(
    recording: Path, tmp_path: Path, columns: int, rows: int
) -> None:
    with tmux(tmp_path, columns, rows) as terminal:
        terminal.line(f"{DENET_TUI} view {recording}; echo status $?")
        eventually(lambda: "stopped  1:15.0 of 1:15.0" in terminal.screen(), "it stands at the end")
        eventually(lambda: "exited 0" in terminal.screen(), "the end of its command is drawn")
        assert "make -j4" in terminal.screen()
        terminal.type("T")
        eventually(lambda: "which moment" in terminal.screen(), "it asks")
        terminal.type("5", "Enter")
        eventually(lambda: "stopped  0:05.0 of 1:15.0" in terminal.screen(), "it is there")
        assert " 55 calls" in terminal.screen()
        terminal.type("q")
        eventually(lambda: "status 0" in terminal.screen(), "it is left unasked")
        assert terminal.flag("alternate_on") == "0"


def test_what_cannot_be_shown_is_one_line(recording: Path, tmp_path: Path) -> None:
    done = denet("view", str(recording))
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr == "denet-tui: view shows a recording on a screen, and there is no terminal here\n"
    (tmp_path / "odd.jsonl").write_text('{"time": 1}\n')
    with tmux(tmp_path) as terminal:
        terminal.line(f"{DENET_TUI} view odd.jsonl; echo status $?")
        eventually(lambda: "status 125" in terminal.screen(), "it ends")
        says = "denet-tui: odd.jsonl: it is no recording of denet-tui or denet: its first line is something else"
        assert says in terminal.screen().splitlines()


@pytest.mark.root
def test_of_an_ended_process_the_details_are_whole_though_there_is_no_summary(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
    done = denet("run", "--no-tui", "-o", f"{whole}", "--", "sh", "-c", "sleep 0.4; true")
    assert done.returncode == 0, done.stderr
    lines = whole.read_text().splitlines(keepends=True)
    cut.write_text("".join(line for line in lines if '"summary"' not in line[:40]))
    assert len(cut.read_text().splitlines()) < len(lines)
    with tmux(tmp_path, 120, 60) as terminal:
        terminal.line(f"{DENET_TUI} view {cut}; echo status $?")
        eventually(lambda: "exited 0" in terminal.screen(), "the end is shown")
        terminal.type("Tab", "i")
        eventually(lambda: "of all its threads together" in terminal.screen(), "the details are shown")
        user = pwd.getpwuid(os.getuid())
        for says in (
            f"{user.pw_name} ({user.pw_uid})",
            "· waits for children",
            "s of CPU",
            "at most ",
            " read from disks",
        ):
            eventually(lambda says=says: says in terminal.screen(), f"it says {says}")  # type: ignore[misc]
        assert "not known" not in terminal.screen()
        terminal.type("q")
        eventually(lambda: "status 0" in terminal.screen(), "it is left")


@pytest.mark.root
def test_another_machine_is_watched_through_ssh(tmp_path: Path, sshd: list[str]) -> None:
    ssh = " ".join([*sshd, "-n", f"'cd {tmp_path} && {DENET_TUI} run --json --summary summary -- sh script'"])
    (tmp_path / "script").write_text(CALLS)
    with tmux(tmp_path) as terminal:
        terminal.line(f"{ssh} 2> said | {DENET_TUI} view -; echo status $?")
        eventually(lambda: "following" in terminal.screen() or text_of(tmp_path / "said"), "it is watched")
        eventually(lambda: "openat" in terminal.screen(), "calls are shown")
        assert "running" in terminal.screen(), text_of(tmp_path / "said")
        (tmp_path / "go").touch()
        eventually(lambda: "exited 3" in terminal.screen(), "the end is shown")
        eventually(lambda: text_of(tmp_path / "summary").endswith("}\n"), "it is written after the last line of --json")
        summary = json.loads(text_of(tmp_path / "summary"))
        calls = sum(row["calls"] for row in summary["syscalls"].values())
        eventually(lambda: f" {calls:,} calls" in terminal.screen(), f"all {calls} calls are counted")
        assert "exact" in terminal.screen()
        leave(terminal)


def leave(terminal: Tmux) -> None:
    terminal.type("q")
    eventually(lambda: "status 0" in terminal.screen(), "it is left")


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[list[str]]:
    """How to run a command by ssh on this machine, whose sshd serves this test alone."""
    server = shutil.which("sshd", path="/usr/sbin:/sbin:/usr/bin")
    if not server or not shutil.which("ssh"):
        pytest.skip("needs sshd and ssh: another machine is watched")
    for name in ("host", "user"):
        done = run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name))
        assert done.returncode == 0, done.stderr
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where it drops its privilege
    config = tmp_path / "sshd_config"
    config.write_text(
        f"HostKey {tmp_path}/host\nAuthorizedKeysFile {tmp_path}/user.pub\nStrictModes no\nUsePAM no\nPidFile none\n"
        "PermitRootLogin prohibit-password\nListenAddress 127.0.0.1\n"
    )
    port = _free_port()
    with subprocess.Popen([server, "-D", "-e", "-f", config, "-p", str(port)], stderr=subprocess.PIPE) as process:
        try:
            options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "BatchMode=yes"]
            ssh = ["ssh", "-F", "none", "-p", str(port), "-i", str(tmp_path / "user")]
            ssh += [word for option in options for word in ("-o", option)] + [f"{getpass.getuser()}@127.0.0.1"]
            eventually(lambda: not run(*ssh, "true").returncode, "sshd answers")
            yield ssh
        finally:
            process.terminate()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
