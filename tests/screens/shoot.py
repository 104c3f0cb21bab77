"""`python -m tests.screens.shoot NAME [COLUMNSxROWS] -- CMD…`: a picture of a real run, as screenshots/NAME.svg.

Needs root, as the run is a real one: the loader, the kernel side, the command on its own terminal.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from denet_tui.app import DenetApp
from denet_tui.watch.launch import Options, Start, hold_command
from denet_tui.watch.worker import Session

FOLDER = Path(__file__).parents[2] / "screenshots"
SECONDS = 6.0


async def shoot(session: Session, name: str, columns: int, rows: int) -> None:
    app = DenetApp(session, on_quit="kill")
    async with app.run_test(size=(columns, rows)) as pilot:
        await asyncio.sleep(SECONDS)
        await pilot.pause()
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / f"{name}.svg").write_text(app.export_screenshot(title="denet-tui"), encoding="utf-8")


def main() -> None:
    options, argv = sys.argv[1 : sys.argv.index("--")], tuple(sys.argv[sys.argv.index("--") + 1 :])
    columns, rows = map(int, (options[1] if len(options) > 1 else "120x40").split("x"))
    command, tracer, info = hold_command(Start(Options()), argv, own_terminal=True, stdio=(0, 1, 2))
    session = Session(info, tracer, command)
    asyncio.run(shoot(session, options[0], columns, rows))
    session.finish("kill")


if __name__ == "__main__":
    main()
