"""A screenshot goes to the caller's current folder, whatever the home has, and it is said where."""

from __future__ import annotations

from pathlib import Path

import pytest

from denet_tui.screens.live.app import DenetApp
from tests.screens.live.driving import notices, running, settle, until
from tests.screens.setup.recorded import Recorded
from tests.screens.setup.wizard import setup
from tests.screens.test_fast_keys import type_at_once


async def test_the_palettes_screenshot_is_where_the_caller_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/nonexistent")
    session = running()
    app = DenetApp(session)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot, session)
        for name in ("denet-tui.svg", "denet-tui-1.svg"):
            type_at_once(app, "\x10screenshot\r")
            await until(pilot, lambda name=name: f"in {tmp_path / name}" in " ".join(notices(app)))  # type: ignore[misc]
            assert "openat" in (tmp_path / name).read_text()


async def test_the_setup_screens_too_and_what_is_in_the_way_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with setup(Recorded({}, slowly=True)) as driver:
        driver.app.deliver_screenshot()
        assert "setup" in (tmp_path / "denet-tui.svg").read_text()
        (tmp_path / "gone").mkdir()
        monkeypatch.chdir(tmp_path / "gone")
        (tmp_path / "gone").rmdir()
        driver.app.deliver_screenshot()
        await driver.until(lambda: "cannot be written here: No such file or directory" in " ".join(notices(driver.app)))
