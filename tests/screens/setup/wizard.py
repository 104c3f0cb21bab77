"""The setup wizard over a recorded machine, driven by keys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from textual.pilot import Pilot

from denet_tui.checks import catalogue
from denet_tui.checks.host import Host
from denet_tui.screens.setup.app import HomeApp
from denet_tui.screens.setup.screen import SetupScreen
from denet_tui.screens.setup.state import SetupState
from denet_tui.widgets.page import Page
from denet_tui.widgets.steps import StepList
from tests.checks.fake import FakeHost
from tests.screens.live.driving import lines
from tests.screens.setup.recorded import Recorded


@asynccontextmanager
async def setup(
    engine: Recorded,
    size: tuple[int, int] = (120, 40),
    *,
    host: Host | None = None,
    front: bool = False,
    **options: Any,
) -> AsyncIterator[Driver]:
    """The wizard over `engine`, until the test is over: its steps, or, with `front`, its first page."""
    app = HomeApp(SetupState(engine), host or FakeHost(uid=1000), lambda: (), **options)
    async with app.run_test(size=size) as pilot:
        driver = Driver(pilot, engine)
        await driver.until(lambda: isinstance(app.screen, SetupScreen))
        await pilot.pause()
        if not front:
            await driver.press("d")
        yield driver


class Driver:
    """Presses keys, and says what is on the screen."""

    def __init__(self, pilot: Pilot[object], engine: Recorded) -> None:
        self.pilot, self.engine = pilot, engine
        self.app = pilot.app

    @property
    def screen(self) -> SetupScreen:
        found = next(each for each in self.app.screen_stack if isinstance(each, SetupScreen))
        assert isinstance(found, SetupScreen)
        return found

    async def until(self, reached: Callable[[], bool]) -> None:
        for _ in range(500):
            await self.pilot.pause()
            if reached():
                return
        raise AssertionError(f"it never came to that; now at {self.screen.current}:\n{self.page}")

    async def looked(self) -> None:
        """Every check has ended."""
        self.engine.end_looking([*catalogue.by_id])
        await self.until(lambda: self.screen.setup.looked)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def go_to(self, identity: str) -> None:
        self.screen._go(identity)
        await self.until(lambda: self.screen.current == identity)
        await self.pilot.pause()

    @property
    def page(self) -> str:
        """The whole page of the step, in one line for each paragraph."""
        return "\n".join(self.screen.query_one(Page).texts)

    @property
    def flat(self) -> str:
        return " ".join(self.page.split())

    @property
    def steps(self) -> str:
        return "\n".join(lines(self.screen.query_one(StepList)))

    @property
    def keys(self) -> set[str]:
        return {each.binding.action for each in self.screen.active_bindings.values()}

    @property
    def words(self) -> dict[str, str]:
        """What the line of keys says of each key."""
        return {key: each.binding.description for key, each in self.screen.active_bindings.items()}

    @property
    def note(self) -> str:
        return str(self.screen.query_one("#note").render())  # type: ignore[no-untyped-call]

    @property
    def progress(self) -> str:
        return str(self.screen.query_one("#progress").render())  # type: ignore[no-untyped-call]
