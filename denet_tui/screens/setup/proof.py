"""One proof as it goes on, and what the setup screen says about it: known calls, counted, in numbers and bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from denet_tui.bpf.burst import CALLS
from denet_tui.bpf.handover import METHODS
from denet_tui.helper.jobs import Counted, Proved
from denet_tui.widgets.page import Paragraph
from denet_tui.widgets.spark import sparkline

_BARS = 20


@dataclass(slots=True)
class ProofRun:
    """One proof as it goes on: every reading so far, and the end."""

    readings: list[Counted] = field(default_factory=list)
    end: Proved | None = None
    running: bool = False

    def start(self) -> None:
        """Forget the proof before."""
        self.readings, self.end, self.running = [], None, True

    @property
    def failed(self) -> bool:
        """Whether it has ended, and not every call was counted."""
        return self.end is not None and not self.end.exact

    @property
    def steps(self) -> list[int]:
        """Calls that each reading counted more than the one before."""
        counts = [0, *(each.counted for each in self.readings)]
        return [after - before for before, after in pairwise(counts)]


def proof_page(proof: ProofRun, evidence: Sequence[Paragraph], *, spinner: str, waits_for: str = "") -> list[Paragraph]:
    """The numbers, the bars, and what the layers below them said; `spinner` is the sign of what is at work.

    `waits_for` says what has to be right before it is made.
    """
    last = proof.readings[-1] if proof.readings else Counted(0, 0)
    found = [_head(proof, spinner, waits_for), Paragraph()]
    outcome = proof.end.outcome if proof.end else None
    if proof.readings or outcome:
        made, counted = (outcome.made, outcome.counted) if outcome else (last.made, last.counted)
        found += [
            Paragraph(f"{made:,} calls of read(2), made by a child of denet-tui", "Made", "strong"),
            Paragraph(f"{counted:,} in the kernel, by the program that also watches", "Counted", "strong"),
            Paragraph(
                sparkline(proof.steps, min(_BARS, max(1, len(proof.steps)))) + _scale(proof),
                "Live",
                "spark",
                whole=True,
            ),
        ]
        if outcome:
            missing = outcome.made - outcome.counted
            words = (
                "nothing missing, nothing too much" if outcome.exact else f"{missing:,} missing {outcome.loss}".strip()
            )
            found.append(Paragraph(words, "Compare", "good" if outcome.exact else "bad"))
    if proof.end and proof.end.failure:
        failure = proof.end.failure
        found += [Paragraph(failure.cause, "Cause", "bad"), Paragraph(failure.fix, "Fix")]
        if failure.check_id:
            found.append(Paragraph(f"{failure.check_id} has more about it", "", "dim", key=f"step:{failure.check_id}"))
    found.append(Paragraph())
    if proof.end and proof.end.exact:
        found += [Paragraph("enter goes on: choose what to watch.", "Next", "strong", key="go:start"), Paragraph()]
    return [*found, *evidence]


def _head(proof: ProofRun, spinner: str, waits_for: str) -> Paragraph:
    if proof.running:
        text = "counting them" if proof.readings else "loading the program"
        return Paragraph(f"{spinner} proving: {CALLS:,} known calls; {text}", "Proof", "spark")
    if proof.end is None:
        text = f"{CALLS:,} known calls are made and counted here once {waits_for}"
        return Paragraph(f"· {text}", "Proof", "dim") if waits_for else Paragraph()
    if proof.end.exact:
        return Paragraph(f"✓ exact: {CALLS:,} known calls, {CALLS:,} counted by {_method(proof)}", "Proof", "good")
    return Paragraph("✗ not proven" + ("" if proof.end.outcome is None else f" by {_method(proof)}"), "Proof", "bad")


def _method(proof: ProofRun) -> str:
    method = proof.end.method if proof.end else ""
    return {**METHODS}.get(method, method)


def _scale(proof: ProofRun) -> str:
    if not proof.steps:
        return ""
    return f"  {len(proof.readings)} readings, up to {max(proof.steps):,}"
