"""What the tests of the screens have in common."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

from textual.app import App
from textual.pilot import Pilot
from textual.widget import Widget

from denet_tui.model import Loss, Snapshot
from denet_tui.screens.live.app import DenetApp
from denet_tui.screens.live.screen import LiveScreen
from tests.screens.live.double import Build, Session


def running(ticks: int = 12, loss: Loss = Loss()) -> Session:  # noqa: B008 (frozen)
    """A session that has published `ticks` snapshots and goes on."""
    return Session(list(_snapshots(ticks, loss)))


@cache
def _snapshots(ticks: int, loss: Loss) -> tuple[Snapshot, ...]:
    build = Build(loss=loss)
    return tuple(build.step() for _ in range(ticks))


def ended(status: int = 3 << 8, ticks: int = 12) -> Session:
    """A session whose command has ended."""
    build = Build()
    return Session([*(build.step() for _ in range(ticks)), build.step(status=status)])


def live(app: DenetApp) -> LiveScreen:
    """The live screen, whatever lies above it."""
    screen = app.screen_stack[0]
    assert isinstance(screen, LiveScreen)
    return screen


def notices(app: App[Any]) -> list[str]:
    """The messages that are shown."""
    return [str(note.message) for note in app._notifications]


async def mouse(pilot: Pilot[Any], *what: Any, **how: Any) -> None:
    """Send events of the mouse, each as it is named: the pilot's own ways cannot scroll, or drag out of a widget."""
    await pilot._post_mouse_events(*what, **how)


async def settle(pilot: Pilot[object], session: Session) -> None:
    """Wait until the newest snapshot is taken in and drawn."""
    assert isinstance(pilot.app, DenetApp)
    screen = live(pilot.app)
    for _ in range(500):
        await pilot.pause(0.01)
        if session.latest is not None and screen.newest is session.latest and not screen.waiting:
            await pilot.pause()
            return
    raise AssertionError("the newest snapshot never arrived")


async def until(pilot: Pilot[object], condition: Callable[[], bool]) -> None:
    """Wait until that is so; of what is not there yet nothing is."""
    for _ in range(500):
        with suppress(IndexError):
            if condition():
                return
        await pilot.pause(0.01)
    raise AssertionError("it never came to that")


def lines(widget: Widget) -> list[str]:
    """What a widget shows, as text."""
    return [widget.render_line(y).text for y in range(widget.size.height)]
