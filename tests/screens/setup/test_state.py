"""The state of the setup over a real helper: what comes in, what is skipped, and what is asked for again."""

from __future__ import annotations

import os
from pathlib import Path

from denet_tui.checks.model import State
from denet_tui.checks.verdict import PROOF
from denet_tui.helper import jobs
from denet_tui.helper.client import Client
from denet_tui.helper.jobs import Jobs
from denet_tui.screens.setup import pages
from denet_tui.screens.setup.pages import Shown
from denet_tui.screens.setup.state import SetupState
from tests.helper.helped import check, forked, hanging, helped, root, simple
from tests.repair.machine import Machine
from tests.screens.setup.recorded import Recorded, broken, fine

PATIENCE_S = 20.0


def test_what_hangs_is_slow_and_can_be_skipped() -> None:
    with helped([hanging("FS-001"), simple("BCC-001")]) as (engine, _, _):
        setup = SetupState(engine, ("FS-001", "BCC-001"))
        setup.begin()
        assert setup.wait(lambda: setup.state("FS-001") == "slow", PATIENCE_S)
        assert not setup.wait(lambda: setup.looked, 0.1)
        setup.skip("FS-001")
        assert setup.wait(lambda: setup.looked, PATIENCE_S)
        assert (setup.findings["FS-001"].state, setup.findings["FS-001"].title) == (
            State.UNKNOWN,
            "tracefs mounted: skipped",
        )
        assert setup.findings["BCC-001"].state is State.PASS


def test_a_helper_that_dies_leaves_nothing_waiting() -> None:
    channel, pid = forked([hanging("FS-001")])
    setup = SetupState(Jobs(Client(channel, pid)), ("FS-001",))
    setup.begin()
    assert setup.wait(lambda: bool(setup.started), PATIENCE_S)
    setup.prove()
    os.kill(pid, 9)
    assert setup.wait(lambda: not setup.looking, PATIENCE_S)
    assert setup.findings["FS-001"].title == "tracefs mounted: the helper has ended before it was done"
    assert not setup.proof.running


@root
def test_after_a_fix_and_after_its_undoing_its_check_and_the_proof_run_again(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "m")
    with helped([check(machine), simple(PROOF, area="proof")], machine.settings) as (engine, _, _):
        setup = SetupState(engine, ("TEST-001", PROOF))
        setup.look(["TEST-001"])
        assert setup.wait(lambda: not setup.looking, PATIENCE_S)
        (fix,) = setup.findings["TEST-001"].fixes
        engine.apply(fix)
        assert setup.wait(lambda: bool(setup.done), PATIENCE_S)
        assert setup.looking >= {PROOF}
        assert setup.in_force.applied == setup.in_force.mine == (fix.id,)


def test_the_end_of_a_job_has_its_check_those_after_it_and_the_proof_run_again() -> None:
    engine = Recorded(fine(), slowly=True)
    setup = SetupState(engine)
    engine.tell(jobs.Ended("apply", "FS-001.mount", good=True, changed=True))
    assert len(list(setup.catch_up())) == 1 + len(setup.looking), "and they are begun"
    assert {"FS-001", "FS-002", PROOF} <= setup.looking
    assert setup.applied == {"FS-001": "FS-001.mount"}


def test_what_was_so_already_is_no_repair_and_the_proof_says_what_it_waits_for() -> None:
    """A fix that changed nothing gets no tick, and nothing is said not to be in the way above what is."""
    found = fine() | {"BCC-001": broken()["BCC-001"], PROOF: broken()[PROOF]}
    setup = SetupState(Recorded(found), findings=found, looked=True)
    setup.working = "BCC-001"
    setup.engine.tell(jobs.Ended("apply", "BCC-001.install", good=True, changed=False))
    list(setup.catch_up())
    assert setup.applied == {}
    assert setup.logs["BCC-001"] == ["- BCC-001.install: it was so already, nothing was changed"]
    setup.looking.clear()
    text = " ".join(each.text for each in pages.page(setup, PROOF, Shown("root")))
    assert "counted here once BCC-001 is right" in text
    setup.findings |= fine()
    setup.proof.end = jobs.Proved()
    assert (setup.state(PROOF), setup.progress()) == ("fail", "not proven: the proof says why")
