"""Where the time went, through a recording and back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from denet_tui.detail import Detail, Time, Usage
from denet_tui.model import ProcessInfo, Snapshot
from denet_tui.record import times
from denet_tui.record.places import Living
from tests.record.made import READ, counted, process, snapshot
from tests.record.test_read import read, recorded
from tests.test_spent import times as some_times

STEP_NS = 499_000_000
some_steps = st.lists(
    st.lists(st.sampled_from(["rests", "works", "unknown", "still"]), min_size=3, max_size=3), max_size=6
)


@given(some_times, some_times)
def test_a_time_comes_back_as_it_was_what_is_not_known_of_it_as_well(whole: Time, own: Time) -> None:
    one = process(1000, {READ: counted(1)}, time=own)
    line = json.loads(
        json.dumps(times.Times().of_tick(snapshot(0.5, [one], detail=Detail(time=whole)), Living.of([one])))
    )
    back = times.taken(line["time"])
    assert back is not None
    assert back[:4] == whole[:4]
    assert back.unknown_ns == whole.unknown_ns
    assert {call.name: wait for call, wait in back.waits.items()} == {
        call.name: wait for call, wait in whole.waits.items()
    }
    assert times.taken(line["times"]["1000"]) == own._replace(waits={})  # those are of all processes together
    item = times.item(whole, {READ: counted(1)})
    assert item is not None
    assert item["unknown_ns"] == whole.unknown_ns


@settings(max_examples=30)
@given(some_steps)
def test_times_of_those_that_rest_come_back_though_they_are_not_written(
    tmp_path_factory: pytest.TempPathFactory, script: list[list[str]]
) -> None:
    """The second has two threads."""
    living = [
        process(1000 + at, {READ: counted(1)}, usage=Usage(threads=1 + at % 2), time=Time(1, 2, 3)) for at in range(3)
    ]
    told = [snapshot(0.5, living)]
    for number, steps in enumerate(script, 2):
        living = [_after(each, step) for each, step in zip(living, steps, strict=True)]
        told.append(snapshot(number / 2, living))
    path = recorded(tmp_path_factory.mktemp("it") / "rec.jsonl", told)
    assert [_times(each) for each in read(path)] == [_times(each) for each in told]


def test_who_rests_is_not_written() -> None:
    one, two = (process(1000 + at, {READ: counted(1)}, time=Time(1, 2, 3, 4)) for at in range(2))
    writer = times.Times()
    assert len(_written(writer, one, two)["times"]) == 2
    line = _written(writer, _after(one, "rests"), _after(two, "works"))
    assert line["rested_ns"] == STEP_NS
    assert list(line["times"]) == ["1001"]


def _written(writer: times.Times, *living: ProcessInfo) -> dict[str, Any]:
    line: dict[str, Any] = writer.of_tick(snapshot(0.5, living), Living.of(living))
    return line


def _after(one: ProcessInfo, step: str) -> ProcessInfo:
    time = one.time or Time()
    threads = one.usage.threads
    return one._replace(
        time={
            "rests": time._replace(blocked_ns=time.blocked_ns + STEP_NS * threads),
            "works": time._replace(user_ns=time.user_ns + 5, blocked_ns=time.blocked_ns + STEP_NS * threads - 5),
            "still": time,
            "unknown": None,
        }[step],
    )


def _times(one: Snapshot) -> dict[int, Time | None]:
    return {each.pid: each.time for each in one.processes}
