"""What a recording knows of processes that have ended, tick by tick and from a keyframe: no summary is asked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from denet_tui.detail import Accounts, Time, Usage, Wait
from denet_tui.model import Snapshot
from denet_tui.record import keyframe
from tests.record.made import READ, WRITE, counted, idle, process, snapshot
from tests.record.test_read import opened, read, recorded

USED = Usage(accounts=Accounts(10**8, 70, 1, 1000, None, 5000 * 1024))


@pytest.mark.parametrize("by_keyframe", [False, True])
def test_of_the_ended_it_is_known_what_they_were_blocked_in_and_what_they_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, by_keyframe: bool
) -> None:
    """Also of one whose last calls the tick after its end has."""
    if by_keyframe:
        monkeypatch.setattr(keyframe, "LEAST_WORK", 1)
    waits = {READ: Wait(5, 1), WRITE: Wait(2, 0)}
    one = process(1000, {READ: counted(1)}, time=Time(1, 2, 3, 4), usage=Usage(threads=1))
    quick = process(1001, {READ: counted(2)}, end_s=0.4, time=Time(1, 2, 3, 9, waits, 7), usage=USED)
    late = process(1002, {READ: counted(2)}, end_s=0.6, time=Time(1, 2, 3, 9), usage=USED)
    last = idle(late._replace(time=Time(2, 2, 3, 9, waits)))
    run = [
        snapshot(0.5, [one, quick, late], ended=[quick]),
        snapshot(1.0, [idle(one), idle(quick), last], ended=[last]),
        snapshot(1.5, [idle(one), idle(quick), last]),
    ]
    path = recorded(tmp_path / "rec.jsonl", run)
    track = opened(path)
    if by_keyframe:
        index = track.index(lambda: False)
        assert index
        states = [found for at in index.keyframes.values() if (found := track.keyframe(at))]
        assert states
    else:
        states = list(read(path))
    assert [_known(each) for each in states] == [_known(each) for each in run[: len(states)]]


def _known(one: Snapshot) -> dict[int, Any]:
    return {
        each.pid: (each.time, each.usage.accounts)
        for each in one.processes
        if (each.end_ns or one.time_ns + 1) <= one.time_ns
    }


def test_an_older_recording_does_not_say_what_they_used(tmp_path: Path) -> None:
    over = process(1000, {READ: counted(1)}, end_s=0.4, usage=USED)
    path = recorded(tmp_path / "rec.jsonl", [snapshot(0.5, [over], ended=[over])])
    text, count = re.subn(r'("event":"exit".*),"accounts":{[^}]*}', r"\1", path.read_text())
    assert count == 1
    path.write_text(text)
    (only,) = read(path)
    assert _known(only) == {1000: (None, Accounts())}
