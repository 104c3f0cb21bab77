"""What is one file, one socket or one path here is one to whoever made the calls."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.real import DENET, run

pytestmark = pytest.mark.root

_MADE_AND_UNLINKED = """
import os
for number in range(8):
    file = os.open(f"s{number}", os.O_WRONLY | os.O_CREAT)
    os.write(file, b"r" * 10 ** (number % 4))
    os.close(file)
    os.unlink(f"s{number}")
"""
_READ = """
import os
open("x1").read()
file = os.open("y1", os.O_RDONLY)
for _ in range(1000):
    os.pread(file, 1, 0)
os.listdir(".")
"""
_ON_DISK = """
mount --make-rprivate /
mkdir "$0/lower" "$0/upper" "$0/work" "$0/merged"
mount -t overlay tests -o "lowerdir=$0/lower,upperdir=$0/upper,workdir=$0/work" "$0/merged" || exit 77
cd "$0/merged" && exec "$@"
"""
"""Where the numbers of inodes are given out again."""
_TWO_BELOW = """
mount --make-rprivate /
mkdir "$0/a" "$0/b" "$0/merged"
mount -t tmpfs tests "$0/a" && mount -t tmpfs tests "$0/b" || exit 77
echo hello > "$0/a/x1"
echo hello > "$0/b/y1"
mount -t overlay tests -o "lowerdir=$0/a:$0/b" "$0/merged" || exit 77
cd "$0/merged" && exec "$@"
"""
"""Where two files have the same number."""


def told(folder: Path, argv: list[str], inside: str = 'exec "$@"') -> dict[str, Any]:
    """The summary of a command that is watched in a mount namespace that a script makes."""
    summary = folder / "summary.json"
    watch = [*DENET, "run", "--no-tui", "--detail", "files", "--summary", str(summary), "--", *argv]
    done = run(["unshare", "--mount", "sh", "-c", inside, str(folder), *watch])
    if done.returncode == 77:
        pytest.skip(f"needs overlays: {done.stderr}")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(summary.read_text())
    return found


def of_all(summary: dict[str, Any], folder: Path) -> dict[str, dict[str, Any]]:
    """What was done to the files in a folder, over all processes."""
    return {
        each["path"].removeprefix(f"{folder}/"): each
        for each in summary["files"]
        if each["pid"] is None and each["path"].startswith(f"{folder}/")
    }


def test_files_of_an_overlay_that_had_one_number_after_the_other_are_several(tmp_path: Path) -> None:
    found = of_all(told(tmp_path, [sys.executable, "-c", _MADE_AND_UNLINKED], _ON_DISK), tmp_path / "merged")
    assert {name: (each["opens"], each["writes"], each["write_bytes"]) for name, each in found.items()} == {
        f"s{number}": (1, 1, 10 ** (number % 4)) for number in range(8)
    }


def test_files_of_two_layers_of_an_overlay_with_one_number_are_two(tmp_path: Path) -> None:
    found = of_all(told(tmp_path, [sys.executable, "-c", _READ], _TWO_BELOW), tmp_path / "merged")
    assert (found["x1"]["opens"], found["x1"]["read_bytes"]) == (1, 6)
    assert (found["y1"]["opens"], found["y1"]["reads"], found["y1"]["read_bytes"]) == (1, 1000, 1000)


def test_a_datagram_socket_that_had_another_peer_says_so(tmp_path: Path) -> None:
    script = """
import socket
names = [("127.0.0.5", 41001), ("127.0.0.6", 41002)]
peers = [socket.socket(type=socket.SOCK_DGRAM) for name in names]
for peer, name in zip(peers, names):
    peer.bind((name[0], 0))
first, second = [peer.getsockname() for peer in peers]
for one, then, size in ((first, second, 7), (first, first, 50)):
    sender = socket.socket(type=socket.SOCK_DGRAM)
    sender.connect(one)
    sender.send(b"x" * size)
    sender.connect(then)
    sender.send(b"x" * (size + 1))
"""
    found = told(tmp_path, [sys.executable, "-c", script])["files"]
    sent = {each["write_bytes"]: each["path"] for each in found if each["kind"] == "udp" and each["pid"] is None}
    assert sent.pop(15).endswith(" (others before)")
    assert "→ 127.0.0.5:" in sent[101]
    assert not sent[101].endswith(" (others before)")


def test_of_a_long_path_that_failed_its_end_is_told(tmp_path: Path) -> None:
    folders = [f"/nowhere/{'d' * 200}", f"/nowhere/{'e' * 230}", "/nowhere/" + f"{'f' * 150}/" * 12, "g" * 240]
    paths = [f"{folder}/{'ä' * 30}{number}" for folder in folders for number in range(3)]
    script = "import os, sys\nfor path in sys.argv[1:]:\n    try: os.stat(path)\n    except OSError: pass"
    failed = told(tmp_path, [sys.executable, "-c", script, *paths])["failed_paths"]
    found = sorted(each["path"] for each in failed if each["path"].startswith("…") and "ä" in each["path"])
    assert len(found) == len(paths)
    assert {each["count"] for each in failed if each["path"] in found} == {1}
    for path, end in ((path, next(each[1:] for each in found if path.endswith(each[1:]))) for path in paths):
        assert 229 <= len(end.encode()) <= 231, path
