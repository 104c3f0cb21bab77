"""Screens over handmade sessions."""

import pytest

from denet_tui.widgets.chart import Chart


@pytest.fixture(autouse=True)
def _chart_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The chart always shows the newest values, so that pictures of it do not depend on the time."""
    monkeypatch.setattr(Chart, "LEAST_S", 0.0)
