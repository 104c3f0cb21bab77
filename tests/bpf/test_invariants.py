"""What must hold in every snapshot of a real command, under way as well as at its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.real import inside

pytestmark = pytest.mark.root


def test_every_snapshot_of_a_busy_command_adds_up(calls: Path) -> None:
    found = inside("invariants", str(calls), "busy", "30000")
    assert found["broken"] == []
    assert found["loss"] == []
    assert found["snapshots"] >= 5
    assert found["in_flight_under_way"] > 0  # else a call under way was never part of what was checked
    assert found["in_flight_at_the_end"] == 0
    assert found["processes"] == found["ended"] == 41
    assert found["calls"]["getpid"] >= 4 * 30_000
    assert found["calls"]["clone"] == 40


def test_what_nobody_sees_is_read_seldom_and_a_storm_after_it_is_exact() -> None:
    """In a PID namespace: others begin processes here, and then it is read as often as ever."""
    storm = "sleep 2; i=0; while [ $i -lt 2000 ]; do (:); i=$((i+1)); done; exit 0"
    found = inside("unseen", "sh", "-c", storm, within=("unshare", "--pid", "--fork", "--mount-proc"))
    assert found["idle"] <= 6, "one in four of 19, and the first"
    assert found["busy"] >= 4, "who is many is read at once"
    assert (found["loss"], found["ended"], found["broken"]) == ("", 2002, [])
    assert found["calls"]["exit_group"] == 2002


def test_calls_in_flight_by_the_counters_are_those_in_the_list(calls: Path) -> None:
    found = inside("quiet", str(calls), "quiet")
    assert found["listed"] == ["pause"] * 6
    assert found["derived"] == {"pause": 6}
    assert found["processes"] == [1, 1, 4]


def test_a_row_in_both_tables_is_their_sum_and_leaves_neither() -> None:
    found = inside("shared")
    assert found["counted"] == [[12, 11, 1, 1500, 300]] * 2
    assert found["left"] == 0
    assert found["bytes"] == [8192 * 256] * 2
