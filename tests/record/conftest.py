"""A long run, and recordings with a keyframe every few ticks."""

from __future__ import annotations

import pytest

from denet_tui.model import Snapshot
from denet_tui.record import keyframe
from tests.record.test_playback import long_run
from tests.record.test_read import read, recorded


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyframe, "LEAST_WORK", 5_000)
    monkeypatch.setattr(keyframe, "TIMES", 0)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> list[Snapshot]:
    """All numbers of which are since the start, as a sampler has them."""
    return list(read(recorded(tmp_path_factory.mktemp("run") / "rec.jsonl", long_run())))
