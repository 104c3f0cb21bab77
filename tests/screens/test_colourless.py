"""NO_COLOR on real terminals: no screen writes a colour, and what is chosen or less important is still seen."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.record.test_playback import long_run
from tests.record.test_read import recorded
from tests.watch.helpers import DENET, Tmux, eventually, tmux

DENET_TUI = " ".join(DENET)
LIVE = [("", "Overview"), *((key, f"[{key} ") for key in "234567"), ("?", "Fold away"), ("C-p", "earch for")]


def codes(terminal: Tmux) -> set[str]:
    """The codes that what is seen is drawn with (SGR of ECMA-48)."""
    return {code for codes in re.findall(r"\x1b\[([\d;:]*)m", terminal.coloured()) for code in codes.split(";")}


def colours(terminal: Tmux) -> set[str]:
    return {code for code in codes(terminal) if re.match(r"3[0-8]|4[0-8]|9\d|10\d", code)}


@pytest.mark.parametrize(
    ("term", "theme"), [("tmux-256color", "dark"), ("xterm-direct", "light"), ("linux", "ansi-dark")]
)
def test_no_tab_of_a_recording_has_a_colour(tmp_path: Path, term: str, theme: str) -> None:
    recording = recorded(tmp_path / "rec.jsonl", long_run())
    (tmp_path / "denet-tui").mkdir()
    (tmp_path / "denet-tui" / "settings.toml").write_text(f"theme = '{theme}'\n")
    with tmux(tmp_path) as terminal:
        terminal.line(f"export NO_COLOR=1 COLORTERM=truecolor TERM={term} XDG_CONFIG_HOME=$PWD")
        terminal.line(f"{DENET_TUI} view {recording}")
        eventually(lambda: "exited 0" in terminal.screen(), "the end of its command is drawn")
        for key, shown in LIVE:
            if key:
                terminal.type(key)
            eventually(lambda shown=shown: shown in terminal.screen(), f"{shown} is shown")
            assert colours(terminal) == set(), shown
            if key in ("", "C-p"):
                assert codes(terminal) >= {"2", "7"}, "what is less important, and what is chosen"
            if key in ("?", "C-p"):
                terminal.type("Escape")


@pytest.mark.root
@pytest.mark.parametrize(("words", "shown"), [("setup", "enter"), ("", "exact"), ("diag", "next ")])
def test_no_other_screen_has_a_colour(tmp_path: Path, words: str, shown: str) -> None:
    with tmux(tmp_path) as terminal:
        terminal.line(f"export NO_COLOR=1 COLORTERM=truecolor; clear; {DENET_TUI} {words}")
        eventually(lambda: shown in terminal.screen(), f"{shown} is shown")
        assert colours(terminal) == set()


def test_an_empty_word_asks_for_nothing(tmp_path: Path) -> None:
    recording = recorded(tmp_path / "rec.jsonl", long_run())
    with tmux(tmp_path) as terminal:
        terminal.line(f"NO_COLOR= {DENET_TUI} view {recording}")
        eventually(lambda: "exited 0" in terminal.screen(), "the end of its command is drawn")
        assert colours(terminal) != set()
