"""Keys that come all at once, as a paste or a slow line delivers them: each does what it would after a pause."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from textual.app import App
from textual.widgets import Input

from denet_tui.screens.live.app import DenetApp
from denet_tui.screens.live.tabs import TABS
from denet_tui.screens.pastes import PasteParser
from denet_tui.screens.setup.app import HomeApp
from denet_tui.screens.setup.start import Pick, StartScreen
from denet_tui.screens.setup.state import SetupState
from denet_tui.widgets.crumbs import Crumbs
from denet_tui.widgets.syscalls import SyscallTable
from tests.checks.fake import FakeHost
from tests.screens.live.driving import lines, live, running, settle, until
from tests.screens.live.test_output import view, with_terminal
from tests.screens.setup.recorded import Recorded
from tests.screens.setup.wizard import setup

SIZE = (120, 40)
PASTED = "\x1b[200~{}\x1b[201~"


def type_at_once(app: App[object], text: str) -> None:
    """What a terminal sends, in one piece."""
    for event in PasteParser().feed(text):
        event.set_sender(app)
        app.post_message(event)


def typed(app: App[object]) -> str:
    """What stands in the one line that has the focus."""
    assert isinstance(app.focused, Input), app.focused
    return app.focused.value


@pytest.mark.slow
async def test_a_filter_typed_in_one_go_is_that_of_the_tab_it_was_typed_for() -> None:
    session = running()
    app = DenetApp(session)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot, session)
        screen = live(app)
        for index, tab in enumerate(TABS):
            await screen.action_tab(index)
            await pilot.pause()
            type_at_once(app, "1/openat\r\r")
            await until(pilot, lambda: "openat" in "".join(lines(screen.query_one(Crumbs))))
            assert "".join(lines(screen.query_one(Crumbs))).split()[-1] == "openat", tab.id
            assert app.focused is screen.query_one(SyscallTable), tab.id
            type_at_once(app, "/")
            await until(pilot, lambda: isinstance(app.focused, Input))
            assert typed(app) == "openat", tab.id
            await pilot.press("ctrl+u", "enter", "escape")  # as it began: no filter, and not narrowed
            await until(pilot, lambda: "openat" not in "".join(lines(screen.query_one(Crumbs))))


@pytest.mark.parametrize(
    ("keys", "reached"),
    [
        ("?q6", lambda app: app.screen.id != "help" and live(app).tab == 5),
        ("\x10screenshot", lambda app: typed(app) == "screenshot"),
        ("2q\x1b[A", lambda app: type(app.screen).__name__ == "QuitScreen"),
        ("1\tjj/cc1", lambda app: typed(app) == "cc1"),
        ("6\t1/a\x7fb", lambda app: typed(app) == "b"),
    ],
)
async def test_what_opens_with_a_key_gets_those_that_follow(keys: str, reached: Callable[[DenetApp], bool]) -> None:
    session = running()
    app = DenetApp(session)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot, session)
        type_at_once(app, keys)
        await until(pilot, lambda: _holds(app, reached))


def _holds(app: DenetApp, reached: Callable[[DenetApp], bool]) -> bool:
    try:
        return reached(app)
    except AssertionError:
        return False


@pytest.mark.parametrize("text", ["abc", PASTED.format("abc")])
async def test_what_is_typed_or_pasted_at_once_reaches_the_command_between_i_and_its_end(text: str) -> None:
    session, terminal = with_terminal(running(), b"")
    app = DenetApp(session)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot, session)
        type_at_once(app, f"5i{text}\r\x1d1/re")
        await until(pilot, lambda: isinstance(app.focused, Input) and typed(app) == "re")
        assert terminal.typed == b"abc\r"
        assert not view(pilot).typing


async def test_the_start_screen_takes_a_command_and_enter_in_one_go() -> None:
    app = HomeApp(SetupState(Recorded({})), FakeHost(uid=1000), lambda: (), first="start")
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: isinstance(app.screen, StartScreen) and isinstance(app.focused, Input))
        type_at_once(app, "abc\t12\t\tls -l\x15ls -a\r")
        await until(pilot, lambda: app.return_value is not None)
    assert app.return_value == Pick("command", ("ls", "-a"))


async def test_on_the_setup_screen_what_opens_gets_the_keys_that_follow() -> None:
    async with setup(Recorded({}, slowly=True)) as driver:
        type_at_once(driver.app, "?q?q\x10report")
        await driver.until(lambda: isinstance(driver.app.focused, Input))
        await driver.until(lambda: typed(driver.app) == "report")
