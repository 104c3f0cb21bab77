"""A recording whose reader does not read holds nobody up, and what it has not got is said."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.watch.helpers import PATIENCE, eventually, started, text_of

FORKS = "i=0; while [ $i -lt 3000 ]; do /bin/true; i=$((i+1)); done; touch done; exec sleep 100"


@pytest.mark.root
def test_the_ticks_go_on_and_sigterm_is_obeyed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    running = started(
        "run", "--no-tui", "-o", "pipe", "--summary", "summary", "--", "sh", "-c", FORKS,
        cwd=tmp_path, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        eventually((tmp_path / "done").exists, "the command has forked")
        running.terminate()
        said = running.communicate(timeout=PATIENCE)[1].decode()
    finally:
        running.kill()
        os.close(reader)
    assert "its reader does not read" in said
    told = json.loads(text_of(tmp_path / "summary"))
    assert told["exact"]
    assert len(told["processes"]) == 3002  # sh, and touch
