"""Pictures of the setup and of the start screen; `pytest --snapshot-update` after a wanted change."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from denet_tui.checks import catalogue
from denet_tui.helper import jobs
from denet_tui.screens.setup.app import HomeApp
from denet_tui.screens.setup.screen import SetupScreen
from denet_tui.screens.setup.state import SetupState
from denet_tui.watch.candidates import Candidate
from tests.checks.fake import FakeHost
from tests.screens.setup.recorded import Recorded, broken, fine, not_set_up

Compare = Callable[..., bool]
Prepare = Callable[[Pilot[object]], Awaitable[None]]
SIZES = {80: (80, 24), 120: (120, 40), 200: (200, 60)}
PROCESSES = (
    Candidate(4242, "ann", ("/usr/bin/make", "-j4", "all"), 3.0, 12_000_000, mine=True),
    Candidate(4100, "ann", ("/bin/bash",), 2.0, 4_000_000, mine=True),
    Candidate(1, "root", ("/sbin/init",), 1.0, 9_000_000, mine=False),
)


@pytest.fixture(autouse=True)
def _same_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "denet-tui").mkdir()
    (tmp_path / "denet-tui" / "commands").write_text("ls -l\nmake -j4 all\n")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr("denet_tui.screens.setup.screen._SPIN_S", 1000.0)


def looking() -> Recorded:
    """In the middle of the first look."""
    return Recorded(fine(), slowly=True)


def failing() -> Recorded:
    engine = Recorded(broken())
    engine.says = ("$ /usr/bin/apt-get install -y python3-bpfcc", "E: Could not resolve 'deb.debian.org'")
    engine.fails = "BCC-001.install: apt-get exited with status 100; what it had done was taken back"
    return engine


def user() -> Recorded:
    engine = Recorded(broken() | {"PRIV-005": not_set_up()}, root=False)
    engine.may_load = False
    return engine


def only_root() -> Recorded:
    engine = Recorded(fine() | {each: broken()[each] for each in ("PRIV-001", "E2E-001")}, root=False)
    engine.found["PRIV-005"], engine.may_load = not_set_up(), False
    return engine


async def front(pilot: Pilot[object]) -> None:
    """The first page, when everything is looked at."""
    for _ in range(200):
        await pilot.pause()
        if isinstance(pilot.app.screen, SetupScreen) and pilot.app.screen.setup.looked:
            break
    await pilot.pause()


def show(step: str = "", keys: Sequence[str] = (), theme: str = "textual-dark") -> Prepare:
    """Go to a step once everything is looked at, and press the keys."""

    async def prepare(pilot: Pilot[object]) -> None:
        pilot.app.theme = theme
        for _ in range(200):
            await pilot.pause()
            screen = pilot.app.screen
            if isinstance(screen, SetupScreen) and (screen.setup.looked or not step):
                break
        await pilot.pause()
        assert isinstance(screen, SetupScreen)
        if step:
            screen._show_front(False)
            screen._go(step)
            await pilot.pause()
        await pilot.press(*keys)
        await pilot.pause()
        screen._spin = 0
        await pilot.pause()

    return prepare


def app(engine: Recorded) -> HomeApp:
    return home(engine, who="as ann, with one helper as root" if engine.root else "as ann", ask=refused)


def home(engine: Recorded, **options: Any) -> HomeApp:
    return HomeApp(SetupState(engine), FakeHost(uid=1000), lambda: PROCESSES, **options)


def refused(kind: jobs.Kind, fix: str) -> jobs.Ended:
    """Sudo that lets nobody do anything."""
    return jobs.Ended(kind, fix, good=False, text="sudo exited with status 1")


STATES: dict[str, tuple[Callable[[], Recorded], Prepare]] = {
    "fix": (lambda: Recorded(broken()), show("FS-001", ["2"])),
    "failure": (failing, show("BCC-001", ["a"])),
    "ways": (user, show("PRIV-001")),
    "proof": (lambda: Recorded(fine()), show("E2E-001")),
    "front": (only_root, front),
    "front-broken": (lambda: Recorded(broken() | {"PRIV-001": fine()["PRIV-001"]}), front),
    "leave": (lambda: Recorded(broken()), show("FS-001", ["a", "q"])),
}


@pytest.mark.parametrize(
    ("state", "width"),
    [("front", 80), ("front-broken", 80), ("fix", 120), ("failure", 80), ("ways", 200), ("proof", 80), ("leave", 120)],
)
def test_setup(snap_compare: Compare, state: str, width: int) -> None:
    engine, prepare = STATES[state]
    assert snap_compare(app(engine()), terminal_size=SIZES[width], run_before=prepare)


def test_all_steps(snap_compare: Compare) -> None:
    found, prepare = broken() | {"PRIV-005": not_set_up()}, show("PRIV-005", ["1", "v"])
    assert snap_compare(app(Recorded(found)), terminal_size=SIZES[120], run_before=prepare)


def test_light(snap_compare: Compare) -> None:
    assert snap_compare(app(failing()), terminal_size=SIZES[80], run_before=show("BCC-001", ["a"], "textual-light"))


def test_no_color(snap_compare: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    engine, prepare = STATES["fix"]
    assert snap_compare(app(engine()), terminal_size=SIZES[80], run_before=prepare)


def test_looking(snap_compare: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("denet_tui.screens.setup.screen._SPIN_S", 3600)
    engine = looking()

    async def prepare(pilot: Pilot[object]) -> None:
        await show()(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, SetupScreen)
        engine.end_looking([*catalogue.by_id][:-2])
        engine.tell(jobs.Slow("E2E-001"))
        screen.draw()
        await pilot.pause()

    assert snap_compare(app(engine), terminal_size=SIZES[80], run_before=prepare)


@pytest.mark.parametrize(("pane", "width"), [("command", 80), ("command", 200), ("process", 120)])
def test_start(snap_compare: Compare, pane: str, width: int) -> None:
    starting = home(Recorded(fine()), first="start")

    async def prepare(pilot: Pilot[object]) -> None:
        await pilot.pause()
        await pilot.press(*(["up"] if pane == "command" else ["tab", "a", "n", "n"]))
        await pilot.app.workers.wait_for_complete()
        await pilot.pause()
        await pilot.pause()
        for cursor in pilot.app.screen.query("Input"):
            cursor.cursor_blink = False  # type: ignore[attr-defined]
        await pilot.pause()

    assert snap_compare(starting, terminal_size=SIZES[width], run_before=prepare)


def test_too_small(snap_compare: Compare) -> None:
    assert snap_compare(app(Recorded(fine())), terminal_size=(30, 8), run_before=show("E2E-001"))
