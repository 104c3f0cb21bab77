"""The palette: in groups what the keys do, found by name and by what it does."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot

from denet_tui.screens.live.app import DenetApp
from tests.screens.live.driving import live, running, settle, until


def listed(pilot: Pilot[object]) -> list[str]:
    """The lines of the palette that is open."""
    options = pilot.app.screen.query_one("CommandList").options  # type: ignore[attr-defined]
    return [str(option.prompt) for option in options]


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
async def test_the_palette_has_in_groups_what_the_keys_do(size: tuple[int, int]) -> None:
    session = running()
    async with DenetApp(session).run_test(size=size) as pilot:
        await settle(pilot, session)
        await pilot.press("ctrl+p")
        await until(pilot, lambda: len(listed(pilot)) > 20)
        shown = listed(pilot)
        assert [line.split("  ")[0] for line in shown if line[0] != " "] == [
            "This pane", "Tabs", "The view", "Time", "denet-tui",
        ]  # fmt: skip
        assert "This pane  Sort                       s  Sort by the next column" in shown
        assert all(len(line) <= size[0] - 6 for line in shown)
        words = {line[11:30].strip(): line[30:39].strip() for line in shown}
        assert words["Pause"] == "space"
        assert words["Sample less often"] == "+"
        assert words["Errors"] == "3"
        assert {"Theme", "Screenshot", "Quit"} <= words.keys()
        assert not {"Down", "First", "Palette"} & words.keys()
        assert len(words) == len(shown), "each once"
        await pilot.press(*"counting goes")  # a word of what it does
        await until(pilot, lambda: len(listed(pilot)) == 1)
        assert listed(pilot)[0].startswith("The view   Pause ")
        await pilot.press("enter")
        await until(pilot, lambda: live(pilot.app).view.paused)  # type: ignore[arg-type]
