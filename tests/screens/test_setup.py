"""The setup wizard over recorded machines: every state of every step, every key, and every odd case."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

import pytest
from textual.pilot import Pilot

from denet_tui.bpf.failure import Explanation
from denet_tui.checks import catalogue, jobs
from denet_tui.checks.model import Finding, State
from denet_tui.checks.verdict import PROOF
from denet_tui.home import HomeApp
from denet_tui.screens import pages
from denet_tui.screens.failed import cause_of
from denet_tui.screens.leave import LeaveScreen
from denet_tui.screens.pages import Shown
from denet_tui.screens.setup import SetupScreen
from denet_tui.screens.start import Restart, StartScreen
from denet_tui.screens.walk import Walk
from denet_tui.widgets.page import Page, laid_out
from denet_tui.widgets.steps import StepList
from tests.checks.fake import FakeHost
from tests.screens import recorded
from tests.screens.driving import lines
from tests.screens.recorded import Recorded, broken, finding, fine


@pytest.fixture(autouse=True)
def _somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@asynccontextmanager
async def setup(engine: Recorded, size: tuple[int, int] = (120, 40), **options: object) -> AsyncIterator[Driver]:
    app = HomeApp(engine, **options)  # type: ignore[arg-type]
    async with app.run_test(size=size) as pilot:
        driver = Driver(pilot, engine)
        await driver.until(lambda: isinstance(app.screen, SetupScreen))
        await pilot.pause()
        yield driver


class Driver:
    """Presses keys, and says what is on the screen."""

    def __init__(self, pilot: Pilot[object], engine: Recorded) -> None:
        self.pilot, self.engine = pilot, engine
        self.app = pilot.app

    @property
    def screen(self) -> SetupScreen:
        found = next(each for each in self.app.screen_stack if isinstance(each, SetupScreen))
        assert isinstance(found, SetupScreen)
        return found

    async def until(self, reached: Callable[[], bool]) -> None:
        for _ in range(500):
            await self.pilot.pause()
            if reached():
                return
        raise AssertionError(f"it never came to that; now at {self.screen.current}:\n{self.page}")

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def go_to(self, identity: str) -> None:
        self.screen._go(identity)
        await self.until(lambda: self.screen.current == identity)
        await self.pilot.pause()

    @property
    def page(self) -> str:
        """The whole page of the step, in one line for each paragraph."""
        return "\n".join(self.screen.query_one(Page).texts)

    @property
    def flat(self) -> str:
        return " ".join(self.page.split())

    @property
    def steps(self) -> str:
        return "\n".join(lines(self.screen.query_one(StepList)))

    @property
    def keys(self) -> set[str]:
        return {each.binding.action for each in self.screen.active_bindings.values()}

    @property
    def note(self) -> str:
        return str(self.screen.query_one("#note").render())  # type: ignore[no-untyped-call]

    @property
    def progress(self) -> str:
        return str(self.screen.query_one("#progress").render())  # type: ignore[no-untyped-call]


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


SIGNS = {"pass": "✓", "warn": "!", "fail": "✗", "unknown": "?", "skip": "-", "crash": "#"}


def in_state(state: State) -> dict[str, Finding]:
    """A machine on which every check comes out like that, each with a fix."""
    return {each: finding(each, state, dataclasses.replace(recorded.MOUNT, id=f"{each}.mount")) for each in fine()}


@pytest.mark.parametrize("identity", [each for each in catalogue.by_id if each != PROOF])
@pytest.mark.parametrize("state", list(State))
def test_the_page_of_every_state_of_every_step(state: State, identity: str) -> None:
    """Whatever a check finds, its page says it with a sign and a word, what was seen, and what can be done."""
    walk = Walk(findings=in_state(state), looked=True)
    shown = Shown(FakeHost(), "root")
    head, *rest = (f"{line.label} {line.text}" for line in laid_out(pages.page(walk, identity, shown), 400))
    text = " ".join(" ".join(rest).split())
    word = "○ optional" if walk.state(identity) == "optional" else f"{SIGNS[state]} {state}"
    assert f"{word} {identity}: " in head
    assert "Seen /proc/self/mountinfo: no line of type tracefs" in text
    assert "Why The kernel refuses what it does not know." in text
    assert ("Does $ /usr/bin/mount -t tracefs" in text) == (state in (State.FAIL, State.WARN))
    assert ("As root" in text) == (state in (State.FAIL, State.WARN))
    row = next(row for row in walk.rows(everything=True) if row.id == identity)
    assert f"{row.sign} {row.word}" == word


@pytest.mark.parametrize("state", list(State))
async def test_every_state_is_in_the_list_and_has_its_keys(state: State) -> None:
    async with setup(Recorded(in_state(state))) as driver:
        for identity in ("PRIV-001", "KERN-002", "BCC-003"):
            await driver.go_to(identity)
            row = next(line for line in driver.steps.splitlines() if identity in line)
            assert any(sign in row for sign in (SIGNS[state], "○")), row
            assert identity in driver.page.splitlines()[0]
            assert ("apply" in driver.keys) == (state in (State.FAIL, State.WARN)), identity


async def test_it_walks_from_the_first_decision_to_the_proof_and_on() -> None:
    """Each fix is applied as shown, its check and the proof run again, and the focus moves on."""
    found = broken() | {"PRIV-001": fine()["PRIV-001"], "FS-002": fine()["FS-002"]}
    async with setup(Recorded(found)) as driver:
        await driver.until(lambda: driver.screen.current == "FS-001")
        assert driver.progress == "3 of 3 left"
        assert "Does $ /usr/bin/mount -t tracefs -o nosuid,nodev,noexec tracefs" in driver.flat
        assert "Undo umount, where nobody else uses it" in driver.flat
        assert driver.engine.asked == ["look all"], "nothing is changed before it was asked for"
        await driver.press("a")
        await driver.until(lambda: driver.screen.current == "BCC-001")
        assert driver.progress == "2 of 3 left"
        assert "✓ FS-001.mount applied" in driver.note
        assert "✓ repaired  FS-001" in driver.steps
        await driver.press("a")
        await driver.until(lambda: driver.screen.current == PROOF)
        await driver.until(lambda: driver.screen.walk.proof.end is not None)
        assert driver.progress == "ready: nothing left to do"
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
        await driver.until(lambda: driver.screen.walk.proof.end is not None)
        assert driver.screen.current == PROOF
        assert driver.progress == "ready: nothing left to do"
        assert {"apply", "skip", "undo", "cancel"} & driver.keys == set()


async def test_everything_unknown() -> None:
    found = {each: Finding(each, State.UNKNOWN, "cannot be read: Permission denied") for each in fine()}
    async with setup(Recorded(found)) as driver:
        await driver.until(lambda: driver.screen.current == PROOF)
        assert driver.progress == "1 of 1 left"
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


async def test_what_weakens_the_machine_is_marked_never_preselected_and_asked_twice() -> None:
    found = fine() | {"FS-002": finding("FS-002", State.FAIL, recorded.GROUP), PROOF: broken()[PROOF]}
    async with setup(Recorded(found)) as driver:
        await driver.go_to("FS-002")
        assert "( ) 1 let group denet-trace read tracefs" in driver.flat
        assert "! weakens this machine: members of the group can read" in driver.flat
        assert "apply" not in driver.keys
        await driver.press("1")
        assert "(•) 1" in driver.page
        await driver.press("a")
        assert "a once more applies it" in driver.note
        assert "apply FS-002.group" not in driver.engine.asked
        await driver.press("a")
        await driver.until(lambda: "apply FS-002.group" in driver.engine.asked)


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
        assert driver.progress == "5 of 5 left"
        await driver.press("s")
        await driver.until(lambda: driver.screen.current == "FS-001")
        assert driver.progress == "4 of 5 left"
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
    engine.fails = "BCC-001.install: apt-get ended with status 100; what it had done was taken back"
    async with setup(engine) as driver:
        await driver.go_to("BCC-001")
        await driver.press("a")
        await driver.until(lambda: "status 100" in driver.page)
        assert driver.screen.current == "BCC-001"
        assert "Done $ the command a line of its output ✗ BCC-001.install: apt-get ended with status 100" in driver.flat
        assert "what it had done was taken back" in driver.flat
        assert "a line of its output" in driver.page
        assert "✗ fail" in driver.steps


async def test_a_long_step_shows_its_output_as_it_comes_and_can_be_cancelled() -> None:
    engine = Recorded(broken(), slowly=True)
    async with setup(engine) as driver:
        engine.end_looking([*catalogue.by_id])
        await driver.until(lambda: driver.screen.walk.looked)
        await driver.go_to("BCC-001")
        await driver.press("a")
        await driver.until(lambda: "a line of its output" in driver.page)
        for number in range(60):
            engine.tell(jobs.Said(f"Get:{number} http://deb.example package {number}"))
        await driver.until(lambda: "package 59" in driver.page)
        assert "working" in driver.steps
        assert "package 59" in "\n".join(lines(driver.screen.query_one(Page))), "the newest line is in sight"
        assert "apply" not in driver.keys
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
        await driver.until(lambda: driver.screen.walk.state("FS-001") == State.FAIL)
        assert driver.screen.current == "FS-001"
        assert "✓ FS-001.mount taken back" in driver.flat


async def test_a_check_that_hangs_is_slow_can_be_skipped_and_blocks_no_key() -> None:
    engine = Recorded(fine(), slowly=True)
    async with setup(engine) as driver:
        engine.tell(jobs.Slow("FS-001"))
        engine.found["FS-001"] = Finding("FS-001", State.UNKNOWN, "skipped")
        for each in catalogue.by_id:
            if each != "FS-001":
                engine.tell(jobs.Found(engine.found[each]))
        await driver.until(lambda: "~ slow" in driver.steps and "looking: 31 of 32" in driver.progress)
        await driver.go_to("FS-001")
        await driver.press("s")
        assert engine.asked[-1] == "skip FS-001"
        engine.tell(jobs.Looked())
        await driver.until(lambda: driver.screen.walk.looked)


async def test_whoever_looks_around_is_not_called_away_when_the_looking_ends() -> None:
    engine = Recorded(broken(), slowly=True)
    async with setup(engine) as driver:
        engine.end_looking([*catalogue.by_id])
        await driver.until(lambda: driver.screen.current == "PRIV-001")
        await driver.press("R", "j", "j")
        at = driver.screen.current
        engine.end_looking([*catalogue.by_id])
        await driver.until(lambda: not driver.screen.walk.looking)
        assert driver.screen.current == at == "FS-001"


async def test_details_are_what_debug_says() -> None:
    async with setup(Recorded(broken())) as driver:
        await driver.go_to("FS-001")
        assert "host.read" not in driver.page
        await driver.press("d")
        assert "host.read('/proc/self/status') = FS-001" in driver.flat
        assert "looking took 0.000 s" in driver.flat
        await driver.press("d")
        assert "host.read" not in driver.page


async def test_recheck_looks_again_at_what_depends_on_it_too() -> None:
    async with setup(Recorded(broken())) as driver:
        await driver.go_to("FS-001")
        driver.engine.found["FS-001"] = fine()["FS-001"]
        await driver.press("r")
        await driver.until(lambda: driver.screen.walk.state("FS-001") == State.PASS)
        assert driver.engine.asked[-1].startswith("look FS-001 FS-002")
        assert driver.screen.current == "FS-001"
        await driver.press("R")
        await driver.until(lambda: driver.engine.asked[-1] == "look all")


async def test_copy_is_exactly_what_is_run() -> None:
    async with setup(Recorded(broken())) as driver:
        await driver.go_to("FS-001")
        await driver.press("y")
        assert driver.app.clipboard == ("/usr/bin/mount -t tracefs -o nosuid,nodev,noexec tracefs /sys/kernel/tracing")
        await driver.press("2", "y")
        assert driver.app.clipboard.splitlines() == [
            "install -D -m 0644 /dev/stdin /etc/systemd/system/denet-tui-tracefs.service <<'EOF'",
            "[Unit]",
            "Description=tracefs for denet-tui",
            "EOF",
            "/usr/bin/systemctl daemon-reload",
        ]


async def test_the_report_is_written_once_and_once_more_beside_it(tmp_path: Path) -> None:
    async with setup(Recorded(broken())) as driver:
        for number in (1, 2):
            await driver.press("w")
            await driver.until(lambda number=number: names(tmp_path)[number - 1 :])
            await driver.until(lambda: "written" in driver.note)
    text = (tmp_path / "denet-tui-report.md").read_text()
    assert "BCC-001" in text
    assert names(tmp_path) == ["denet-tui-report-1.md", "denet-tui-report.md"]


async def test_without_root_a_fix_goes_through_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, asked = Recorded(broken(), root=False), []

    def ask(kind: jobs.Kind, fix: str) -> jobs.Ended:
        asked.append((kind, fix))
        engine.found["FS-001"] = fine()["FS-001"]
        return jobs.Ended(kind, fix, good=True, changed=True)

    monkeypatch.setattr(HomeApp, "suspend", lambda app: nullcontext(asked.append("suspended")))  # no real terminal here
    async with setup(engine, ask=ask) as driver:
        await driver.go_to("FS-001")
        assert "As root, through sudo" in driver.flat
        await driver.press("a")
        await driver.until(lambda: driver.screen.walk.state("FS-001") == "repaired")
        assert asked == ["suspended", ("apply", "FS-001.mount")]
        assert not any(each.startswith("apply") for each in engine.asked), "the helper is not root"


async def test_without_sudo_there_is_a_text_for_an_administrator(tmp_path: Path) -> None:
    async with setup(Recorded(broken(), root=False)) as driver:
        await driver.go_to("FS-001")
        await driver.press("y")
        assert "denet-tui setup --only FS-001.mount --yes" in driver.app.clipboard
        await driver.press("a")
        await driver.until(lambda: "give" in driver.note)
        text = (tmp_path / "denet-tui-for-root.txt").read_text()
        assert "setup --only FS-001.mount --yes" in text
        assert "setup --only BCC-001.install --yes" in text, "all that is needed"
        assert "FS-002.group" not in text, "nothing that weakens the machine"


async def test_the_ways_to_the_capabilities_are_offered_with_what_each_means(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("denet_tui.checks.asking.sudo", lambda: "/usr/bin/sudo")
    engine = Recorded(broken(), root=False)
    engine.may_load = False
    async with setup(engine) as driver:
        await driver.until(lambda: driver.screen.current == "PRIV-001")
        assert "(•) 1 sudo, for each run (recommended: needs least)" in driver.flat
        assert "Nothing stays" in driver.flat
        assert "( ) 3 a launcher for the group denet-trace" in driver.flat
        assert "not here: no such launcher is installed here" in driver.flat
        await driver.press("2")
        assert "--ambient-caps=-all,+bpf,+perfmon" in driver.flat
        await driver.press("1", "a")
    assert isinstance(driver.app.return_value, Restart)
    assert driver.app.return_value.argv[0] == "/usr/bin/sudo"


async def test_a_proof_that_fails_says_why() -> None:
    engine = Recorded(fine())
    engine.proves = jobs.Proved(failure=Explanation("no CAP_BPF here", "start it with sudo", "PRIV-001"))
    async with setup(engine) as driver:
        await driver.until(lambda: driver.screen.walk.proof.end is not None)
        assert "✗ not proven" in driver.page
        assert "Cause no CAP_BPF here" in driver.flat
        assert "Fix start it with sudo" in driver.flat


async def test_quitting_before_anything_was_done_asks_nothing() -> None:
    async with setup(Recorded(broken())) as driver:
        await driver.press("q")
    assert driver.app.return_value is None
    assert driver.app._exit


@pytest.mark.parametrize(("key", "undone"), [("l", False), ("u", True)])
async def test_quitting_in_the_middle_says_what_was_done_and_offers_to_undo_it(key: str, undone: bool) -> None:
    found = broken() | {"PRIV-001": fine()["PRIV-001"], "FS-002": fine()["FS-002"]}
    async with setup(Recorded(found)) as driver:
        await driver.press("a")
        await driver.until(lambda: driver.screen.current == "BCC-001")
        await driver.press("q")
        assert isinstance(driver.app.screen, LeaveScreen)
        said = " ".join(str(each.render()) for each in driver.app.screen.query("Static"))  # type: ignore[no-untyped-call]
        assert "✓ FS-001.mount" in said
        assert "· BCC-001" in said
        await driver.press("escape")
        assert isinstance(driver.app.screen, SetupScreen)
        await driver.press("q", key)
        await driver.until(lambda: driver.app._exit)
    assert ("undo FS-001.mount" in driver.engine.asked) == undone


async def test_quitting_while_something_is_at_work_cancels_it_first() -> None:
    engine = Recorded(broken(), slowly=True)
    async with setup(engine) as driver:
        engine.end_looking([*catalogue.by_id])
        await driver.until(lambda: driver.screen.walk.looked)
        await driver.go_to("BCC-001")
        await driver.press("a", "q", "l")
        await driver.until(lambda: engine.asked[-1] == "cancel")
        assert not driver.app._exit, "what was done is being taken back"
        engine.fails = "cancelled"
        engine.end("BCC-001.install", cancelled=True)
        await driver.until(lambda: driver.app._exit)


async def test_a_helper_that_goes_is_said() -> None:
    async with setup(Recorded(broken())) as driver:
        driver.engine.tell(jobs.Gone())
        await driver.until(lambda: "the helper has ended" in driver.note)


async def test_resize_in_the_middle() -> None:
    engine = Recorded(broken(), slowly=True)
    async with setup(engine, size=(200, 60)) as driver:
        engine.end_looking([*catalogue.by_id])
        await driver.until(lambda: driver.screen.walk.looked)
        await driver.go_to("BCC-001")
        await driver.press("a")
        for size in ((80, 24), (50, 15), (30, 5), (120, 40)):
            await driver.pilot.resize_terminal(*size)
            engine.tell(jobs.Said(f"at {size}"))
            await driver.pilot.pause()
        await driver.until(lambda: "at (120, 40)" in driver.page)
        assert driver.screen.current == "BCC-001"


async def test_one_side_at_a_time_where_there_is_no_room_for_both() -> None:
    async with setup(Recorded(broken()), size=(50, 20)) as driver:
        page = driver.screen.query_one(Page)
        assert not page.display
        await driver.press("tab")
        assert page.has_focus
        assert not driver.screen.query_one(StepList).display
        await driver.press("tab")
        assert driver.screen.query_one(StepList).has_focus


async def test_what_programs_print_cannot_reach_the_terminal() -> None:
    engine = Recorded(broken())
    engine.says = ("\x1b[2Jgone\x07", "[bold]not markup[/]")
    engine.fails = "failed"
    async with setup(engine) as driver:
        await driver.go_to("BCC-001")
        await driver.press("a")
        await driver.until(lambda: "gone" in driver.page)
        assert "\x1b" not in driver.page
        assert "[bold]not markup[/]" in driver.page


@pytest.mark.parametrize(
    ("output", "says"),
    [
        ("E: Could not resolve 'deb.debian.org'", "no network"),
        ("E: Unable to locate package python3-bpfcc", "does not have it"),
        ("E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 12", "Another package manager"),
        ("dpkg: error: No space left on device", "disk is full"),
        ("mount: permission denied", ""),
    ],
)
def test_what_a_failure_means(output: str, says: str) -> None:
    assert says in cause_of(output)
    assert bool(says) == bool(cause_of(output))


def test_a_ready_machine_is_ready_by_one_way() -> None:
    """Raw tracepoints that count are enough; what the other way lacks is optional."""
    walk = Walk(
        findings=fine() | {"FS-001": dataclasses.replace(finding("FS-001", State.FAIL), required_for=("tracefs",))}
    )
    walk.findings[PROOF] = Finding(PROOF, State.FAIL, "raw count exactly; tracefs stops", required_for=("tracefs",))
    assert walk.ready
    assert walk.state("FS-001") == "optional"
    assert walk.state(PROOF) == State.PASS
    assert walk.open() == []
