"""However denet-tui ends, the command's fate is as --on-quit says, and nothing of denet-tui is left."""

from __future__ import annotations

import contextlib
import os
import random
import select
import signal
import subprocess
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from denet_tui.bpf import process
from denet_tui.commands import run
from denet_tui.commands.targets import WatchRequest
from tests.helper.helped import in_child
from tests.real import environment
from tests.watch.helpers import (
    DENET,
    PATIENCE,
    alive,
    children,
    eventually,
    held_programs,
    programs,
    started,
    status,
    text_of,
    tmux,
)

pytestmark = [pytest.mark.root, pytest.mark.early]

TO_BE_KILLED = "(trap '' HUP; exec sleep 100) & echo $! > child; echo $$ > pid; wait; touch done"
"""The child is deaf to the hang-up that the kernel sends when a session's leader dies."""
TO_BE_LEFT = "echo $$ > pid; head -c 10000000 /dev/zero | tr '\\0' x; touch done"
"""Writes 10 MB to its terminal: far more than a terminal that nobody reads would take."""


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """Every program that was loaded meanwhile is held by somebody's living process, or gone."""
    before = programs()
    yield
    # Other tests may load programs at the same time, and for a moment have them in a socket only: so look again.
    eventually(lambda: not (new := programs() - before) or not new - held_programs(), "no BPF program is left behind")


class OwnTerminal:
    """A terminal that somebody reads all the time. Like under a shell, denet-tui does not lead its session:
    when a leader dies, the kernel itself hangs up on everybody.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen = b""
        self._master, self._slave = os.openpty()
        termios.tcsetwinsize(self._slave, (40, 120))
        self.before = termios.tcgetattr(self._slave)
        self._leader = 0
        self._news, self._told = os.pipe()
        threading.Thread(target=self._read, daemon=True).start()

    def start(self, *words: str) -> int:
        """Start denet-tui on it; returns its pid."""
        self._leader = os.fork()
        if self._leader == 0:
            try:
                self._lead([*DENET, *words])
            finally:
                os._exit(99)
        return int(os.read(self._news, 16))

    def _lead(self, argv: list[str]) -> None:
        os.chdir(self.folder)
        os.login_tty(os.dup(self._slave))
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # ignored, and to stay so, where these tests run behind a `&`
            os.execve(argv[0], argv, environment() | {"TERM": "xterm-256color"})
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.write(self._told, b"%d" % pid)
        os.write(self._told, b"%d" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        signal.pause()

    def wait(self) -> int:
        """Exit status of denet-tui, as a shell gives it."""
        assert select.select([self._news], [], [], PATIENCE)[0], "denet-tui has not ended"
        code = int(os.read(self._news, 16))
        return code if code >= 0 else 128 - code

    def type(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def settings(self) -> list[object]:
        return termios.tcgetattr(self._slave)

    def close(self) -> None:
        if self._leader:
            os.kill(self._leader, signal.SIGKILL)
            os.waitpid(self._leader, 0)
        for number in (self._slave, self._news, self._told):
            os.close(number)

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while data := os.read(self._master, 1 << 16):
                self.seen = (self.seen + data)[-(1 << 20) :]
        os.close(self._master)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[OwnTerminal]:
    made = OwnTerminal(tmp_path)
    yield made
    made.close()


def kill_nine(terminal: OwnTerminal, pid: int) -> list[int]:
    """SIGKILL; returns all processes below it, stopping it first so that none can be added meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: status(pid)["State"][0] in "TZ", "denet-tui is stopped")
    family = children(pid)
    os.kill(pid, signal.SIGKILL)
    assert terminal.wait() == 128 + signal.SIGKILL
    return family


def has_come_to(phase: str, pid: int, folder: Path) -> bool:
    """True once denet-tui is where the test wants it."""
    family = children(pid)
    if phase == "start":
        return True
    if phase == "loader":
        return bool(loaders(pid))
    if phase == "held":
        return any(children(child) for child in family)
    return bool(text_of(folder / "pid"))


def loaders(pid: int) -> list[int]:
    """The loader of this denet-tui, while there is one."""
    return [child for child in children(pid) if text_of(Path(f"/proc/{child}/comm")).strip() == process.NAME]


def hold_loader(pid: int) -> bool:
    """Stop the loader at its work, so that there is time for a key on a busy machine, too; False before it is there."""
    for loader in (found := loaders(pid)):
        os.kill(loader, signal.SIGSTOP)
    return bool(found)


MOMENTS = [
    *((screen, "running", policy) for screen in (False, True) for policy in ("kill", "leave")),
    # Nothing has been started there that a policy could be for.
    *(
        (screen, phase, "leave" if screen else "kill")
        for screen in (False, True)
        for phase in ("start", "loader", "held")
    ),
]


@pytest.mark.parametrize(("screen", "phase", "policy"), MOMENTS)
def test_kill_nine_at_any_moment(terminal: OwnTerminal, screen: bool, phase: str, policy: str) -> None:
    folder = terminal.folder
    words = ["--on-quit", policy, "--", "sh", "-c", TO_BE_KILLED if policy == "kill" else TO_BE_LEFT]
    pid = terminal.start("run", "--detail", "calls", *([] if screen else ["--no-tui"]), *words)
    eventually(lambda: has_come_to(phase, pid, folder) or not alive(pid), f"denet-tui has come to: {phase}")
    time.sleep(random.Random(f"{phase}{policy}{screen}").uniform(0, 0.3 if phase == "start" else 0.1))
    family = kill_nine(terminal, pid)
    if policy == "kill" and not screen and (folder / "pid").exists():
        # Without a terminal of its own it has no group of its own either: its children are not ended.
        command = int(text_of(folder / "pid"))
        eventually(lambda: not alive(command), "the command has been ended")
        os.kill(int(text_of(folder / "child")), signal.SIGKILL)
    eventually(lambda: not any(alive(each) for each in family), "command, supervisor and loader have ended")
    ran = (folder / "pid").exists()
    assert (folder / "done").exists() == (ran and policy == "leave")
    if phase == "running":
        assert ran
    if not screen:
        assert terminal.settings() == terminal.before


def test_a_shell_is_usable_after_kill_nine_of_the_screen(tmp_path: Path) -> None:
    with tmux(tmp_path) as terminal:
        (tmp_path / "script").write_text(TO_BE_KILLED)
        terminal.line(f"{' '.join(DENET)} run --on-quit kill -- sh script")
        eventually(lambda: text_of(tmp_path / "pid"), "the command runs")
        eventually(lambda: terminal.flag("alternate_on") == "1", "the screen is there")
        family = children(terminal.shell)
        os.kill(family[0], signal.SIGKILL)
        eventually(lambda: not any(alive(pid) for pid in family), "all have ended")
        terminal.line("reset")
        terminal.line("echo still $((40 + 2)) > alive; stty -a > stty")
        eventually(lambda: text_of(tmp_path / "alive") == "still 42\n", "the shell answers")
        eventually(lambda: "echo" in text_of(tmp_path / "stty"), "stty answers")
        assert " echo " in text_of(tmp_path / "stty")
        assert " icanon " in text_of(tmp_path / "stty")


@pytest.mark.parametrize("screen", [False, True], ids=["plain", "screen"])
@pytest.mark.parametrize(("number", "policy"), [(signal.SIGTERM, "kill"), (signal.SIGHUP, "leave")])
def test_a_signal_to_denet_tui_ends_or_leaves_the_command(
    terminal: OwnTerminal, screen: bool, number: signal.Signals, policy: str
) -> None:
    left = "echo $$ > pid; until [ -e go ]; do sleep 0.1; done; touch done"
    words = ["--on-quit", policy, "--", "sh", "-c", left]
    pid = terminal.start("run", "--detail", "calls", *([] if screen else ["--no-tui"]), *words)
    eventually(lambda: text_of(terminal.folder / "pid"), "the command runs")
    if screen:
        eventually(lambda: b"\x1b[?1049h" in terminal.seen, "the screen is there")
        time.sleep(0.5)  # until its loop is running there is nobody to take signals
    family = children(pid)
    os.kill(pid, number)
    assert terminal.wait() == (128 + signal.SIGTERM if policy == "kill" else 0)
    (terminal.folder / "go").touch()
    eventually(lambda: not any(alive(each) for each in family), "all have ended")
    assert (terminal.folder / "done").exists() == (policy == "leave")
    assert terminal.settings() == terminal.before
    assert b"Traceback" not in terminal.seen
    eventually(lambda: b"exact: no call lost" in terminal.seen, "what was counted is told all the same")


def test_a_second_signal_in_the_middle_of_the_first_does_no_harm() -> None:
    """As sudo's and the terminal's come together: Event.set would wait for its own lock for ever."""

    class Twice:
        target = None

        def run(self, publish: object, stop: threading.Event) -> None:
            stop._cond.notify_all = lambda: os.kill(os.getpid(), signal.SIGTERM)  # type: ignore[attr-defined]
            os.kill(os.getpid(), signal.SIGTERM)
            assert stop.is_set()

    def body() -> None:
        signal.alarm(10)
        request = WatchRequest(on_quit="leave")
        assert run._without_screen(Twice(), request, lambda _: None) == "leave"  # type: ignore[arg-type]

    in_child(body)


def test_a_command_that_will_not_end_is_killed_two_seconds_later(terminal: OwnTerminal) -> None:
    stubborn = "trap '' TERM; echo $$ > pid; exec sleep 100"
    pid = terminal.start("run", "--no-tui", "--on-quit", "kill", "--", "sh", "-c", stubborn)
    eventually(lambda: text_of(terminal.folder / "pid"), "the command runs")
    os.kill(pid, signal.SIGTERM)
    assert terminal.wait() == 128 + signal.SIGKILL


@pytest.mark.parametrize(("trap", "expected"), [("", 130), ("trap 'exit 7' INT; ", 7)])
def test_ctrl_c_is_for_the_command(terminal: OwnTerminal, trap: str, expected: int) -> None:
    terminal.start("run", "--no-tui", "--", "sh", "-c", f"{trap}echo $$ > pid; while :; do sleep 0.1; done")
    eventually(lambda: text_of(terminal.folder / "pid"), "the command runs")
    terminal.type(b"\x03")
    assert terminal.wait() == expected
    eventually(lambda: b"exact: no call lost" in terminal.seen, "the table is printed")
    assert b"Traceback" not in terminal.seen


def test_ctrl_c_before_the_command_runs_starts_nothing(terminal: OwnTerminal) -> None:
    pid = terminal.start("run", "--no-tui", "--", "touch", "ran")
    eventually(lambda: hold_loader(pid), "the loader works")
    family = children(pid)
    terminal.type(b"\x03")
    status_then = terminal.wait()
    eventually(lambda: not any(alive(each) for each in family), "all have ended")
    assert status_then == 130
    assert b"Traceback" not in terminal.seen
    assert not (terminal.folder / "ran").exists()


def test_ctrl_z_stops_and_fg_goes_on(tmp_path: Path) -> None:
    with tmux(tmp_path) as terminal:
        waiting = "echo $$ > pid; until [ -e go ]; do sleep 0.1; done; exit 5"
        terminal.line(f"{' '.join(DENET)} run --no-tui -- sh -c '{waiting}'; echo status $? > status")
        eventually(lambda: text_of(tmp_path / "pid"), "the command runs")
        terminal.type("C-z")
        eventually(lambda: "Stopped" in terminal.screen(), "the shell says so")
        pid = int(text_of(tmp_path / "pid"))
        assert status(pid)["State"][0] == "T"
        (tmp_path / "go").touch()
        terminal.line("fg; echo status $? > status2")
        eventually(lambda: text_of(tmp_path / "status2"), "it went on")
        assert text_of(tmp_path / "status2") == "status 5\n"


def test_a_command_that_is_left_does_not_hide_that_its_recording_is_cut_off(tmp_path: Path) -> None:
    """As with `attach`: 125, where there is no status of the command to end with."""
    words = (
        "run",
        "--json",
        "--detail",
        "calls",
        "--interval",
        "0.1",
        "--on-quit",
        "leave",
        "--",
        "sh",
        "-c",
        "echo $$ > pid; exec sleep 100",
    )
    with (tmp_path / "said").open("w") as said:  # a pipe would be the command's as well, and stay open
        watching = started(*words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=said)
    try:
        eventually(lambda: text_of(tmp_path / "pid"), "the command runs")
        assert watching.stdout is not None
        watching.stdout.close()
        time.sleep(0.5)  # some ticks find nobody who reads
        watching.terminate()
        assert watching.wait(PATIENCE) == 125
        assert "recording on standard output" in text_of(tmp_path / "said")
    finally:
        os.kill(int(text_of(tmp_path / "pid")), signal.SIGKILL)
