"""What is said of a fault of our own: one line, and a file with the rest."""

import logging
from pathlib import Path

import pytest

from denet_tui.commands import screen
from denet_tui.watch.launch import StartError

FAULT = "╭─ Traceback ─╮\n│ here        │\n╰─────────────╯\nZeroDivisionError: division by zero"


def test_a_fault_is_one_line_and_the_rest_is_in_a_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "denet_tui"):
        said = screen.explain_fault(FAULT, tmp_path / ".local/state/denet-tui")
    file = tmp_path / ".local" / "state" / "denet-tui" / "fault.log"
    assert said == f"the screen failed: ZeroDivisionError: division by zero; please report it with {file}"
    assert file.read_text() == FAULT + "\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert "Traceback" in caplog.text  # what --debug shows


def test_a_file_that_cannot_be_written_is_not_promised(tmp_path: Path) -> None:
    (tmp_path / ".local").write_text("")
    said = screen.explain_fault(FAULT, tmp_path / ".local/state/denet-tui")
    assert said == "the screen failed: ZeroDivisionError: division by zero; --debug says more"


def test_wrong_settings_are_for_the_caller_to_say(tmp_path: Path) -> None:
    (tmp_path / "denet-tui").mkdir()
    (tmp_path / "denet-tui" / "settings.toml").write_text("interval = 99")
    with pytest.raises(StartError, match=r"settings\.toml:1: interval is a number of seconds from 0\.1 to 10"):
        screen.preferred({"XDG_CONFIG_HOME": str(tmp_path)})
