"""The setup wizard over recorded machines: the page of every state of every step, and the walk to the proof."""

from __future__ import annotations

import dataclasses
from contextlib import nullcontext

import pytest

from denet_tui.checks import catalogue
from denet_tui.checks.model import Finding, State
from denet_tui.checks.verdict import PROOF
from denet_tui.helper import jobs
from denet_tui.repair.preview import preview
from denet_tui.screens.setup import pages
from denet_tui.screens.setup.app import HomeApp
from denet_tui.screens.setup.pages import Shown
from denet_tui.screens.setup.screen import SetupScreen
from denet_tui.screens.setup.start import StartScreen
from denet_tui.screens.setup.state import SetupState
from denet_tui.widgets.page import Page, laid_out
from tests.screens.live.driving import lines
from tests.screens.setup import recorded
from tests.screens.setup.recorded import Recorded, broken, finding, fine
from tests.screens.setup.wizard import setup

SIGNS = {"pass": "✓", "warn": "!", "fail": "✗", "unknown": "?", "skip": "-", "crash": "#"}


def in_state(state: State) -> dict[str, Finding]:
    """A machine on which every check comes out like that, each with a fix."""
    return {each: finding(each, state, dataclasses.replace(recorded.MOUNT, id=f"{each}.mount")) for each in fine()}


@pytest.mark.parametrize("identity", [each for each in catalogue.by_id if each != PROOF])
@pytest.mark.parametrize("state", [each for each in State if each is not State.OPTIONAL])
def test_the_page_of_every_state_of_every_step(state: State, identity: str) -> None:
    """Whatever a check finds, its page says it with a sign and a word, what was seen, and what can be done."""
    found = in_state(state)
    previews = {each: {fix.id: preview(fix) for fix in finding.fixes} for each, finding in found.items()}
    setup = SetupState(Recorded(found), findings=found, previews=previews, looked=True)
    shown = Shown("root")
    head, *rest = (f"{line.label} {line.text}" for line in laid_out(pages.page(setup, identity, shown), 400))
    text = " ".join(" ".join(rest).split())
    words = {"optional": "○ optional", "offered": "+ offered"}
    word = words.get(setup.state(identity), f"{SIGNS[state]} {state}")
    assert f"{word} {identity}: " in head
    assert "Seen /proc/self/mountinfo: no line of type tracefs" in text
    assert "Why The kernel refuses what it does not know." in text
    assert ("Does $ /usr/bin/mount -t tracefs" in text) == (state in (State.FAIL, State.WARN))
    assert ("As root" in text) == (state in (State.FAIL, State.WARN))
    row = next(row for row in setup.rows(everything=True) if row.id == identity)
    assert f"{row.sign} {row.word}" == word


@pytest.mark.parametrize("state", [each for each in State if each is not State.OPTIONAL])
async def test_every_state_is_in_the_list_and_has_its_keys(state: State) -> None:
    async with setup(Recorded(in_state(state))) as driver:
        for identity in ("PRIV-001", "KERN-002", "BCC-003"):
            await driver.go_to(identity)
            row = next(line for line in driver.steps.splitlines() if identity in line)
            assert any(sign in row for sign in (SIGNS[state], "○", "+")), row
            assert identity in driver.page.splitlines()[0]
            assert ("apply" in driver.keys) == (state in (State.FAIL, State.WARN)), identity


async def test_it_walks_from_the_first_decision_to_the_proof_and_on() -> None:
    """Each fix is applied as shown, its check and the proof run again, and the focus moves on."""
    found = broken() | {"PRIV-001": fine()["PRIV-001"], "FS-002": fine()["FS-002"]}
    async with setup(Recorded(found)) as driver:
        await driver.until(lambda: driver.screen.current == "FS-001")
        assert driver.progress == "2 of 2 left"
        assert "Does $ /usr/bin/mount -t tracefs -o nosuid,nodev,noexec tracefs" in driver.flat
        assert "Undo umount, unless a process uses it" in driver.flat
        assert driver.engine.asked == ["look all"], "nothing is changed before it was asked for"
        await driver.press("a")
        await driver.until(lambda: driver.screen.current == "BCC-001")
        assert driver.progress == "1 of 2 left"
        assert "✓ FS-001.mount applied" in driver.note
        assert "✓ repaired  FS-001" in driver.steps
        await driver.press("a")
        await driver.until(lambda: driver.screen.current == PROOF)
        await driver.until(lambda: driver.screen.setup.proof.end is not None)
        assert driver.progress == "everything works"
        assert "✓ exact: 1,000 known calls, 1,000 counted by raw tracepoints" in driver.flat
        assert "▇" in driver.page
        assert "nothing missing, nothing too much" in driver.flat
        asked = driver.engine.asked
        assert [each for each in asked if not each.startswith("look")] == [
            "apply FS-001.mount",
            "apply BCC-001.install",
            "prove",
        ]
        assert all(PROOF in each for each in asked if each.startswith("look ") and each != "look all")
        await driver.press("enter")
        await driver.until(lambda: isinstance(driver.app.screen, StartScreen))


async def test_nothing_to_fix_goes_straight_to_the_proof() -> None:
    async with setup(Recorded(fine())) as driver:
        await driver.until(lambda: driver.screen.setup.proof.end is not None)
        assert driver.screen.current == PROOF
        assert driver.progress == "everything works"
        assert {"apply", "skip", "undo", "cancel"} & driver.keys == set()


async def test_everything_unknown() -> None:
    found = {each: Finding(each, State.UNKNOWN, "cannot be read: Permission denied") for each in fine()}
    async with setup(Recorded(found)) as driver:
        await driver.until(lambda: driver.screen.current == PROOF)
        assert driver.progress == "not proven yet"
        assert "prove" not in driver.engine.asked
        assert "go_on" not in driver.keys
        await driver.press("enter")
        assert isinstance(driver.app.screen, SetupScreen)


async def test_a_container_says_what_a_person_has_to_do() -> None:
    fix = dataclasses.replace(
        recorded.SUDO, id="PRIV-002.outside", title="run it outside", advice="docker: `--cap-add BPF --cap-add PERFMON`"
    )
    found = fine() | {"PRIV-002": finding("PRIV-002", State.FAIL, fix), PROOF: broken()[PROOF]}
    async with setup(Recorded(found)) as driver:
        await driver.until(lambda: driver.screen.current == "PRIV-002")
        assert "You do docker: `--cap-add BPF --cap-add PERFMON`" in driver.flat
        assert "apply" not in driver.keys
        await driver.press("y")
        assert driver.app.clipboard == "--cap-add BPF --cap-add PERFMON"


async def test_what_weakens_the_machine_is_marked_never_preselected_asked_twice_and_then_through_sudo(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = fine() | {"PRIV-005": recorded.not_set_up()}
    asked: list[tuple[str, str]] = []

    def ask(kind: jobs.Kind, fix: str) -> jobs.Ended:
        asked.append((kind, fix))
        return jobs.Ended(kind, fix, good=True, changed=True)

    monkeypatch.setattr(HomeApp, "suspend", lambda app: nullcontext())  # no real terminal here
    async with setup(Recorded(found), ask=ask) as driver:
        await driver.until(lambda: "+ offered   PRIV-005" in driver.steps)
        assert driver.progress == "everything works", "an offer is no step in the way"
        await driver.go_to("PRIV-005")
        assert "( ) 1 let members of denet-trace watch their own commands" in driver.flat
        assert "! weakens this machine: Members watch their own processes without a password" in driver.flat
        assert "apply" not in driver.keys
        await driver.press("1")
        assert "(•) 1" in driver.page
        assert "As root, through sudo" in driver.flat
        await driver.press("a")
        assert "a once more applies it" in driver.note
        assert asked == []
        await driver.press("a")
        await driver.until(lambda: asked == [("apply", "PRIV-005.socket")])
        assert not any(each.startswith("apply") for each in driver.engine.asked), "the helper does not weaken anything"
        await driver.go_to("PRIV-005")
        assert "PRIV-005.socket was applied. u takes that back, as root, through sudo." in driver.flat
        await driver.press("u")
        await driver.until(lambda: asked[1:] == [("undo", "PRIV-005.socket")])


async def test_the_recommended_fix_comes_first_and_another_can_be_chosen_by_key_and_by_mouse() -> None:
    found = fine() | {"FS-001": finding("FS-001", State.FAIL, recorded.UNIT, recorded.MOUNT), PROOF: broken()[PROOF]}
    async with setup(Recorded(found)) as driver:
        await driver.go_to("FS-001")
        assert "(•) 1 mount tracefs recommended: opens nothing; lasts until the next reboot" in driver.flat
        await driver.press("2")
        assert "( ) 1 mount tracefs" in driver.flat
        assert "write /etc/systemd/system/denet-tui-tracefs.service (root, mode 0644)" in driver.flat
        assert "+[Unit]" in driver.flat
        at = next(y for y, line in enumerate(driver.page.splitlines()) if "( ) 1 mount tracefs" in line)
        await driver.pilot.click(Page, offset=(20, at))
        await driver.until(lambda: "(•) 1 mount tracefs" in driver.flat)


async def test_skip_back_and_all_steps() -> None:
    async with setup(Recorded(broken())) as driver:
        await driver.until(lambda: driver.screen.current == "PRIV-001")
        assert driver.progress == "4 of 4 left"
        await driver.press("s")
        await driver.until(lambda: driver.screen.current == "FS-001")
        assert driver.progress == "3 of 4 left"
        assert "» left      PRIV-001" in driver.steps
        await driver.press("backspace")
        await driver.until(lambda: driver.screen.current == "PRIV-001")
        assert "You went on without it" in driver.page
        assert "KERN-001" not in driver.steps
        await driver.press("v")
        assert "KERN-001" in driver.steps
        assert driver.screen.current == "PRIV-001", "the cursor stays with its step"


async def test_a_failure_is_explained_and_what_was_unwound_is_said() -> None:
    engine = Recorded(broken())
    engine.fails = "BCC-001.install: apt-get exited with status 100; what it had done was taken back"
    async with setup(engine) as driver:
        await driver.go_to("BCC-001")
        await driver.press("a")
        await driver.until(lambda: "status 100" in driver.page)
        assert driver.screen.current == "BCC-001"
        assert f"Done $ the command a line of its output ✗ {engine.fails.partition(';')[0]}" in driver.flat
        assert "what it had done was taken back" in driver.flat
        assert "a line of its output" in driver.page
        assert "✗ fail" in driver.steps


async def test_a_long_step_shows_its_output_as_it_comes_and_can_be_cancelled() -> None:
    engine = Recorded(broken(), slowly=True)
    async with setup(engine) as driver:
        await driver.looked()
        await driver.go_to("BCC-001")
        await driver.press("a")
        await driver.until(lambda: "a line of its output" in driver.page)
        for number in range(60):
            engine.tell(jobs.Said(f"Get:{number} http://deb.example package {number}"))
        await driver.until(lambda: "package 59" in driver.page)
        assert "working" in driver.steps
        assert "package 59" in "\n".join(lines(driver.screen.query_one(Page))), "the newest line is in sight"
        assert "apply" not in driver.keys
        assert "c cancels this" in driver.flat
        assert "a applies this" not in driver.flat
        await driver.press("c")
        assert engine.asked[-1] == "cancel"
        engine.fails = "BCC-001.install was cancelled, and what it had done was taken back"
        engine.end("BCC-001.install", cancelled=True)
        await driver.until(lambda: "✗ cancelled: BCC-001.install was cancelled" in driver.flat)
        assert "cancel" not in driver.keys


async def test_undo() -> None:
    found = fine() | {"FS-001": finding("FS-001", State.FAIL, recorded.MOUNT), PROOF: broken()[PROOF]}
    async with setup(Recorded(found)) as driver:
        await driver.go_to("FS-001")
        assert "undo" not in driver.keys
        await driver.press("a")
        await driver.until(lambda: driver.screen.current == PROOF)
        await driver.go_to("FS-001")
        assert "FS-001.mount put it right. u takes that back." in driver.flat
        await driver.press("u")
        await driver.until(lambda: driver.screen.setup.state("FS-001") == State.FAIL)
        assert driver.screen.current == "FS-001"
        assert "✓ FS-001.mount taken back" in driver.flat


async def test_what_was_applied_before_this_session_is_taken_back_by_root_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The helper undoes what it has applied; for the rest root is asked on the terminal."""
    engine, asked = Recorded(fine()), []
    engine.applied = ("FS-001.mount",)

    def ask(kind: jobs.Kind, fix: str) -> jobs.Ended:
        asked.append((kind, fix))
        engine.applied = ()
        return jobs.Ended(kind, fix, good=True, changed=True)

    monkeypatch.setattr(HomeApp, "suspend", lambda app: nullcontext(asked.append("suspended")))  # no real terminal here
    async with setup(engine, ask=ask) as driver:
        await driver.go_to("FS-001")
        assert "FS-001.mount was applied. u takes that back, as root, through sudo." in driver.flat
        await driver.press("u")
        await driver.until(lambda: "✓ FS-001.mount taken back" in driver.flat)
        assert asked == ["suspended", ("undo", "FS-001.mount")]
        assert not any(each.startswith("undo") for each in engine.asked)
        assert "undo" not in driver.keys


async def test_where_there_is_no_sudo_it_is_said_who_takes_back_what_was_applied_before() -> None:
    engine = Recorded(fine())
    engine.applied = ("FS-001.mount",)
    async with setup(engine) as driver:
        await driver.go_to("FS-001")
        await driver.press("u")
        assert "Only root takes that back: denet-tui setup --undo --only FS-001.mount" in driver.note
        assert not any(each.startswith("undo") for each in engine.asked)
        assert driver.screen.setup.working == ""
