"""Screens over handmade sessions."""

from typing import Any

import pytest
from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet

from denet_tui.widgets.timeview import TimeView

_parse = Stylesheet._parse_rules
_PARSED: dict[tuple[object, ...], list[RuleSet]] = {}


def _parsed_once(sheet: Stylesheet, *what: Any, **how: Any) -> list[RuleSet]:
    """What the same rules were parsed to for another app of this process, of which there are hundreds."""
    key = (*what, *how.items(), *sheet._variables.items())
    if key not in _PARSED:
        _PARSED[key] = _parse(sheet, *what, **how)
    return _PARSED[key]


Stylesheet._parse_rules = _parsed_once  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def _chart_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chart and heat map always show the newest values, so that pictures of them do not depend on the time."""
    monkeypatch.setattr(TimeView, "LEAST_S", 0.0)
