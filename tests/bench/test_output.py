"""Wall time of a command that writes 100 MB to its terminal: drawn in the Output tab, and kept in a file.

Every round measures both, interleaved; what is printed are the medians.
"""

from __future__ import annotations

import json
import os
import statistics
from pathlib import Path

import pytest

from tests.watch.helpers import DENET, eventually, text_of, tmux

pytestmark = [pytest.mark.bench, pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]

ROUNDS = 5
FLOOD = "yes 'hello this is a line of output from some program' | head -c 100000000"
SIDES = {"Output tab": ("", "5"), "Overview tab": ("", "1"), "--output FILE": ("--output kept", "1")}


def seconds(folder: Path, options: str, tab: str) -> float:
    """Wall time of the command alone, as denet-tui has it."""
    folder.mkdir()
    with tmux(folder) as terminal:
        terminal.line(f'{" ".join(DENET)} run {options} --summary sum -- sh -c "{FLOOD}"; echo > over')
        eventually(lambda: "Overview" in terminal.screen(), "the screen is there")
        terminal.type(tab)
        eventually(lambda: "exited 0" in terminal.screen(), "the command has ended", 120)
        terminal.type("q")
        eventually((folder / "over").exists, "denet-tui has ended")
    return float(json.loads(text_of(folder / "sum"))["elapsed_s"])


def test_wall_time_of_a_flood(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    taken: dict[str, list[float]] = {side: [] for side in SIDES}
    for number in range(ROUNDS):
        for side, options in SIDES.items():
            taken[side].append(seconds(tmp_path / f"{number} {side}".replace(" ", "_"), *options))
    medians = {side: statistics.median(each) for side, each in taken.items()}
    with capsys.disabled():
        print("\n100 MB of output:", ", ".join(f"{side} {median:.2f} s" for side, median in medians.items()))
    assert max(medians["Output tab"], medians["Overview tab"]) <= 1.1 * medians["--output FILE"]
