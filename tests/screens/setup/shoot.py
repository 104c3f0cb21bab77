"""`python -m tests.screens.setup.shoot`: pictures of the setup on a machine that is really broken, for screenshots/.

Needs root. Each machine is a mount namespace of its own (tests/screens/setup/broken.py), gone afterwards.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable

from textual.pilot import Pilot

from denet_tui.checks.host import Host
from denet_tui.commands import home as commands_home
from denet_tui.screens.setup.app import HomeApp
from denet_tui.screens.setup.screen import SetupScreen
from denet_tui.watch.candidates import candidates
from tests.screens.live.shoot import FOLDER
from tests.screens.setup.broken import NOTHING_TO_BE_HAD, REPOSITORY, broken

SIZE = (120, 40)
PATIENCE_S = 60.0


async def until(pilot: Pilot[object], reached: Callable[[], bool]) -> None:
    due = time.monotonic() + PATIENCE_S
    while not reached():
        if time.monotonic() > due:
            sys.exit("the setup screen never came to what was to be shown")
        await pilot.pause(0.02)


async def shoot(app: HomeApp, *, failure: bool) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: isinstance(app.screen, SetupScreen) and app.screen.setup.looked)
        screen = app.screen
        assert isinstance(screen, SetupScreen)
        setup = screen.setup
        await until(pilot, lambda: screen.current == "BCC-001")

        async def save(name: str) -> None:
            await pilot.pause(0.2)
            (FOLDER / f"{name}.svg").write_text(app.export_screenshot(title="denet-tui"), encoding="utf-8")

        if failure:
            await pilot.press("a")
            await until(pilot, lambda: any("taken back" in line for line in setup.logs.get("BCC-001", ())))
            await until(pilot, lambda: not setup.working)
            await save("setup-failure")
            return
        await save("setup")
        await pilot.press("a")
        await until(pilot, lambda: any(line.startswith("Get:") for line in setup.logs.get("BCC-001", ())))
        await save("setup-fix")
        await until(pilot, lambda: setup.proof.end is not None)
        await save("setup-proof")


def main() -> None:
    if len(sys.argv) == 1:
        FOLDER.mkdir(exist_ok=True)
        for name, repository in (("repaired", REPOSITORY), ("failure", NOTHING_TO_BE_HAD)):
            subprocess.run([*broken(repository), sys.executable, "-m", "tests.screens.setup.shoot", name], check=True)
        return
    home = commands_home._Home()
    try:
        asyncio.run(shoot(HomeApp(home._state, Host(), candidates, who=home._who()), failure=sys.argv[1] == "failure"))
    finally:
        home._jobs.close()


if __name__ == "__main__":
    main()
