"""The live screen on a recording, driven with keys."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from textual.pilot import Pilot

from denet_tui.record.playback import Playback
from denet_tui.screens.live.app import DenetApp
from denet_tui.screens.live.replay import ReplayScreen, parse_moment
from denet_tui.widgets.details import DetailsPage
from denet_tui.widgets.keys import KeyLine
from denet_tui.widgets.player import PlayerLine
from tests.record.test_playback import BURST, EXEC, TICKS, long_run
from tests.record.test_read import opened, recorded
from tests.screens.live.driving import lines, live, until

END_S = TICKS / 2


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recorded(tmp_path_factory.mktemp("replay") / "rec.jsonl", long_run())


def app_on(recording: Path) -> DenetApp:
    return DenetApp(Playback(opened(recording)), "leave")


async def comes_to(pilot: Pilot[object], at_s: float) -> ReplayScreen:
    """Wait until that moment is drawn, and the player stands there."""
    assert isinstance(pilot.app, DenetApp)
    screen = live(pilot.app)
    assert isinstance(screen, ReplayScreen)
    await until(pilot, lambda: screen.shown is not None and screen.shown.elapsed_ns == round(at_s * 1e9))
    await pilot.pause(0.2)
    return screen


def player(screen: ReplayScreen) -> str:
    return lines(screen.query_one(PlayerLine))[0]


async def test_it_opens_at_the_end_and_moves_in_time(recording: Path) -> None:
    app = app_on(recording)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await comes_to(pilot, END_S)
        assert "stopped  1:15.0 of 1:15.0" in player(screen)
        await pilot.press("T", *"20", "enter")
        await comes_to(pilot, 20)
        assert "stopped  0:20.0 of 1:15.0" in player(screen)
        assert screen.window.cursor_s == 20
        counted = screen.rates.timeline.columns(0, END_S, 1)[0].counters.calls
        assert counted == sum(range(1, TICKS + 1)) + 50, "the chart has all of the run, each tick once"
        await pilot.press("right_parenthesis")
        await comes_to(pilot, 20.5)
        await pilot.press("J", "x")
        await comes_to(pilot, (EXEC + 1) / 2)
        assert "exec: cc1 (1001)" in player(screen)
        await pilot.press("J", "e")
        await until(pilot, lambda: "no error burst after this" in player(screen))
        await pilot.press("left_curly_bracket")
        await comes_to(pilot, (BURST + 1) / 2)
        assert "┼" in player(screen).replace("█", "┼")
        await pilot.press("0")
        await comes_to(pilot, END_S)
        assert screen.window.follows


async def test_where_the_cursor_of_the_chart_goes_all_goes(recording: Path) -> None:
    app = app_on(recording)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await comes_to(pilot, END_S)
        await pilot.press(*["shift+left"] * 5)
        await until(pilot, lambda: screen.shown is not None and screen.shown.elapsed_ns < END_S * 1e9)
        shown, cursor = screen.shown, screen.window.cursor_s
        assert shown is not None
        assert cursor is not None
        assert shown.elapsed_ns - shown.interval_ns < cursor * 1e9 <= shown.elapsed_ns
        await pilot.click(PlayerLine, offset=(30, 0))
        await until(pilot, lambda: screen.shown is not None and screen.shown.elapsed_ns < 15e9)


async def test_it_plays_and_leaves_unasked(recording: Path) -> None:
    app = app_on(recording)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await comes_to(pilot, END_S)
        await pilot.press("T", *"0", "enter")
        await comes_to(pilot, 0.5)
        await pilot.press("plus", "plus", "space")
        await until(pilot, lambda: "playing 5x" in player(screen))
        await until(pilot, lambda: screen.shown is not None and screen.shown.elapsed_ns >= 3e9)
        await pilot.press("space")
        await until(pilot, lambda: "stopped" in player(screen))
        await pilot.press("q")
        await until(pilot, lambda: not app.is_running)
    assert app.return_value == "leave"


async def test_what_the_view_is_narrowed_to_stays(recording: Path) -> None:
    app = app_on(recording)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await comes_to(pilot, END_S)
        await pilot.press("tab", "enter")
        await until(pilot, lambda: bool(screen.view.trail))
        await pilot.press("T", *"30", "enter")
        await comes_to(pilot, 30)
        assert screen.view.trail
        assert screen.rates.errors.last((next(iter(screen.shown.errnos))), 5)[-1] == 0, "no burst where none was"  # type: ignore[union-attr]
        assert screen.rates.timeline.columns(29.5, 0.5, 1)[0].counters.calls == 60
        await pilot.press("enter", "k")  # the Details of that moment; no signal goes to what is recorded
        await until(pilot, lambda: screen.query_one(DetailsPage).texts[0].startswith("cc1 1000: running for 30s"))
        assert app.screen is screen
        assert "in      not known" in screen.query_one(DetailsPage).texts
        assert "Signal" not in lines(screen.query_one(KeyLine))[0]


@pytest.mark.parametrize(
    ("words", "moment"),
    [
        ("83.5", 83.5), ("1:23.5", 83.5), ("1:00:00", 3600), ("+10", 50), ("-10", 30), ("-100", 0), ("50%", 100),
        (" 0 ", 0), ("end", float("inf")), ("", None), ("x", None), ("1:2:3:4", None), ("-", None), ("+5%", None),
        ("1e3", None), ("nan", None), ("9" * 50, None), ("1:50%", None), ("200%", 200),
    ],
)  # fmt: skip
def test_moments(words: str, moment: float | None) -> None:
    assert parse_moment(words, 40.0, 200.0) == moment


@pytest.fixture
def half(recording: Path, tmp_path: Path) -> Path:
    """The recording as it was when half of it was written."""
    path, whole = tmp_path / "rec.jsonl", recording.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    return path


@pytest.fixture(params=["half", "first line"])
def cut(half: Path, request: pytest.FixtureRequest) -> Path:
    if request.param == "first line":
        half.write_bytes(half.read_bytes()[: half.read_bytes().index(b"\n") + 9])
    return half


async def test_a_cut_recording_has_been_read_to_its_end_and_says_so(cut: Path) -> None:
    app = app_on(cut)
    async with app.run_test(size=(100, 24)) as pilot:
        screen = live(app)
        assert isinstance(screen, ReplayScreen)
        await until(pilot, lambda: "no end: growing, or cut off" in player(screen))
        assert "following" in player(screen)
        assert "reading" not in player(screen)


async def test_the_end_of_a_file_that_has_grown_is_a_key_away(half: Path, recording: Path) -> None:
    app = app_on(half)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = live(app)
        assert isinstance(screen, ReplayScreen)
        await until(pilot, lambda: "no end: growing, or cut off" in player(screen))
        await pilot.press("space")
        await until(pilot, lambda: "stopped" in player(screen))
        shutil.copyfile(recording, half)
        await pilot.press("0")
        await comes_to(pilot, END_S)
