"""How the app is left, and what it says about it."""

import os
import signal
from pathlib import Path

import pytest
from click.testing import CliRunner
from textual.widgets import Static

from denet_tui.cli import main
from denet_tui.screens.live.app import DenetApp
from denet_tui.screens.live.quit import QuitScreen
from denet_tui.watch.ends import what_kill_ends
from tests.screens.live.driving import ended, live, running, settle


@pytest.mark.parametrize(
    ("key", "answer", "how"), [("q", "k", "kill"), ("ctrl+c", "l", "leave"), ("ctrl+q", "k", "kill")]
)
async def test_asks_while_the_command_runs(key: str, answer: str, how: str) -> None:
    session = running()
    app = DenetApp(session)
    async with app.run_test() as pilot:
        await settle(pilot, session)
        await pilot.press(key)
        assert isinstance(app.screen, QuitScreen)
        await pilot.press(answer)
    assert app.return_value == how
    assert app.return_code == 0


async def test_what_killing_reaches_is_said_in_the_same_words_where_it_can_be_asked_for() -> None:
    session = running()
    app = DenetApp(session)
    async with app.run_test() as pilot:
        await settle(pilot, session)
        await pilot.press("q")
        dialog = str(app.screen.query_one("#reach", Static).content)
    told = CliRunner().invoke(main, ["run", "--help"]).output
    documented = (Path(__file__).parents[3] / "docs/watching.md").read_text()
    assert all(" ".join(what_kill_ends().split()) in " ".join(text.split()) for text in (dialog, told, documented))


async def test_cancel_goes_back() -> None:
    session = running()
    app = DenetApp(session)
    async with app.run_test() as pilot:
        await settle(pilot, session)
        for answer in ("c", "escape"):
            await pilot.press("q")
            assert isinstance(app.screen, QuitScreen)
            await pilot.press(answer)
            assert app.screen is live(app)
            assert app.is_running


async def test_ctrl_c_twice_asks_once() -> None:
    session = running()
    app = DenetApp(session)
    async with app.run_test() as pilot:
        await settle(pilot, session)
        await pilot.press("ctrl+c", "ctrl+c", "q")
        assert [type(screen) for screen in app.screen_stack][1:] == [QuitScreen]


async def test_ctrl_c_quits_from_the_help_as_well() -> None:
    session = running()
    app = DenetApp(session, on_quit="kill")
    async with app.run_test() as pilot:
        await settle(pilot, session)
        await pilot.press("f1", "ctrl+c")
    assert app.return_value == "kill"


@pytest.mark.parametrize("on_quit", ["kill", "leave"])
async def test_does_not_ask_where_it_was_told(on_quit: str) -> None:
    session = running()
    app = DenetApp(session, on_quit=on_quit)
    async with app.run_test() as pilot:
        await settle(pilot, session)
        await pilot.press("q")
    assert app.return_value == on_quit


@pytest.mark.parametrize("on_quit", ["ask", "leave"])
async def test_after_the_end_it_just_leaves(on_quit: str) -> None:
    session = ended()
    app = DenetApp(session, on_quit=on_quit)
    async with app.run_test() as pilot:
        await settle(pilot, session)
        await pilot.press("q")
    assert app.return_value == "ended"


async def test_a_command_that_ends_during_the_question_was_not_killed() -> None:
    session = running()
    app = DenetApp(session)
    async with app.run_test() as pilot:
        await settle(pilot, session)
        await pilot.press("q")
        session.latest = ended().snapshots[-1]
        await pilot.press("k")
    assert app.return_value == "ended"


async def test_leaving_stops_the_worker() -> None:
    session = running()
    async with DenetApp(session, on_quit="leave").run_test() as pilot:
        await settle(pilot, session)
        await pilot.press("q")
    assert session.stopped


@pytest.mark.parametrize(
    ("number", "on_quit", "how"),
    [
        (signal.SIGTERM, "ask", "kill"),
        (signal.SIGHUP, "kill", "kill"),
        (signal.SIGINT, "leave", "leave"),
        (signal.SIGINT, "ask", "kill"),
    ],
)
async def test_signals_leave_without_asking(number: signal.Signals, on_quit: str, how: str) -> None:
    session = running()
    app = DenetApp(session, on_quit=on_quit)
    before = signal.getsignal(number)
    async with app.run_test() as pilot:
        await settle(pilot, session)
        os.kill(os.getpid(), number)
        await pilot.pause(0.2)
    assert app.return_value == how
    if before is not None:
        assert signal.getsignal(number) in {before, signal.SIG_DFL, signal.default_int_handler}
