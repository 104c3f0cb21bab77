"""What the user prefers, in the settings file and from the last run, and what the screen makes of it."""

from pathlib import Path

import pytest

from denet_tui.commands import preferences
from denet_tui.preferences import state
from denet_tui.preferences.screen import Preferences
from denet_tui.preferences.settings import SettingsError, UserSettings
from denet_tui.preferences.state import Kept
from denet_tui.screens.live.app import DenetApp
from denet_tui.screens.live.tabs import TABS
from denet_tui.widgets.first_help import FirstHelp
from denet_tui.widgets.processes import ProcessTree
from denet_tui.widgets.syscalls import SyscallTable
from tests.screens.live.double import Session
from tests.screens.live.driving import lines, live, running, settle


def load(home: Path, text: str) -> Preferences:
    file = home / ".config" / "denet-tui" / "settings.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return preferences.load({"HOME": str(home)})


async def test_what_the_file_says_is_done(tmp_path: Path) -> None:
    preferred = load(
        tmp_path,
        'theme = "light"\n[columns]\nsyscalls = ["total", "name"]\n[keys]\nlive.pause = "x"\nlive.errors = "E"\n',
    )
    session = running()
    app = DenetApp(session, preferences=preferred)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot, session)
        assert app.theme == "textual-light"
        table = live(app).query_one(SyscallTable)
        assert [column.key for column in table.visible_columns] == ["total", "name"]
        assert table.render_line(1).text.split() == ["▸199,757", "read"]
        await pilot.press("space")
        assert not live(app).view.paused
        await pilot.press("x")
        assert live(app).view.paused
        await pilot.press("E")
        assert live(app).query_one("#errors").region


async def test_how_it_was_left_is_how_it_comes_back(tmp_path: Path) -> None:
    for theme, keys in (("nord", ("less_than_sign", "s", "r", "tab", "s", "3")), ("nord", ())):
        preferred = preferences.load({"HOME": str(tmp_path)})
        session = running()
        app = DenetApp(session, on_quit="leave", preferences=preferred)
        async with app.run_test(size=(120, 40)) as pilot:
            await settle(pilot, session)
            if keys:
                app.theme = theme
            await pilot.press(*keys)
            await pilot.press("q")
        found = state.read(tmp_path / ".local" / "state" / "denet-tui" / "screen.json")
        assert (found.theme, found.tab, found.tree_width) == ("nord", "", 46)
        assert (found.syscalls_sort, found.syscalls_reverse, found.processes_sort) == ("", False, ""), "of one run"


async def test_the_first_run_has_three_lines_of_help_that_go_away_for_good(tmp_path: Path) -> None:
    for run, keys in enumerate((("question_mark", "escape"), ("escape",))):
        session = running()
        app = DenetApp(session, on_quit="leave", preferences=preferences.load({"HOME": str(tmp_path / keys[0])}))
        async with app.run_test(size=(80, 24)) as pilot:
            await settle(pilot, session)
            said = live(app).query_one(FirstHelp)
            assert (said.region.height, said.region.width) == (3, 80)
            assert "".join(lines(said)).rstrip().endswith("esc puts this away.")
            await pilot.press(*keys)
            assert len(live(app).query(FirstHelp)) == (not run), "escape of another screen is of that"
            assert live(app).query_one(SyscallTable).has_focus
            await pilot.press("q")
        session = running()
        app = DenetApp(session, on_quit="leave", preferences=preferences.load({"HOME": str(tmp_path / keys[0])}))
        async with app.run_test(size=(80, 24)) as pilot:
            await settle(pilot, session)
            assert not live(app).query(FirstHelp)


async def test_help_that_could_not_be_put_away_for_good_does_not_come() -> None:
    session = running()
    async with DenetApp(session, preferences=Preferences()).run_test(size=(80, 24)) as pilot:
        await settle(pilot, session)
        assert not live(pilot.app).query(FirstHelp)  # type: ignore[arg-type]


async def test_the_file_comes_before_what_was_kept() -> None:
    session = running()
    app = DenetApp(session, preferences=Preferences(UserSettings(theme="nord"), Kept(theme="dracula")))
    async with app.run_test():
        assert app.theme == "nord"


async def test_what_was_kept_and_is_not_known_any_more_does_no_harm() -> None:
    session = running()
    old = Kept(theme="pink", tab="gone", tree_width=9999, syscalls_sort="gone", processes_sort="gone")
    app = DenetApp(session, preferences=Preferences(kept=old))
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot, session)
        assert live(app).query_one(ProcessTree).region
        assert live(app).query_one(SyscallTable).region


async def test_any_tab_can_be_the_first_even_before_there_is_anything_to_show() -> None:
    for at, tab in enumerate(TABS):
        size = (50, 20) if at % 2 else (120, 40)
        app = DenetApp(Session(), on_quit="leave", preferences=Preferences(kept=Kept(tab=tab.id)))
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            assert app.screen.query_one(f"#{tab.id}").region
            await pilot.press("q")
        assert app.return_value == "leave"


@pytest.mark.parametrize(
    ("keys", "line", "says"),
    [
        ('app.quit = "space"', 2, "space is app.quit and live.pause at the same place"),
        ('table.sort = "r"', 2, "r is table.sort and table.reverse"),
        ('app.help = "X"\nlines.down = "s"', 3, "s is lines.down and table.sort"),
        ('live.pause = "P"\napp.help = "P"', 2, "P is live.pause and app.help"),
        ('overview.mark = "s"', 2, "s is overview.mark and table.sort"),
    ],
)
def test_keys_that_clash_are_named(tmp_path: Path, keys: str, line: int, says: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load(tmp_path, f"[keys]\n{keys}\n")
    assert f"settings.toml:{line}: {says}" in str(raised.value)


@pytest.mark.parametrize(
    "keys",
    [
        'app.quit = "x"',
        'live.pause = "s"\ntable.sort = "space"',
        'quit.kill = "q"',
        'help.close = "x"',
        'home.quit = "x"',
    ],
)
def test_keys_that_do_not_clash(tmp_path: Path, keys: str) -> None:
    assert load(tmp_path, f"[keys]\n{keys}\n").settings.keys


def test_the_example_can_be_used_as_it_is(tmp_path: Path) -> None:
    assert load(tmp_path, preferences.example()).settings.keys == {}
    said = "\n".join(line.removeprefix("#") for line in preferences.example().splitlines() if line[:2] != "# ")
    found = load(tmp_path, said).settings
    assert (found.interval, found.theme) == (0.5, "textual-dark")
    assert list(found.columns["syscalls"]) == [column.key for column in SyscallTable.COLUMNS]


def test_every_binding_can_be_looked_up() -> None:
    listed = preferences.list_bindings().splitlines()
    assert {"app.quit", "live.pause", "table.sort", "home.quit"} <= {line.split()[0] for line in listed}
    assert all(len(line.split(None, 2)) == 3 for line in listed)
