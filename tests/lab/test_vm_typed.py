"""An ordinary user with sudo, on a stock Debian with systemd: from `git clone` to a watched command, key by key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.lab import vm

pytestmark = [pytest.mark.lab, pytest.mark.root]

KEYS: list[dict[str, Any]] = [
    {"name": "clone", "text": "git clone -q /mnt/repository denet-tui && cd denet-tui; echo cloned $?\n"},
    {"name": "patience", "text": "(cd denet_tui && sh /mnt/patience); clear; echo patient $?\n"},
    {"name": "install", "text": "make install; echo installed $?\n"},
    {"name": "setup", "text": "clear; sudo denet-tui setup\n", "until": "enter goes on"},
    {"name": "all steps", "keys": ["v"], "until": "optional +FS-001"},
    {"name": "to the top", "keys": ["Home"], "until": "^▸permissions"},
    {"name": "to FS-001", "keys": ["Down"], "until": "^▸ .*FS-001", "again": True},
    {"name": "apply", "keys": ["a"], "until": r"(?=[\s\S]*repaired +FS-001)[\s\S]*both attach methods"},
    {"name": "go on", "keys": ["Enter"], "until": "What do you want to watch"},
    {"name": "command", "text": "sh -c 'ls / > /dev/null; id -un'", "until": "id -un"},
    {"name": "watch", "keys": ["Enter"], "until": "exited 0"},
    {"name": "output", "keys": ["5"], "until": "anna"},
    {"name": "quit", "keys": ["q"], "until": r"\$\s*\Z"},
    {"name": "left", "text": "clear; grep -c tracefs /proc/self/mountinfo\n", "until": "^[12]$"},
    {"name": "undo", "text": "clear; sudo denet-tui setup --undo; echo undone $?\n"},
    {"name": "given back", "text": "clear; grep -c tracefs /proc/self/mountinfo; echo counted\n"},
]
UNTIL = {
    "clone": "^cloned 0",
    "patience": "^patient 0",
    "install": "^installed",
    "undo": "^undone",
    "given back": "^counted",
}


@pytest.fixture(scope="module")
def seen(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("typed")
    keys = [{"until": UNTIL.get(each["name"], ""), **each} for each in KEYS]
    return vm.typed(vm.make(wheels) / "6.1", wheels, keys, folder)


def test_every_key_is_answered(seen: dict[str, Any]) -> None:
    assert seen["failed"] == "", seen["screens"][seen["failed"]]
    screens = seen["screens"]
    assert list(screens) == [each["name"] for each in KEYS]
    assert "installed 0" in screens["install"]
    assert "denet-tui setup as anna" in screens["setup"]
    assert "1,000 known calls" in screens["setup"]
    assert "recommended" in screens["to FS-001"]
    assert "mount -t tracefs" in screens["to FS-001"]
    assert "exact" in screens["watch"]


def test_the_command_runs_as_who_asked_and_nobody_stays(seen: dict[str, Any]) -> None:
    assert "anna" in seen["screens"]["output"]
    assert seen["left"] == []


def test_what_the_setup_did_is_given_back(seen: dict[str, Any]) -> None:
    assert "FS-001.mount: undone" in seen["screens"]["undo"]
    assert "undone 0" in seen["screens"]["undo"]
    assert "0\ncounted" in seen["screens"]["given back"]
