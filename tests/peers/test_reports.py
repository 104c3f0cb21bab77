"""The table of the peers' reports, in one run of denet-tui and one of strace."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.peers.table import REPORTS, Report, Seen
from tests.real import SHIFTING, Counts, plain, run_summary, straced

pytestmark = [pytest.mark.slow, pytest.mark.root]

DRIVER = Path(__file__).with_name("driver.py")


def parts(pids: list[int], roots: list[int]) -> list[list[int]]:
    """The places in `pids` (in the order in which they began) of each root and all up to the next."""
    starts = [pids.index(root) for root in roots]
    return [list(range(start, end)) for start, end in zip(starts, [*starts[1:], len(pids)], strict=True)]


class Runs:
    """What both said of each line of the table."""

    def __init__(self, folder: Path) -> None:
        self.ours, self.summary = self._ours(folder / "ours")
        self.strace = self._strace(folder / "strace")

    @staticmethod
    def _argv(folder: Path) -> list[str]:
        scratch = folder / "scratch"
        scratch.mkdir(parents=True)
        environment = {"PATH": os.defpath, "PY": f"{sys.executable} -ISB", "T": str(scratch)}
        (folder / "lines").write_text(json.dumps([[each.run for each in REPORTS], str(folder / "pids"), environment]))
        return [sys.executable, "-ISB", str(DRIVER), str(folder / "lines")]

    def _ours(self, folder: Path) -> tuple[list[Seen], dict[str, Any]]:
        _, summary = run_summary(self._argv(folder), folder)
        processes = sorted(summary["processes"], key=lambda each: each["start_ms"])
        found = []
        for places in parts([each["pid"] for each in processes], json.loads((folder / "pids").read_text())):
            calls, errors, time_ns = Counter[str](), Counter[str](), Counter[str]()
            for place in places:
                for name, row in processes[place]["syscalls"].items():
                    calls[name] += row["calls"]
                    errors[name] += row["errors"]
                    time_ns[name] += row["time_ns"]
            found.append(Seen(calls, errors, time_ns, [processes[place] for place in places]))
        return found, summary

    def _strace(self, folder: Path) -> list[Counts]:
        counted = straced(self._argv(folder), folder)
        of_lines = parts(counted.pids, json.loads((folder / "pids").read_text()))
        return [Counts([counted.processes[place] for place in places]) for places in of_lines]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(tmp_path_factory.mktemp("peers"))


def counted(seen: Seen) -> Counts:
    """Its calls by process, without the ABI, which strace does not name."""
    rows = [each["syscalls"].items() for each in seen.processes]
    return Counts([Counter({plain(name): row["calls"] for name, row in each}) for each in rows])


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.url.removeprefix("https://github.com/"))
def test_what_was_wrong_elsewhere_is_right_here(runs: Runs, report: Report) -> None:
    if "0053cd80" in report.run and platform.machine() != "x86_64":
        pytest.skip("int 0x80 is x86-64's")
    seen, strace = (each[REPORTS.index(report)] for each in (runs.ours, runs.strace))
    assert report.right(seen), seen
    if report.same == "*":
        assert counted(seen).without(SHIFTING).processes == strace.without(SHIFTING).processes
    for name in report.same.split() if report.same != "*" else ():
        assert counted(seen).total[name] == strace.total[name] > 0, name


def test_nothing_is_lost_and_all_are_told(runs: Runs) -> None:
    """A tool that says that it lost something where it did not is not believed (bpftrace's issue 2646)."""
    assert runs.summary["exact"]
    assert not any(runs.summary["lost"].values())
    assert len(REPORTS) >= 40
