"""How a tick's CPU time and the memory grow with the processes, each with 24 rows a tick: a plot, and as CSV."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import plotext
import psutil
import pytest
from plotext import figure, terminal

from tests.bench import results

pytestmark = [pytest.mark.bench, pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]

PROCESSES = (1, 300, 1_000, 2_000, 4_000)
ROWS_EACH, INTERVAL_S, SETTLING_S, SECONDS = 24, 0.5, 4, 8
ROWS = "262144"


def test_growth(tmp_path: Path) -> None:
    work = tmp_path / "work"
    subprocess.run(["gcc", "-O2", "-o", work, Path(__file__).with_name("work.c")], check=True)
    points = [(number, *_measure(work, number)) for number in PROCESSES]
    lines = [
        f"{number},{number * ROWS_EACH},{percent * 10 * INTERVAL_S:.1f},{percent:.1f},{rss:.0f},{exact}"
        for number, percent, rss, exact in points
    ]
    csv = "\n".join(["processes,rows,ms_of_cpu_a_tick,percent_of_a_core,rss_mb,exact", *lines, ""])
    numbers = [number for number, *_ in points]
    plot = _plot("% of a core", numbers, [percent for _, percent, *_ in points])
    plot += _plot("MB of memory", numbers, [rss for _, _, rss, _ in points])
    print(f"\n{csv}\n{plot}")
    results.keep("growth.csv", csv)
    results.keep("growth.txt", plot)


def _plot(of_what: str, numbers: list[int], values: list[float]) -> str:
    terminal.limit(False, False)  # it would cut the figure to what it takes for the terminal's size
    figure.clear()
    figure.plot_size(80, 16)
    marker = plotext.marker("braille", 1)
    figure.draw(figure.signal(numbers, values, marker=marker).lines().density("full"))
    text = plotext.uncolorize(figure.build().string(False))
    return f"{of_what}, by processes, each with {ROWS_EACH} rows a tick:\n{text}\n"


def _measure(work: Path, processes: int) -> tuple[float, float, bool]:
    """(% of a core, MB of memory, whether nothing was lost) of all processes of denet-tui, without a screen."""
    watching = [sys.executable, "-m", "denet_tui", "run", "--no-tui", "--detail", "calls", "--rows", ROWS, "--"]
    with subprocess.Popen([*watching, work, "many", str(processes)], stderr=subprocess.PIPE, text=True) as run:
        time.sleep(SETTLING_S + processes / 1000)
        command = next(each for each in psutil.Process(run.pid).children(recursive=True) if each.name() == "work")
        ours = [each for each in command.parents() if "denet_tui" in each.cmdline()]
        before = _cpu(ours)
        time.sleep(SECONDS)
        used = _cpu(ours) - before
        rss = sum(each.memory_info().rss for each in ours) / 1e6
        command.send_signal(signal.SIGKILL)
        told = run.communicate(timeout=60)[1]
    return 100 * used / SECONDS, rss, "exact: no call lost" in told


def _cpu(processes: list[psutil.Process]) -> float:
    return sum(each.cpu_times().user + each.cpu_times().system for each in processes)
