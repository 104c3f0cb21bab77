"""Settings, what is kept between runs, and the log of a fault, where somebody else has planted something."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from denet_tui.preferences import settings, state
from denet_tui.preferences.settings import Allowed, SettingsError
from denet_tui.screens.setup import history
from denet_tui.system import files
from tests.planted import mode_of


def test_settings_that_are_no_file_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    os.mkfifo(path)
    with pytest.raises(SettingsError, match="not a regular file"):
        settings.read(path, Allowed())
    path.unlink()
    path.write_text("#" * (files.SMALL + 1))
    with pytest.raises(SettingsError, match="larger than 1024 KiB"):
        settings.read(path, Allowed())
    path.write_text('[keys]\n"app.quit" = "q,\\u001b[31m"\n')
    with pytest.raises(SettingsError, match="is a key"):
        settings.read(path, Allowed(bindings=["app.quit"]))


def test_what_is_kept_is_written_whole_and_alone(tmp_path: Path) -> None:
    path = tmp_path / "state" / "denet-tui" / "screen.json"
    state.write(path, state.Kept(theme="dark"))
    history.remember(path.with_name("commands"), "make -j4")
    assert state.read(path).theme == "dark"
    assert history.read(path.with_name("commands")) == ["make -j4"]
    assert [mode_of(each) for each in (path, path.with_name("commands"), path.parent, path.parent.parent)] == [
        0o600, 0o600, 0o700, 0o700
    ]  # fmt: skip
    assert sorted(each.name for each in path.parent.iterdir()) == ["commands", "screen.json"]


def test_a_pipe_where_something_was_kept_is_as_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "screen.json")
    os.mkfifo(tmp_path / "commands")
    assert state.read(tmp_path / "screen.json") == state.Kept()
    assert history.read(tmp_path / "commands") == []
    history.remember(tmp_path / "commands", "x")
    assert stat.S_ISFIFO((tmp_path / "commands").stat().st_mode)


@pytest.mark.root
def test_root_keeps_nothing_below_the_home_of_somebody_else(theirs: Path, tmp_path: Path) -> None:
    """HOME is that of somebody else where `su` or `sudo -E` has left it."""
    (tmp_path / "screen.json").write_text("precious")
    (theirs / f".screen.json.{os.getpid()}").symlink_to(tmp_path / "screen.json")
    (theirs / "denet-tui").symlink_to(tmp_path)
    for path in (theirs / "screen.json", theirs / "denet-tui" / "screen.json", theirs / "denet-tui" / "new" / "x"):
        state.write(path, state.Kept(theme="dark"))
        history.remember(path, "x")
    assert (tmp_path / "screen.json").read_text() == "precious"
    assert [each.name for each in tmp_path.iterdir()] == ["screen.json"]
    assert not (theirs / "screen.json").exists()


@pytest.mark.root
def test_a_fault_of_the_screen_is_written_through_no_planted_link(theirs: Path, tmp_path: Path) -> None:
    from denet_tui.commands import screen

    (tmp_path / "fault.log").write_text("precious")
    (theirs / "denet-tui").symlink_to(tmp_path)
    line = screen.explain_fault("boom \x1b]0;t\x07", theirs / "denet-tui")
    assert line == "the screen failed: boom \x1b]0;t\x07; --debug says more"
    assert (tmp_path / "fault.log").read_text() == "precious"
    line = screen.explain_fault("boom \x1b]0;t\x07", tmp_path / "state/denet-tui")
    assert line.endswith(f"please report it with {tmp_path}/state/denet-tui/fault.log")
    assert (tmp_path / "state/denet-tui/fault.log").read_text() == "boom \\x1b]0;t\\x07\n"
