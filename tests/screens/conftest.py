"""Screens over handmade sessions."""

import pytest

from denet_tui.widgets.timeview import TimeView


@pytest.fixture(autouse=True)
def _chart_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chart and heat map always show the newest values, so that pictures of them do not depend on the time."""
    monkeypatch.setattr(TimeView, "LEAST_S", 0.0)
