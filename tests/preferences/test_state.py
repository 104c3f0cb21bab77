"""What is kept between runs: whole or not at all, and never a reason to fail."""

from dataclasses import asdict
from pathlib import Path

import pytest

from denet_tui.preferences import state
from denet_tui.preferences.state import Kept


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "screen.json"
    wanted = Kept("nord", "errors", 30, "rate", True, "name", True)
    state.write(path, wanted)
    assert state.read(path) == Kept("nord", "", 30), "tab and order are of one run"
    path.write_text('{"tab": "log"}')
    assert state.read(path) == Kept(), "as an older version wrote it"
    assert [each.name for each in path.parent.iterdir()] == ["screen.json"]
    state.write(path, Kept())
    assert state.read(path) == Kept()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "3",
        '{"theme": 3, "tab": null, "tree_width": "x"}',
        '{"tree_width": true}',
        "\x00",
        "[" * 9999,
    ],
)
def test_what_is_broken_counts_as_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "screen.json").write_text(text)
    assert state.read(tmp_path / "screen.json") == Kept()


def test_what_is_whole_beside_the_broken_counts(tmp_path: Path) -> None:
    (tmp_path / "screen.json").write_text('{"theme": "nord", "tab": 3, "new": 1}')
    assert asdict(state.read(tmp_path / "screen.json")) == asdict(Kept(theme="nord"))
    (tmp_path / "screen.json").write_bytes(b"\xff\xfe")
    assert state.read(tmp_path / "screen.json") == Kept()


def test_a_folder_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    state.write(tmp_path / "file" / "screen.json", Kept())
    state.write(tmp_path, Kept())
    assert tmp_path.is_dir()
