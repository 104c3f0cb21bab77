"""The first page of the setup: how it stands, what can be done, and by which key; the identifiers are under `d`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from textual.widgets import Input

from denet_tui.checks.model import Finding
from denet_tui.checks.verdict import PROOF
from denet_tui.helper import jobs
from denet_tui.report import guide
from denet_tui.screens.setup.app import HomeApp
from denet_tui.screens.setup.guide import GuideScreen
from denet_tui.screens.setup.start import StartScreen
from denet_tui.widgets.page import Page
from tests.screens.live.driving import lines
from tests.screens.setup import recorded
from tests.screens.setup.recorded import Recorded, broken, fine
from tests.screens.setup.wizard import Driver, setup

SMALL = (80, 24)


def refused(kind: jobs.Kind, fix: str) -> jobs.Ended:
    """Sudo that lets nobody do anything."""
    return jobs.Ended(kind, fix, good=False, text="sudo exited with status 1")


def only_root(**more: Finding) -> Recorded:
    """What an ordinary user finds where nothing but root is missing."""
    missing = {each: broken()[each] for each in ("PRIV-001", PROOF)}
    engine = Recorded(fine() | missing | {"PRIV-005": recorded.not_set_up()} | more, root=False)
    engine.may_load = False
    return engine


def in_sight(driver: Driver) -> str:
    """The page as far as it is on the screen, its lines as one."""
    return " ".join(" ".join(lines(driver.screen.query_one(Page))).split())


async def test_where_only_root_is_missing_one_is_told_what_to_press_and_no_identifier() -> None:
    async with setup(only_root(), SMALL, front=True, ask=refused) as driver:
        await driver.until(lambda: driver.screen.setup.looked)
        said = in_sight(driver)
        assert said.startswith("Watching works here. It needs root for a moment each time you start it.")
        assert "▸ enter Choose what to watch; sudo is asked when it starts changes nothing" in said
        assert "a Let me watch my own commands without that, as a member of the group denet-trace" in said
        assert "takes 1 file, 2 commands; you see all of it before it is done" in said
        assert not re.search(r"[A-Z]+-\d{3}|CAP_|tracepoint|CapEff", said), said
        assert driver.progress == "only root is missing"
        await driver.press("d")
        assert "PRIV-001" in driver.steps
        assert "CapEff" not in driver.steps
        assert "· waiting   E2E-001" in driver.steps, "what follows from it is no step of its own"
        await driver.press("escape", "enter")
        await driver.until(lambda: isinstance(driver.app.screen, StartScreen))


async def test_what_lets_one_watch_without_root_is_read_before_it_is_done() -> None:
    asked: list[str] = []

    def ask(kind: jobs.Kind, fix: str) -> jobs.Ended:
        asked.append(fix)
        return refused(kind, fix)

    async with setup(only_root(), SMALL, front=True, ask=ask) as driver:
        await driver.until(lambda: driver.screen.setup.looked)
        await driver.press("a")
        assert "Fix PRIV-005.socket: let members of denet-trace watch" in driver.flat
        assert "+MemoryMax=1G" in driver.flat
        await driver.press("a")
        assert "a once more applies it" in driver.note
        assert asked == []


async def test_who_cannot_become_root_has_a_script_for_an_administrator_and_no_password_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(HomeApp, "suspend", lambda app: pytest.fail("the terminal was to be asked"))
    async with setup(only_root(), SMALL, front=True) as driver:
        await driver.until(lambda: driver.screen.setup.looked)
        said = in_sight(driver)
        assert "▸ y Copy this for an administrator of this machine" in said
        assert "a Save it as a script" in said
        assert "setup --only PRIV-005.socket --yes # Undo:" in said, "all of it is in sight"
        assert "gpasswd --add root denet-trace" in said
        assert "go_on" not in driver.keys
        assert driver.words["a"] == "Save"
        await driver.press("y", "a")
        await driver.until(lambda: "saved" in driver.note)
        script = (tmp_path / "denet-tui-for-root.sh").read_text()
        assert driver.app.clipboard == script
        assert script.startswith("#!/bin/sh\nset -eu\n# ")
        assert "# Opens: Members watch their own processes without a password" in script


async def test_something_broken_says_what_it_is_what_is_run_and_how_it_is_undone() -> None:
    found = broken() | {each: fine()[each] for each in ("PRIV-001", "FS-001", "FS-002")}
    async with setup(Recorded(found), SMALL, front=True) as driver:
        await driver.until(lambda: driver.screen.current == "BCC-001")
        said = in_sight(driver)
        assert said.startswith("Watching does not work yet: bcc and libbcc: fail.")
        assert "▸ a Install python3-bpfcc $ /usr/bin/apt-get install -y python3-bpfcc as root" in said
        assert "undo: remove the packages that were not there before, and no others" in said
        assert "Then 1,000 known calls are counted as proof." in said
        await driver.press("a")
        await driver.until(lambda: driver.screen.setup.proof.end is not None)
        await driver.until(lambda: "Everything works: press enter to choose what to watch." in in_sight(driver))
        assert "✓ exact: 1,000 known calls, 1,000 counted" in in_sight(driver)


@pytest.mark.parametrize("identity", ["PRIV-001", "FS-001", "FS-002", "BCC-001"])
@pytest.mark.parametrize("choice", ["1", "2", "3"])
async def test_what_to_type_or_to_press_is_in_sight_on_each_step(identity: str, choice: str) -> None:
    found = broken() | {"PRIV-005": recorded.not_set_up()}
    engine = Recorded(found, root=False)
    engine.may_load = False
    async with setup(engine, SMALL, ask=refused) as driver:
        await driver.until(lambda: driver.screen.setup.looked)
        await driver.go_to(identity)
        await driver.press(choice)
        assert re.search(r"a applies this|a starts denet-tui again|You do", in_sight(driver)), driver.page


async def test_d_goes_to_what_it_opens() -> None:
    async with setup(Recorded(broken()), SMALL) as driver:
        await driver.go_to("PRIV-001")
        await driver.press("d")
        assert "the check took" in in_sight(driver)
        assert "host.read" in in_sight(driver)
        await driver.press("d")
        assert "PRIV-001" in in_sight(driver)


async def test_while_it_looks_nothing_optional_and_nothing_that_follows_is_shown_as_failed() -> None:
    engine = Recorded(broken(), slowly=True)
    async with setup(engine) as driver:
        engine.end_looking([PROOF, "FS-001", "FS-002"])
        await driver.until(lambda: PROOF in driver.screen.setup.findings)
        await driver.press("v")
        assert driver.screen.setup.state(PROOF) == "waiting"
        assert "✗" not in driver.steps.split("proof", 1)[1]


async def test_the_guide_is_found_by_its_words_and_by_a_check() -> None:
    async with setup(Recorded(broken()), SMALL, front=True) as driver:
        await driver.until(lambda: driver.screen.setup.looked)
        await driver.press("question_mark")
        await driver.until(lambda: isinstance(driver.app.screen, GuideScreen))
        page = driver.app.screen.query_one(Page)
        await driver.press(*"Map not")
        await driver.until(lambda: page.texts[0] == "Missing Maps or Programs")
        assert "here    sudo denet-tui selftest" in page.texts
        driver.app.screen.query_one(Input).value = " bcc-001 "
        await driver.until(lambda: page.texts[0].startswith("BCC-001 fail: "))
        text = " ".join(" ".join(page.texts).split())
        assert f"why {recorded.WHY} fix install python3-bpfcc (BCC-001.install) undo remove the packages" in text
        driver.app.screen.query_one(Input).value = "no such words"
        await driver.until(lambda: page.texts[0].startswith("Nothing on 'no such words'"))
        await driver.press("escape")
        assert driver.app.screen is driver.screen


async def test_the_guide_says_what_to_type_as_the_command_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [str(Path(sys.executable).with_name("denet-tui"))])
    async with setup(Recorded(broken()), SMALL, front=True) as driver:
        await driver.until(lambda: driver.screen.setup.looked)
        await driver.press("question_mark")
        await driver.until(lambda: isinstance(driver.app.screen, GuideScreen))
        page = driver.app.screen.query_one(Page)
        for words in ("Map not found", "secure_path"):
            driver.app.screen.query_one(Input).value = words
            (row,) = guide.search(words)
            await driver.until(lambda row=row: page.texts[0] == row.words[0])
            (typed,) = re.findall("  here: (.*)", guide.page(row))
            assert f"here {typed}" in " ".join(" ".join(page.texts).split())
        (row,) = guide.search("Map not found")
        assert f"{sys.argv[0]} selftest" in guide.page(row)
