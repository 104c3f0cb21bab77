"""Pictures of the live screen (pytest-textual-snapshot); `pytest --snapshot-update` after a wanted change."""

from collections.abc import Awaitable, Callable

import pytest
from textual.pilot import Pilot

from denet_tui.app import DenetApp
from denet_tui.model import Loss
from tests.screens.double import Session, empty
from tests.screens.driving import ended, running, settle

Compare = Callable[..., bool]

SIZES = {50: (50, 20), 80: (80, 24), 120: (120, 40)}
SESSIONS: dict[str, Callable[[], Session]] = {
    "empty": lambda: Session([empty()]),
    "running": running,
    "finished": ended,
    "killed": lambda: ended(9),
    "lossy": lambda: running(loss=Loss(rows=1234, missed=5)),
}


def after(session: Session, *keys: str, theme: str = "textual-dark") -> Callable[[Pilot[object]], Awaitable[None]]:
    """Wait for the data, then press the keys."""

    async def prepare(pilot: Pilot[object]) -> None:
        pilot.app.theme = theme
        await settle(pilot, session)
        await pilot.press(*keys)
        await pilot.pause()

    return prepare


@pytest.mark.parametrize("width", SIZES)
@pytest.mark.parametrize("state", SESSIONS)
def test_states(snap_compare: Compare, state: str, width: int) -> None:
    session = SESSIONS[state]()
    assert snap_compare(DenetApp(session), terminal_size=SIZES[width], run_before=after(session))


@pytest.mark.parametrize("width", SIZES)
def test_paused(snap_compare: Compare, width: int) -> None:
    session = running()
    assert snap_compare(DenetApp(session), terminal_size=SIZES[width], run_before=after(session, "space"))


@pytest.mark.parametrize("width", SIZES)
def test_processes_narrowed(snap_compare: Compare, width: int) -> None:
    session = running()
    keys = ("tab", "j", "enter", *(("tab",) if width < 100 else ()), "s")
    assert snap_compare(DenetApp(session), terminal_size=SIZES[width], run_before=after(session, *keys))


@pytest.mark.parametrize("width", [50, 80])
def test_process_pane(snap_compare: Compare, width: int) -> None:
    session = running()
    assert snap_compare(DenetApp(session), terminal_size=SIZES[width], run_before=after(session, "tab"))


def test_light_theme(snap_compare: Compare) -> None:
    session = running(loss=Loss(rows=1234))
    prepare = after(session, theme="textual-light")
    assert snap_compare(DenetApp(session), terminal_size=SIZES[120], run_before=prepare)


def test_no_color(snap_compare: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    session = running(loss=Loss(rows=1234))
    assert snap_compare(DenetApp(session), terminal_size=SIZES[80], run_before=after(session, "j"))


def test_question(snap_compare: Compare) -> None:
    session = running()
    assert snap_compare(DenetApp(session), terminal_size=SIZES[80], run_before=after(session, "q"))


def test_help(snap_compare: Compare) -> None:
    session = running()
    assert snap_compare(DenetApp(session), terminal_size=SIZES[80], run_before=after(session, "f1"))


def test_too_small(snap_compare: Compare) -> None:
    session = running()
    assert snap_compare(DenetApp(session), terminal_size=(20, 5), run_before=after(session))
