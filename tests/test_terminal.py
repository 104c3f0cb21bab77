"""The live screen on real terminals of several sizes, and the terminal that is handed back."""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path

import pytest

from tests.watch.helpers import DENET, Tmux, alive, children, eventually, text_of, tmux

pytestmark = pytest.mark.root

RUN = f"{' '.join(DENET)} run"
SIXTEEN = r"[349]\d|10\d"
"""The codes of 16 colours."""
UNTIL_GO = "echo $$ > pid; until [ -e go ]; do ls > /dev/null; sleep 0.1; done"


def start(terminal: Tmux, folder: Path, script: str, options: str = "") -> int:
    """Start a script on the screen from the shell; returns the script's pid once both are there."""
    (folder / "script").write_text(script)
    type_whole(terminal, folder, f"{RUN} {options} -- sh script")
    eventually(lambda: text_of(folder / "pid").strip(), "the command runs")
    eventually(lambda: terminal.flag("alternate_on") == "1", "the screen is there")
    return int(text_of(folder / "pid"))


def type_whole(terminal: Tmux, folder: Path, words: str) -> None:
    """Run denet-tui from a file: what is typed ahead of a prompt is echoed twice, and would be taken for output."""
    ending = "echo $? > status; stty -a > after; echo all over"
    (folder / "typed").write_text(f"stty -a > before; clear; echo from here\n{words}; {ending}\n")
    terminal.line(". ./typed")


def said_on(terminal: Tmux) -> list[str]:
    """The lines between the two marks of `type_whole`."""
    return terminal.history().split("from here\n")[-1].split("all over\n")[0].splitlines()


def end_of(terminal: Tmux, folder: Path) -> int:
    """Exit status of denet-tui, after a look at what it has left behind."""
    eventually(lambda: text_of(folder / "after").endswith("\n"), "the shell has its terminal again")
    eventually(lambda: "all over" in terminal.screen().splitlines(), "the shell's words are seen")
    assert terminal.flag("alternate_on") == "0"
    assert terminal.flag("cursor_flag") == "1"
    assert terminal.flag("mouse_any_flag") == "0"
    assert terminal.flag("pane_in_mode") == "0"
    before, after = (re.sub(r"rows.*columns \d+", "", text_of(folder / name)) for name in ("before", "after"))
    assert after == before
    eventually(lambda: not children(terminal.shell), "no process of denet-tui is left")
    return int(text_of(folder / "status"))


@pytest.mark.parametrize(
    ("columns", "rows", "term", "colours"),
    [(120, 40, "tmux-256color", rf"{SIXTEEN}|[34]8;5;\d+"), (80, 24, "linux", SIXTEEN), (20, 5, "screen", SIXTEEN)],
)
def test_a_command_is_watched_to_its_end_and_the_terminal_given_back(
    tmp_path: Path, columns: int, rows: int, term: str, colours: str
) -> None:
    with tmux(tmp_path, columns, rows) as terminal:
        terminal.line(f"export TERM={term}; unset COLORTERM NO_COLOR")
        start(terminal, tmp_path, UNTIL_GO + "\nexit 3")
        if columns == 20:
            eventually(lambda: "too small" in terminal.screen(), "it is said that there is no room")
            terminal.resize(120, 40)
        eventually(lambda: "openat" in terminal.screen(), "syscalls are shown")
        eventually(lambda: "exact" in terminal.screen() or columns == 50, "and that they are exact")
        codes = ";".join(re.findall(r"\x1b\[([\d;]*)m", terminal.coloured()))
        used = {code for code in re.findall(r"[34]8;[25];[\d;]+?(?=;|$)|\d+", codes) if code not in ("39", "49")}
        assert any(len(code) > 1 for code in used)
        assert all(re.fullmatch(rf"\d|{colours}", code) for code in used), "no more than the terminal has"
        (tmp_path / "go").touch()
        eventually(lambda: re.search(r"exit(ed)?\D{0,8}3\b", terminal.screen()), "the end is shown")
        assert terminal.flag("alternate_on") == "1"  # until somebody has seen it
        terminal.type("q")
        assert end_of(terminal, tmp_path) == 3
        seen = terminal.history()
        assert "exact: no call lost" in seen
        assert "exited with status 3" in seen
        assert re.search(r"\bopenat *$", seen, re.MULTILINE)


def test_quitting_asks_and_can_kill(tmp_path: Path) -> None:
    with tmux(tmp_path) as terminal:
        pid = start(terminal, tmp_path, UNTIL_GO)
        terminal.type("q")
        eventually(lambda: "still running" in terminal.screen(), "it asks")
        terminal.type("c")
        eventually(lambda: "still running" not in terminal.screen(), "the question is gone")
        assert alive(pid)
        terminal.type("C-c")
        eventually(lambda: "still running" in terminal.screen(), "it asks again")
        terminal.type("k")
        assert end_of(terminal, tmp_path) == 143
        assert not alive(pid)
        assert "killed by SIGTERM" in terminal.history()


def test_quitting_can_leave_the_command_running(tmp_path: Path) -> None:
    with tmux(tmp_path) as terminal:
        start(terminal, tmp_path, UNTIL_GO + "\nhead -c 10000000 /dev/zero | tr '\\0' x\ntouch done")
        family = children(terminal.shell)
        terminal.type("q")
        eventually(lambda: "still running" in terminal.screen(), "it asks")
        terminal.type("l")
        eventually(lambda: text_of(tmp_path / "status"), "denet-tui has gone")
        assert text_of(tmp_path / "status") == "0\n"
        (tmp_path / "go").touch()
        eventually((tmp_path / "done").exists, "the command has come to its end")
        eventually(lambda: not any(alive(pid) for pid in family), "and so has its supervisor")
        assert end_of(terminal, tmp_path) == 0


def test_on_quit_kill_does_not_ask(tmp_path: Path) -> None:
    own = "trap '' HUP; sleep 100 & echo $! > own; setsid sh -c 'echo $$ > away; exec sleep 100' &\n"
    own += "until [ -s away ]; do sleep 0.1; done\n"
    with tmux(tmp_path) as terminal:
        start(terminal, tmp_path, own + UNTIL_GO, "--on-quit kill")
        own_group, away = (int(text_of(tmp_path / name)) for name in ("own", "away"))
        terminal.type("q")
        assert end_of(terminal, tmp_path) == 143
        assert [alive(own_group), alive(away)] == [False, True], "as is said of it"
        os.kill(away, signal.SIGKILL)


def test_the_command_has_a_terminal_of_its_own(tmp_path: Path) -> None:
    script = "[ -t 0 ] && [ -t 1 ] && [ -t 2 ] && stty size > size\ntrap 'stty size > size' WINCH\n" + UNTIL_GO
    with tmux(tmp_path) as terminal:
        start(terminal, tmp_path, "echo 'for the pane'\n" + script + "\nexit 3", "--output kept")
        eventually(lambda: re.fullmatch(r"3\d 119\n", text_of(tmp_path / "size")), "it has the size of the pane")
        terminal.resize(90, 30)
        eventually(lambda: re.fullmatch(r"2\d 89\n", text_of(tmp_path / "size")), "it is resized with the pane")
        (tmp_path / "go").touch()
        eventually(lambda: re.search(r"exited 3\b", terminal.screen()), "the end is shown")
        terminal.type("q")
        assert end_of(terminal, tmp_path) == 3
        assert re.findall(".*for the pane.*", terminal.history()) == ["from its output: for the pane"]
        assert (tmp_path / "kept").read_bytes() == b"for the pane\r\n"


def test_a_wrong_setting_is_one_line_and_nothing_is_run(tmp_path: Path) -> None:
    (tmp_path / "denet-tui").mkdir()
    (tmp_path / "denet-tui" / "settings.toml").write_text("[keys]\napp.quit = 'space'\n")
    with tmux(tmp_path) as terminal:
        type_whole(terminal, tmp_path, f"XDG_CONFIG_HOME=$PWD {RUN} -- touch ran")
        assert end_of(terminal, tmp_path) == 125
        (said,) = said_on(terminal)
        assert said.startswith(f"denet-tui: {tmp_path}/denet-tui/settings.toml:2: space is app.quit and live.pause")
        assert not (tmp_path / "ran").exists()


def test_the_settings_are_obeyed_and_the_command_sees_no_color(tmp_path: Path) -> None:
    (tmp_path / "denet-tui").mkdir()
    (tmp_path / "denet-tui" / "settings.toml").write_text("interval = 0.25\n[keys]\napp.quit = 'x'\n")
    with tmux(tmp_path) as terminal:
        terminal.line("export NO_COLOR=1 XDG_CONFIG_HOME=$PWD")
        start(terminal, tmp_path, "echo $NO_COLOR > color\n" + UNTIL_GO, "-o kept")
        (tmp_path / "go").touch()
        eventually(lambda: "exited 0" in terminal.screen(), "the end is shown")
        terminal.type("x")
        assert end_of(terminal, tmp_path) == 0
        assert (tmp_path / "color").read_text() == "1\n"
        assert '"interval_ms":250' in (tmp_path / "kept").read_text().splitlines()[0]


@pytest.mark.parametrize(
    ("first_line", "status", "says"),
    [(None, 127, "command not found: ./program"), ("#!/nowhere/sh", 127, "the interpreter that its first line")],
)
def test_a_command_that_cannot_run_leaves_one_line(
    tmp_path: Path, first_line: str | None, status: int, says: str
) -> None:
    if first_line:
        (tmp_path / "program").write_text(f"{first_line}\n")
        (tmp_path / "program").chmod(0o755)
    with tmux(tmp_path) as terminal:
        type_whole(terminal, tmp_path, f"{RUN} -- ./program")
        assert end_of(terminal, tmp_path) == status
        (said,) = said_on(terminal)
        assert said.startswith("denet-tui: ")
        assert says in said


def test_nothing_is_drawn_where_nobody_would_see_it(tmp_path: Path) -> None:
    with tmux(tmp_path) as terminal:
        type_whole(terminal, tmp_path, f"{RUN} -- echo x 2> said")
        assert end_of(terminal, tmp_path) == 0
        assert "\x1b" not in text_of(tmp_path / "said")
        assert "exact: no call lost" in text_of(tmp_path / "said")


KNOWN = """
import fcntl, os, signal, time
lock, told = open("lock", "w"), os.pipe()
child = os.fork()
if not child:
    held = open("lock")
    fcntl.flock(held, fcntl.LOCK_EX)
    os.write(told[1], b"x")
    time.sleep(1)
    fcntl.flock(held, fcntl.LOCK_UN)
    os._exit(0)
os.read(told[0], 1)
fcntl.flock(lock, fcntl.LOCK_EX)
child = os.fork()
if not child:
    time.sleep(1)
    os._exit(0)
os.waitpid(child, 0)
time.sleep(1)
end = time.process_time() + 1
while time.process_time() < end:
    pass
open("known", "w").close()
signal.pause()
"""
"""A second each of: a lock that another holds, a child, sleep, and work."""


def _told_of_known_parts(tmp_path: Path) -> str:
    """What Details say at its end."""
    tmp_path.mkdir()
    (tmp_path / "known.py").write_text(KNOWN)
    with tmux(tmp_path) as terminal:
        start(terminal, tmp_path, f"echo $$ > pid; exec {sys.executable} -S -E known.py")
        eventually((tmp_path / "known").exists, "its work is done")
        terminal.type("Tab", "i", "k")
        eventually(lambda: "Send which signal to" in terminal.screen(), "it asks")
        terminal.type("Enter")
        eventually(lambda: "killed by SIGTERM, ran for" in terminal.screen(), "the signal has ended it")
        told = " ".join(line.rpartition("▕")[2].strip() for line in terminal.screen().splitlines())
        terminal.type("q")
        assert end_of(terminal, tmp_path) == 143
    return told


def test_known_parts_of_time_are_on_the_screen_and_a_signal_goes_from_there(tmp_path: Path) -> None:
    for attempt in "abc":  # a switch that the kernel has not told makes the parts unknown
        told = _told_of_known_parts(tmp_path / attempt)
        if "█ user" in told:
            break
    user, kernel, runqueue, children, blocked, inside, whole_s = re.search(
        r"█ user (\d+) %, ▓ kernel (\d+) % .*?▒ waits for CPU (\d+) %, · waits for children (\d+) % "
        r"░ blocked (\d+) % \((.*?)\) of ([\d.]+)s of all",
        told,
    ).groups()  # type: ignore[union-attr]
    shares = [int(share) for share in (user, kernel, runqueue, children, blocked)]
    assert sum(shares) == pytest.approx(100, abs=3), "each is rounded"
    calls = {name: int(share) for name, share in re.findall(r"(\w+) (\d+) %", inside)}
    # A whole of two digits, and shares of whole percents of it; the lock and the child may come late, work may not.
    each = 100 / float(whole_s)
    assert calls["clock_nanosleep"] == pytest.approx(each, abs=2)
    assert min(calls["flock"], shares[3]) >= each - 2
    assert each - 2 <= shares[0] + shares[1] <= 1.5 * each
