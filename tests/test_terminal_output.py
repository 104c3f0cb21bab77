"""The Output tab and running again on a real terminal, with commands that want something of theirs."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from pathlib import Path

import pytest

from tests.test_terminal import end_of, start
from tests.watch.helpers import Tmux, alive, children, eventually, text_of, tmux

pytestmark = pytest.mark.root

MEGABYTES = 30


def output_tab(terminal: Tmux) -> None:
    """Show it, and type into the command from now on."""
    eventually(lambda: "Overview" in terminal.screen(), "the tabs are there")
    terminal.type("5")
    eventually(lambda: "[5 Output]" in terminal.screen(), "the tab is shown")
    terminal.type("i")
    eventually(lambda: "keys go to the command" in terminal.screen(), "it says who gets the keys")


FULL_SCREEN = """
import curses
def main(screen):
    curses.curs_set(0)
    curses.init_pair(1, curses.COLOR_YELLOW, curses.COLOR_BLUE)
    while True:
        rows, columns = screen.getmaxyx()
        screen.erase()
        screen.border()
        screen.addstr(1, 2, f"full screen of {columns}x{rows}", curses.color_pair(1))
        if screen.getch() == ord("q"):
            break
curses.wrapper(main)
"""


@pytest.mark.early
def test_prompts_passwords_and_full_screens(tmp_path: Path) -> None:
    (tmp_path / "full.py").write_text(FULL_SCREEN)
    script = f"""echo $$ > pid
printf 'secret? '; stty -echo; read secret; stty echo; echo; echo "got $secret" > got
{sys.executable} full.py
echo "back again"; trap '' TERM; echo deaf > deaf; while :; do sleep 0.1; done"""
    with tmux(tmp_path) as terminal:
        pid = start(terminal, tmp_path, script)
        eventually(lambda: "waits for input" in terminal.screen(), "the question is seen on another tab")
        output_tab(terminal)
        eventually(lambda: "secret?" in terminal.screen(), "the question is shown")
        terminal.type("open", "Space", "sesame", "q", "Enter")
        eventually(lambda: text_of(tmp_path / "got") == "got open sesameq\n", "it has read the answer")
        eventually(lambda: re.search(r"│ full screen of 119x3\d +│", terminal.screen()), "the full screen is drawn")
        assert "sesame" not in terminal.screen()
        assert re.search(r"┌─{117}┐", terminal.screen())
        terminal.resize(90, 30)
        eventually(lambda: re.search(r"│ full screen of 89x2\d +│", terminal.screen()), "and drawn anew")
        terminal.type("q")
        eventually(lambda: "back again" in terminal.screen() and "full screen" not in terminal.screen(), "it has ended")
        eventually(lambda: text_of(tmp_path / "deaf"), "the command ignores SIGTERM")
        terminal.type("C-]", "q")
        eventually(lambda: "still running" in terminal.screen(), "q is ours again")
        terminal.type("k")
        assert end_of(terminal, tmp_path) == 128 + signal.SIGKILL
        assert not alive(pid)


def test_a_flood_passes_and_says_what_was_left_out(tmp_path: Path) -> None:
    flood = f"yes 'a line of output like many others' | head -c {MEGABYTES}000000; touch flooded; until [ -e go ]; do"
    with tmux(tmp_path) as terminal:
        start(terminal, tmp_path, f"echo $$ > pid; {flood} sleep 0.1; done; echo; echo over")
        terminal.type("5")
        eventually((tmp_path / "flooded").exists, "the command has written all of it", 120)
        (tmp_path / "go").touch()
        eventually(lambda: re.search(r"^over", terminal.screen(), re.MULTILINE), "the end of it is shown")
        skipped = re.search(r"skipped ([\d,]+) KB", terminal.screen())
        assert skipped
        assert int(skipped[1].replace(",", "")) > MEGABYTES * 900
        terminal.type("q")
        assert end_of(terminal, tmp_path) == 0
        assert "like many others" not in terminal.history()


def test_run_again_on_the_same_program_and_without_who_is_left(tmp_path: Path) -> None:
    left = "(trap '' HUP; touch trapped; while [ -e keep ]; do cat /nonexistent; done) > /dev/null 2>&1 &"
    left += " until [ -e trapped ]; do sleep 0.01; done;"  # else the end of the terminal ends it, too
    script = f"echo $$ >> pid; [ -e keep ] || {{ touch keep; {left} }}\n[ $(wc -l < pid) = 1 ] || exit 3\nls / /nope"
    with tmux(tmp_path) as terminal:
        start(terminal, tmp_path, script, "--summary sum -o recorded --output written")
        eventually(lambda: "exited 2" in terminal.screen(), "the first run has ended")
        terminal.type("R")
        eventually(lambda: "What changed from the run before" in terminal.screen(), "the second has, too")
        assert re.search(r"before +exited 2 .*\n.*this run +exited 3 ", terminal.screen())
        assert re.search(r"\bmmap +\d+ +\d+ +-\d+ ", terminal.screen())
        terminal.type("d")
        eventually(lambda: "What changed" not in terminal.screen(), "it is closed")
        terminal.type("q")
        assert end_of(terminal, tmp_path) == 3
        (tmp_path / "keep").unlink()
    first, second = (json.loads(text_of(tmp_path / name)) for name in ("sum", "sum.2"))
    assert [first["exact"], second["exact"]] == [True, True]
    for summary, pid in zip((first, second), text_of(tmp_path / "pid").split(), strict=True):
        assert int(pid) in [process["pid"] for process in summary["processes"]]
    assert any(process["end_ms"] is None for process in first["processes"])  # who is left of the first run …
    assert [process["comm"] for process in second["processes"]] == ["sh", "wc"]  # … is not in the second
    assert all(process["end_ms"] for process in second["processes"])
    assert second["syscalls"]["execve"]["calls"] == 2
    assert b"cannot access" in (tmp_path / "written").read_bytes()
    assert (tmp_path / "written.2").read_bytes() == b""
    assert text_of(tmp_path / "recorded.2").splitlines()[-1] == text_of(tmp_path / "sum.2").strip()


def test_run_again_ends_who_does_not_want_to_and_so_does_kill_nine(tmp_path: Path) -> None:
    with tmux(tmp_path) as terminal:
        start(terminal, tmp_path, "echo $$ >> pid; trap '' TERM HUP; while :; do sleep 0.1; done")
        eventually(lambda: "sleep" in terminal.screen(), "it runs")
        terminal.type("R")
        eventually(lambda: "still running" in terminal.screen(), "it asks")
        terminal.type("e")
        eventually(lambda: len(text_of(tmp_path / "pid").split()) == 2, "it runs again")
        before, after = map(int, text_of(tmp_path / "pid").split())
        assert not alive(before)
        assert alive(after)
        family = children(terminal.shell)
        os.kill(family[0], signal.SIGKILL)
        eventually(lambda: not any(alive(pid) for pid in family), "nobody outlives denet-tui in the second run either")


def test_what_is_pasted_stays_one_paste_whatever_escapes_are_in_it(tmp_path: Path) -> None:
    pasted = "\x1b[200~hello\x1b[H\ntouch pasted\n\n\x1b[20\x1b\x1b[A\x1b[200~\x1b\ntouch pasted\n\x1b[201~"
    with tmux(tmp_path) as terminal:
        start(terminal, tmp_path, "echo $$ > pid; exec bash --norc --noprofile")
        output_tab(terminal)
        for cut in (len(pasted), 3, 12):
            for part in filter(None, (pasted[:cut], pasted[cut:])):
                terminal.type("-H", *(f"{ord(char):x}" for char in part))
            eventually(lambda: "touch pasted" in terminal.screen(), "the paste stands in the shell's line")
            terminal.type("C-c")
            eventually(lambda: "^C" in terminal.screen(), "the shell gives the line up")
            terminal.line(f"clear; touch then{cut}")
            eventually((tmp_path / f"then{cut}").exists, "the shell takes the keys again")
            eventually(lambda: "pasted" not in terminal.screen(), "the screen is empty")
            assert not (tmp_path / "pasted").exists()
        terminal.line("exit")
        eventually(lambda: "exited 0" in terminal.screen(), "it has ended")
        eventually(lambda: "keys go to the command" not in terminal.screen(), "the keys are ours again")
        terminal.type("q")
        assert end_of(terminal, tmp_path) == 0


def test_keys_after_a_paste_wait_for_a_command_that_reads_it_slowly(tmp_path: Path) -> None:
    read = "for i in $(seq 30); do dd bs=4000 count=1 iflag=fullblock status=none; sleep 0.2; done > got"
    with tmux(tmp_path) as terminal:
        start(terminal, tmp_path, f"stty raw -echo; echo $$ > pid; {read}; stty sane; echo read")
        output_tab(terminal)
        (tmp_path / "pasted").write_text("0123456789abcde " * 7497)
        terminal.paste(tmp_path / "pasted")
        eventually(lambda: len(text_of(tmp_path / "got")) > 8000, "it reads")
        for _ in range(8):
            terminal.line("typed")
        eventually(lambda: "exited 0" in terminal.screen(), "it has ended")
        assert text_of(tmp_path / "got").partition("t")[2] == "yped\n" + "typed\n" * 7, (
            "a carriage return, as it was typed"
        )
        assert "does not read" not in terminal.screen()


def test_a_paste_larger_than_what_may_wait_arrives_whole(tmp_path: Path) -> None:
    size = 200_000
    with tmux(tmp_path) as terminal:
        start(terminal, tmp_path, f"stty raw -echo; echo $$ > pid; head -c {size} > got; stty sane; echo read")
        output_tab(terminal)
        (tmp_path / "pasted").write_text("0123456789abcde " * (size // 16))
        terminal.paste(tmp_path / "pasted")
        eventually(lambda: text_of(tmp_path / "got") == text_of(tmp_path / "pasted"), "all of it is read")
        assert "does not read" not in terminal.screen()
        eventually(lambda: "exited 0" in terminal.screen(), "it has ended")
        eventually(lambda: "keys go to the command" not in terminal.screen(), "the keys are ours again")
        terminal.type("q")
        assert end_of(terminal, tmp_path) == 0
