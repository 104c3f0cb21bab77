"""The start screen: a command with its history, a process to find, the whole machine; and what cannot be watched."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Input, Static

from denet_tui.screens.setup import history
from denet_tui.screens.setup.start import Pick, StartScreen
from denet_tui.watch.candidates import Candidate, candidates
from denet_tui.widgets.pick import ProcessPicker
from tests.screens.live.driving import until
from tests.screens.setup.test_pictures import PROCESSES


class Only(App[Pick]):
    """The start screen, and what was picked."""

    def on_mount(self) -> None:
        self.push_screen(StartScreen(lambda: PROCESSES), self.exit)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "denet-tui" / "commands"


@asynccontextmanager
async def shown(*keys: str) -> AsyncIterator[tuple[Only, Pilot[Pick]]]:
    app = Only()
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.pause()
        await app.workers.wait_for_complete()
        await pilot.pause()
        await pilot.press(*keys)
        await pilot.pause()
        yield app, pilot


def wrong(app: Only) -> str:
    return str(app.screen.query_one("#wrong").render())  # type: ignore[no-untyped-call]


async def test_a_command_is_split_as_a_shell_does_and_remembered(state: Path) -> None:
    async with shown(*"ls 'a b'", "enter") as (app, _):
        pass
    assert app.return_value == Pick("command", ("ls", "a b"))
    assert history.read(state) == ["ls 'a b'"]


async def test_the_arrows_go_through_the_history_and_back_to_what_was_typed(state: Path) -> None:
    for line in ("ls", "make -j4", "ls"):
        history.remember(state, line)
    async with shown(*"cat") as (app, pilot):
        line = app.screen.query_one("#command", Input)
        seen = []
        for key in ("up", "up", "up", "down", "down", "down"):
            await pilot.press(key)
            seen.append(line.value)
        assert seen == ["ls", "make -j4", "make -j4", "ls", "cat", "cat"]


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("", "type a command first"),
        ("ls 'a", "no closing quotation"),
        ("no-such-program", "command not found in PATH: no-such-program"),
        ("/etc", "is a directory"),
    ],
)
async def test_what_cannot_run_is_said_before_the_screen_is_left(typed: str, says: str) -> None:
    async with shown(*typed, "enter") as (app, pilot):
        assert says in wrong(app)
        await pilot.press("x")
        assert wrong(app) == ""


async def test_a_pipeline_is_offered_to_a_shell(state: Path) -> None:
    async with shown(*"ls 'a|b' | wc", "enter") as (app, pilot):
        assert "takes a shell" in wrong(app)
        assert app.screen.query_one("#command", Input).value.startswith("sh -c ")
        await pilot.press("enter")
    assert app.return_value == Pick("command", ("sh", "-c", "ls 'a|b' | wc"))
    assert history.read(state)[0].startswith("sh -c ")


async def test_a_process_is_found_by_parts_of_its_command_and_its_user() -> None:
    async with shown("tab", *"ann mak") as (app, pilot):
        picker = app.screen.query_one(ProcessPicker)
        assert [row.pid for row in picker.rows] == [4242]
        await pilot.press("enter")
    assert app.return_value == Pick("process", ("/usr/bin/make", "-j4", "all"), 4242)


async def test_the_arrows_move_in_the_list_while_the_search_has_the_focus() -> None:
    async with shown("tab", "down", "enter") as (app, _):
        pass
    assert app.return_value is not None
    assert app.return_value.pid == 4100


async def test_somebody_elses_process_is_not_watched_and_nothing_found_is_said() -> None:
    async with shown("tab", *"init", "enter") as (app, pilot):
        assert "process 1 belongs to root" in wrong(app)
        await pilot.press(*"xyz", "enter")
        assert "no process is chosen" in wrong(app)


async def test_the_whole_machine_and_the_way_back() -> None:
    async with shown("shift+tab", "enter") as (app, _):
        pass
    assert app.return_value == Pick("machine")
    async with shown("escape") as (app, _):
        pass
    assert app.return_value is None


def test_this_machines_processes_are_listed_ours_first() -> None:
    found = candidates(uid=os.getuid() or 65534)
    assert os.getppid() in {each.pid for each in candidates()}
    assert os.getpid() not in {each.pid for each in found}
    assert [each.mine for each in found] == sorted((each.mine for each in found), reverse=True)


def test_a_history_that_cannot_be_read_or_written_is_none(tmp_path: Path) -> None:
    assert history.read(tmp_path / "none") == []
    (tmp_path / "file").write_text("x")
    history.remember(tmp_path / "file" / "commands", "ls")
    (tmp_path / "odd").write_bytes(b"ls\n\xff\x1b[2J\n\n  \nmake\n")
    assert history.read(tmp_path / "odd") == ["make", "ls"]


def test_what_was_typed_is_nobody_elses_business(state: Path) -> None:
    history.remember(state, "ls 'a b'")
    assert state.read_text() == "ls 'a b'\n"
    assert state.stat().st_mode & 0o777 == 0o600


def test_only_so_many_commands_are_kept(tmp_path: Path) -> None:
    for number in range(history.MOST + 5):
        history.remember(tmp_path / "commands", f"ls {number}")
    assert len(history.read(tmp_path / "commands")) == history.MOST
    assert history.read(tmp_path / "commands")[0] == f"ls {history.MOST + 4}"


class Lingering(Static):
    """Of the start screen the last widget to go: the processes are found meanwhile."""

    def __init__(self, going: threading.Event) -> None:
        super().__init__()
        self._going = going

    async def on_unmount(self) -> None:
        self._going.set()
        await asyncio.sleep(0.3)


async def test_it_may_be_left_before_the_processes_are_found() -> None:
    going = threading.Event()

    def slow() -> Sequence[Candidate]:
        going.wait(30)
        return PROCESSES

    app: App[None] = App()
    async with app.run_test(size=(100, 30)) as pilot:
        screen = StartScreen(slow)
        await app.push_screen(screen)
        await screen.mount(Lingering(going))
        await pilot.press("escape")
        await app.workers.wait_for_complete()
        await until(pilot, lambda: not screen.is_attached)
    assert going.is_set()
