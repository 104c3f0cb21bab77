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
from denet_tui.screens.setup.state import Walk
from tests.helper.helped import check, forked, hanging, helped, root, simple
from tests.repair.machine import Machine
from tests.screens.setup.recorded import Recorded, broken, fine

PATIENCE_S = 20.0


def test_what_hangs_is_slow_and_can_be_skipped() -> None:
    with helped([hanging("FS-001"), simple("BCC-001")]) as (engine, _, _):
        walk = Walk(engine, ("FS-001", "BCC-001"))
        walk.begin()
        assert walk.wait(lambda: walk.state("FS-001") == "slow", PATIENCE_S)
        assert not walk.wait(lambda: walk.looked, 0.1)
        walk.skip("FS-001")
        assert walk.wait(lambda: walk.looked, PATIENCE_S)
        assert (walk.findings["FS-001"].state, walk.findings["FS-001"].title) == (
            State.UNKNOWN,
            "tracefs mounted: skipped",
        )
        assert walk.findings["BCC-001"].state is State.PASS


def test_a_helper_that_dies_leaves_nothing_waiting() -> None:
    channel, pid = forked([hanging("FS-001")])
    walk = Walk(Jobs(Client(channel, pid)), ("FS-001",))
    walk.begin()
    assert walk.wait(lambda: bool(walk.started), PATIENCE_S)
    walk.prove()
    os.kill(pid, 9)
    assert walk.wait(lambda: not walk.looking, PATIENCE_S)
    assert walk.findings["FS-001"].title == "tracefs mounted: the helper has ended before it was done"
    assert not walk.proof.running


@root
def test_after_a_fix_and_after_its_undoing_its_check_and_the_proof_run_again(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "m")
    with helped([check(machine), simple(PROOF, area="proof")], machine.settings) as (engine, _, _):
        walk = Walk(engine, ("TEST-001", PROOF))
        walk.look(["TEST-001"])
        assert walk.wait(lambda: not walk.looking, PATIENCE_S)
        (fix,) = walk.findings["TEST-001"].fixes
        engine.apply(fix)
        assert walk.wait(lambda: bool(walk.done), PATIENCE_S)
        assert walk.looking >= {PROOF}
        assert walk.in_force.applied == walk.in_force.mine == (fix.id,)


def test_the_end_of_a_job_has_its_check_those_after_it_and_the_proof_run_again() -> None:
    engine = Recorded(fine(), slowly=True)
    walk = Walk(engine)
    engine.tell(jobs.Ended("apply", "FS-001.mount", good=True, changed=True))
    assert len(list(walk.catch_up())) == 1 + len(walk.looking), "and they are begun"
    assert {"FS-001", "FS-002", PROOF} <= walk.looking
    assert walk.applied == {"FS-001": "FS-001.mount"}


def test_what_was_so_already_is_no_repair_and_the_proof_says_what_it_waits_for() -> None:
    """A fix that changed nothing gets no tick, and nothing is said not to be in the way above what is."""
    found = fine() | {"BCC-001": broken()["BCC-001"], PROOF: broken()[PROOF]}
    walk = Walk(Recorded(found), findings=found, looked=True)
    walk.working = "BCC-001"
    walk.engine.tell(jobs.Ended("apply", "BCC-001.install", good=True, changed=False))
    list(walk.catch_up())
    assert walk.applied == {}
    assert walk.logs["BCC-001"] == ["- BCC-001.install: it was so already, nothing was changed"]
    walk.looking.clear()
    text = " ".join(each.text for each in pages.page(walk, PROOF, Shown("root")))
    assert "counted here once BCC-001 is right" in text
    walk.findings |= fine()
    walk.proof.end = jobs.Proved()
    assert (walk.state(PROOF), walk.progress()) == ("fail", "not proven: the proof says why")
