"""Whoever reads what a command writes may leave at any time: that is no failure, and nothing is said of it."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from denet_tui.cli import main
from denet_tui.system.visible import ReaderLeftError
from tests.real import environment
from tests.record.test_playback import long_run
from tests.record.test_read import recorded
from tests.watch.helpers import DENET

LOGGED = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (DEBUG|INFO|WARNING) |    |\n|$")
WRITES = [
    "--help", "--version", "run --help", "help", "help --man", "settings", "settings --keys", "guide", "explain EPERM",
    "explain KERN-003", "report REC", "report --json REC", "report --markdown REC", "report --csv REC", "diff REC REC",
    "export --to folded REC", "export --to openmetrics REC", "export --to perfetto REC", "diag --only KERN-003",
    "diag --only KERN-003 --json", "diag --only KERN-003 --report -", "setup --plan --only KERN-003",
    "setup --plan --json --only KERN-003", "selftest", "selftest --json",
]  # fmt: skip
"""Every command that writes to standard output, in each of its forms."""
WATCH = {"run", "attach", "machine", "serve", "view"}
"""What is written there belongs to a watched command, or is a recording, which then is not whole."""


def test_each_command_is_tried() -> None:
    assert {words.split()[0] for words in WRITES} >= set(main.commands) - WATCH


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(recorded(tmp_path_factory.mktemp("left") / "rec.jsonl", long_run()))


def left(words: list[str]) -> tuple[int, str]:
    """Exit status and standard error of denet-tui where nobody reads its standard output any more."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [*DENET, *words], env=environment(), stdin=subprocess.DEVNULL, stdout=writing, stderr=subprocess.PIPE,
            text=True, timeout=120,
        )  # fmt: skip
    finally:
        os.close(writing)
    return done.returncode, done.stderr


@pytest.mark.root
@pytest.mark.parametrize("words", [pytest.param(each, marks=[pytest.mark.slow] * (" --" in each)) for each in WRITES])
def test_its_end_is_that_of_every_program(words: str, recording: str) -> None:
    if words.endswith("perfetto REC"):
        pytest.importorskip("perfetto")
    said = [recording if word == "REC" else word for word in words.split()]
    status, err = left(said)
    assert (status, "denet-tui: " in err) == (ReaderLeftError.STATUS, False), err


@pytest.mark.root
@pytest.mark.parametrize("words", ["report REC", "diag --only KERN-003", "setup --plan --only KERN-003"])
def test_under_debug_nothing_but_the_log_is_said(words: str, recording: str) -> None:
    status, said = left(["--debug", *(recording if word == "REC" else word for word in words.split())])
    assert status == ReaderLeftError.STATUS
    assert [line for line in said.splitlines() if not LOGGED.match(line)] == []


def test_head_gets_its_line_and_the_log_may_go_to_it_as_well(tmp_path: Path) -> None:
    script = '"$@" --debug diag --only KERN-003 2>&1 | head -1 > line; echo "${PIPESTATUS[0]}" > status'
    subprocess.run(["bash", "-c", script, "bash", *DENET], cwd=tmp_path, env=environment(), check=True, timeout=120)
    assert "DEBUG" in (tmp_path / "line").read_text()
    assert int((tmp_path / "status").read_text()) in (0, 1, ReaderLeftError.STATUS), "head may read on for a moment"


@pytest.mark.root
@pytest.mark.parametrize(
    "options",
    ["--execs", "--json", "--debug", "-o /dev/stdout", "--summary /dev/stdout", "--execs --json", "--execs --debug"],
)
def test_a_command_is_watched_to_its_end_and_its_status_kept(options: str, tmp_path: Path) -> None:
    script = "for at in 1 2 3 4 5 6; do /bin/sleep 0.2; done; echo > ended; exit 7"
    argv = [*DENET, "run", "--no-tui", *options.split(), "--", "/bin/sh", "-c", script]
    reading, writing = os.pipe()
    with subprocess.Popen(
        argv, env=environment(), cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=writing, stderr=writing
    ) as run:
        os.close(writing)
        assert os.read(reading, 1)
        os.close(reading)
        assert run.wait(60) == 7
    assert (tmp_path / "ended").exists()
