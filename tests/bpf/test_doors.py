"""What counts as which call: foreign ABIs, unknown numbers, and a filter."""

from __future__ import annotations

import platform
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from denet_tui.syscalls import MEMBERS
from tests.real import methods, plain, totals, vouched, watched

pytestmark = pytest.mark.root


@pytest.fixture(scope="module", params=methods())
def doors(request: pytest.FixtureRequest, calls: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What is counted of calls through all doors, by one method."""
    _, summary = watched([str(calls), "abi"], tmp_path_factory.mktemp("doors"), method=request.param)
    assert vouched(summary, request.param), summary["lost"]
    return summary


def test_unknown_numbers_keep_their_number(doors: dict[str, Any]) -> None:
    """The last place for known numbers is 638; all others share one in the totals, and none in the rows."""
    made = totals(doors)
    expected = {"getpid": 2, "syscall_-1": 3, "syscall_100000": 5, "syscall_638": 6, "syscall_639": 8, "syscall_640": 9}
    assert {name: made[name] for name in expected} == expected
    failed = {name: row["errnos"] for name, row in doors["syscalls"].items() if name.startswith("syscall_")}
    assert failed == {name: {"ENOSYS": count} for name, count in expected.items() if name != "getpid"}


@pytest.mark.skipif(platform.machine() != "x86_64", reason="only x86_64 has these doors")
def test_foreign_abis_are_told_apart(doors: dict[str, Any]) -> None:
    foreign = {name: count for name, count in totals(doors).items() if ":" in name}
    assert foreign == {"ia32:getpid": 11, "x32:getpid": 13, "x32:syscall_630": 4}


def test_a_filter_counts_what_it_names_and_nothing_else_across_an_exec(calls: Path, tmp_path: Path) -> None:
    chosen = "/^get(p|pp)id$/,%network, ! getppid,!/^socket.*r$/"
    _, summary = watched([str(calls), "wanted", "1"], tmp_path, "--syscalls", chosen)
    assert summary["exit_code"] == 0
    assert summary["exact"] is True, summary["lost"]
    assert totals(summary) == {"getpid": 42, "socket": 2, "recvfrom": 34}
    assert summary["syscalls"]["recvfrom"]["errnos"] == {"EBADF": 34}


@pytest.mark.skipif(platform.machine() != "x86_64", reason="only x86_64 has these doors")
@pytest.mark.parametrize("doors", ["raw"], indirect=True)
def test_what_is_left_out_leaves_all_others_unnamed_and_foreign_ones_included(
    calls: Path, tmp_path: Path, doors: dict[str, Any]
) -> None:
    whole = doors
    _, summary = watched([str(calls), "abi"], tmp_path, "--syscalls", "!getpid,!%memory")
    assert summary["exact"] is True, summary["lost"]
    gone = {plain(name) for name in totals(whole) - totals(summary)}
    assert gone == {plain(name) for name in totals(whole)} & ({"getpid"} | MEMBERS["memory"])
    assert totals(whole) - totals(summary) == Counter({n: c for n, c in totals(whole).items() if plain(n) in gone})
    assert totals(summary)["syscall_-1"] == 3
