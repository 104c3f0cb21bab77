"""A hung mount must not take the screen with it: files are read where the checks are, or once, not at each drawing."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from denet_tui.helper import jobs
from tests.screens.setup.test_front import SMALL, only_root, refused
from tests.screens.setup.wizard import setup

_opened: list[str] = []


def _note(event: str, words: tuple[Any, ...]) -> None:
    if event == "open" and threading.current_thread() is threading.main_thread():
        _opened.append(str(words[0]))


@pytest.mark.parametrize("ask", [None, refused], ids=["alone", "with-sudo"])
@pytest.mark.parametrize("front", [True, False], ids=["front", "page"])
async def test_drawing_again_opens_nothing(ask: Callable[[jobs.Kind, str], jobs.Ended] | None, front: bool) -> None:
    sys.addaudithook(_note)  # for good: there is no taking it off
    async with setup(only_root(), SMALL, front=front, ask=ask) as driver:
        await driver.until(lambda: driver.screen.setup.looked)
        for step in ("PRIV-001", "FS-001"):
            await driver.go_to(step)
            driver.screen.draw()
            _opened.clear()
            for _ in range(3):
                driver.screen.draw()
            assert _opened == []
