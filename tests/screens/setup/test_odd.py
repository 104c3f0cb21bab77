"""The setup wizard over recorded machines: what hangs, fails or is missing, and leaving in the middle."""

from __future__ import annotations

import dataclasses
import threading
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from denet_tui.bpf.failure import Explanation
from denet_tui.checks import catalogue
from denet_tui.checks.host import Host
from denet_tui.checks.model import Finding, State
from denet_tui.checks.verdict import PROOF
from denet_tui.helper import jobs
from denet_tui.screens.setup.app import HomeApp
from denet_tui.screens.setup.failures import cause_of
from denet_tui.screens.setup.leave import LeaveScreen
from denet_tui.screens.setup.screen import SetupScreen
from denet_tui.screens.setup.start import Restart
from denet_tui.screens.setup.state import SetupState
from denet_tui.widgets.page import Page
from denet_tui.widgets.steps import StepList
from tests.screens.setup import recorded
from tests.screens.setup.recorded import Recorded, broken, finding, fine
from tests.screens.setup.wizard import setup


@pytest.fixture(autouse=True)
def _somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


async def test_a_check_that_hangs_is_slow_can_be_skipped_and_blocks_no_key() -> None:
    engine = Recorded(fine(), slowly=True)
    async with setup(engine) as driver:
        engine.tell(jobs.Slow("FS-001"))
        engine.end_looking([each for each in catalogue.by_id if each != "FS-001"])
        await driver.until(lambda: "~ slow" in driver.steps and "looking: 32 of 33" in driver.progress)
        await driver.go_to("FS-001")
        await driver.press("s")
        await driver.until(lambda: driver.screen.setup.looked)
        assert driver.screen.setup.findings["FS-001"].title == "tracefs mounted: skipped"
        engine.end_looking(["FS-001"])
        await driver.pilot.pause()
        assert driver.screen.setup.state("FS-001") == State.UNKNOWN, "what it says later is not heard"


class Dead(Host):
    """The real machine, on which from some moment on nothing that is read answers before `end`."""

    def __init__(self) -> None:
        self.dead, self.end = threading.Event(), threading.Event()

    def __getattribute__(self, name: str) -> Any:
        found = object.__getattribute__(self, name)
        if name in Host.__dict__ and self.dead.is_set():
            self.end.wait(60)
        return found


async def test_a_machine_that_answers_nothing_after_the_look_holds_up_no_key() -> None:
    """Drawing shows fixes and ways as they were when the checks were run."""
    engine, host = Recorded(broken() | {"PRIV-005": recorded.not_set_up()}, root=False), Dead()
    engine.may_load = False
    async with setup(engine, host=host) as driver:
        await driver.go_to("PRIV-001")
        host.dead.set()
        threading.Timer(20, host.end.set).start()
        since = time.monotonic()
        for step in ("FS-001", "PRIV-005", "PRIV-001"):
            await driver.go_to(step)
            await driver.press("2", "d")
            driver.screen.draw()
        assert "--ambient-caps=-all,+bpf,+perfmon" in driver.flat
        assert time.monotonic() - since < 15, "a key waited for the machine"
        host.end.set()


async def test_whoever_looks_around_is_not_called_away_when_the_looking_ends() -> None:
    engine = Recorded(broken(), slowly=True)
    async with setup(engine) as driver:
        engine.end_looking([*catalogue.by_id])
        await driver.until(lambda: driver.screen.current == "PRIV-001")
        await driver.press("R", "j", "j")
        at = driver.screen.current
        engine.end_looking([*catalogue.by_id])
        await driver.until(lambda: not driver.screen.setup.looking)
        assert driver.screen.current == at == "FS-001"


async def test_details_are_what_debug_says() -> None:
    async with setup(Recorded(broken())) as driver:
        await driver.go_to("FS-001")
        assert "host.read" not in driver.page
        await driver.press("d")
        assert "host.read('/proc/self/status') = FS-001" in driver.flat
        assert "the check took 0.000 s" in driver.flat
        await driver.press("d")
        assert "host.read" not in driver.page


async def test_recheck_looks_again_at_what_depends_on_it_too() -> None:
    async with setup(Recorded(broken())) as driver:
        await driver.go_to("FS-001")
        driver.engine.found["FS-001"] = fine()["FS-001"]
        await driver.press("r")
        await driver.until(lambda: driver.screen.setup.state("FS-001") == State.PASS)
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
        await driver.until(lambda: driver.screen.setup.state("FS-001") == "repaired")
        assert asked == ["suspended", ("apply", "FS-001.mount")]
        assert not any(each.startswith("apply") for each in engine.asked), "the helper is not root"


async def test_without_sudo_there_is_a_text_for_an_administrator(tmp_path: Path) -> None:
    async with setup(Recorded(broken(), root=False)) as driver:
        await driver.go_to("FS-001")
        await driver.press("y")
        assert "denet-tui setup --only FS-001.mount --yes" in driver.app.clipboard
        assert driver.words["a"] == "Save"
        await driver.press("a")
        await driver.until(lambda: "give" in driver.note)
        text = (tmp_path / "denet-tui-for-root.sh").read_text()
        assert "setup --only FS-001.mount --yes" in text
        assert "setup --only BCC-001.install --yes" in text, "all that is needed"
        assert "PRIV-005.socket" not in text, "nothing that weakens the machine"


def as_a_user(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    """Without privilege, on a machine with sudo and systemd."""
    monkeypatch.setattr("denet_tui.helper.sudo.way_up", lambda *_: "/usr/bin/sudo")
    engine = Recorded(broken() | {"PRIV-005": recorded.not_set_up()}, root=False)
    engine.may_load = False
    return engine


async def test_the_ways_to_the_capabilities_are_offered_with_what_each_means(monkeypatch: pytest.MonkeyPatch) -> None:
    async with setup(as_a_user(monkeypatch)) as driver:
        await driver.go_to("PRIV-001")
        assert "(•) 1 sudo, for each run (recommended: needs least)" in driver.flat
        assert "Nothing stays" in driver.flat
        assert "( ) 3 to keep: denet-tui-loader.socket, for members of the group denet-trace" in driver.flat
        assert "not yet: not set up: members of denet-trace could watch" in driver.flat
        await driver.press("2")
        assert "--ambient-caps=-all,+bpf,+perfmon" in driver.flat
        await driver.press("1", "a")
    assert isinstance(driver.app.return_value, Restart)
    assert driver.app.return_value.argv[0] == "/usr/bin/sudo"


async def test_the_way_to_keep_is_set_up_from_where_it_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chosen, read, and asked for twice, as it opens something; then the next thing that is missing is offered."""
    engine, asked = as_a_user(monkeypatch), []

    def ask(kind: jobs.Kind, fix: str) -> jobs.Ended:
        asked.append((kind, fix))
        join = dataclasses.replace(recorded.SOCKET, id="PRIV-006.join", title="let ann watch without sudo")
        member = Finding("PRIV-006", State.SKIP, "you are not in the group denet-trace", fixes=(join,))
        engine.found |= {"PRIV-005": fine()["PRIV-005"], "PRIV-006": member}
        return jobs.Ended(kind, fix, good=True, changed=True)

    monkeypatch.setattr(HomeApp, "suspend", lambda app: nullcontext())  # no real terminal here
    async with setup(engine, ask=ask) as driver:
        await driver.go_to("PRIV-001")
        await driver.press("3")
        assert "Fix PRIV-005.socket: let members of denet-trace watch" in driver.flat
        assert "+MemoryMax=1G" in driver.flat
        await driver.press("a")
        assert "a once more applies it" in driver.note
        assert asked == []
        await driver.press("a")
        await driver.until(lambda: asked == [("apply", "PRIV-005.socket")])
        await driver.go_to("PRIV-001")
        assert "not yet: you are not in the group denet-trace" in driver.flat
        assert "Fix PRIV-006.join: let ann watch without sudo" in driver.flat


async def test_a_proof_that_fails_says_why() -> None:
    engine = Recorded(fine())
    engine.proves = jobs.Proved(failure=Explanation("no CAP_BPF here", "start it with sudo", "PRIV-001"))
    async with setup(engine) as driver:
        await driver.until(lambda: driver.screen.setup.proof.end is not None)
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
        await driver.looked()
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
        await driver.looked()
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
        steps = driver.screen.query_one(StepList)
        assert page.has_focus
        assert not steps.display
        await driver.press("tab")
        assert steps.has_focus
        assert not page.display
        await driver.press("tab")
        assert page.has_focus


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
    setup = SetupState(
        Recorded(fine()),
        findings=fine() | {"FS-001": dataclasses.replace(finding("FS-001", State.FAIL), required_for=("tracefs",))},
    )
    proof = Finding(PROOF, State.PASS, "counted by raw tracepoints", required_for=("raw",), stops=("tracefs",))
    setup.findings[PROOF] = proof
    assert setup.ready
    assert setup.state("FS-001") == "optional"
    assert setup.state(PROOF) == State.PASS
    assert setup.open() == []
    looking = SetupState(
        Recorded(fine()), findings={"FS-001": setup.findings["FS-001"]}, looking=set(setup.order) - {"FS-001"}
    )
    assert looking.state("FS-001") == "optional", "nothing is known to be in the way while the rest is looked at"
