"""Where the time went, through a recording and back."""

from __future__ import annotations

import json

from hypothesis import given

from denet_tui.detail import Detail, Time
from denet_tui.record import times
from tests.record.made import READ, counted, process, snapshot
from tests.test_spent import times as some_times


@given(some_times, some_times)
def test_a_time_comes_back_as_it_was_what_is_not_known_of_it_as_well(whole: Time, own: Time) -> None:
    one = process(1000, {READ: counted(1)}, time=own)
    line = json.loads(json.dumps(times.of_tick(snapshot(0.5, [one], detail=Detail(time=whole)))))
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
