"""Where the setup stands: what was found, what still needs a decision, and which step comes next."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from denet_tui.checks import catalogue, verdict
from denet_tui.checks.model import Finding, Fix, State
from denet_tui.checks.verdict import PROOF, WayIn
from denet_tui.helper import jobs
from denet_tui.repair import plan
from denet_tui.repair.plan import Plan
from denet_tui.screens.setup.failures import cause_of
from denet_tui.screens.setup.proving import Proof
from denet_tui.widgets.steps import Step

SIGNS: dict[str, tuple[str, str, str]] = {
    State.PASS: ("✓", "pass", "good"),
    State.WARN: ("!", "warn", "warn"),
    State.FAIL: ("✗", "fail", "bad"),
    State.UNKNOWN: ("?", "unknown", "warn"),
    State.SKIP: ("-", "skip", "dim"),
    State.CRASH: ("#", "crash", "bad"),
    "waiting": ("·", "waiting", "dim"),
    "looking": ("⠋", "looking", "spark"),
    "slow": ("~", "slow", "warn"),
    "optional": ("○", "optional", "dim"),
    "offered": ("+", "offered", "spark"),
    "left": ("»", "left", "dim"),
    "repaired": ("✓", "repaired", "good"),
    "working": ("⠋", "working", "spark"),
}
"""By state of a check, or of its step: the sign, the word and the tone."""
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_MOST_LINES = 500
"""Lines of a fix's output that are kept."""
_QUIET = frozenset({"pass", "skip", "optional", "unknown", "waiting", "looking"})
"""What needs nothing from anybody: folded up into the line of its group."""


@dataclass(slots=True)
class Walk:
    """Findings by id as they come, and what the user and the fixes have made of them."""

    order: tuple[str, ...] = tuple(catalogue.by_id)
    findings: dict[str, Finding] = field(default_factory=dict)
    looking: set[str] = field(default_factory=set)
    """Ids that are looked at, or wait for it."""
    started: set[str] = field(default_factory=set)
    slow: set[str] = field(default_factory=set)
    looked: bool = False
    """True once all was looked at."""
    left: set[str] = field(default_factory=set)
    """Steps that the user goes on without."""
    applied: dict[str, str] = field(default_factory=dict)
    """Fixes that are in force through this run, by the id of their check."""
    picked: dict[str, str] = field(default_factory=dict)
    """The fix that the user chose where there are several, by the id of its check."""
    met: set[str] = field(default_factory=set)
    """Every step that ever needed a decision."""
    working: str = ""
    """The step whose fix is being applied or undone."""
    logs: dict[str, list[str]] = field(default_factory=dict)
    """What the last fix of a step did and printed, by the id of its check."""
    proof: Proof = field(default_factory=Proof)
    _last: tuple[list[Finding], tuple[Plan, tuple[WayIn, ...]]] | None = None

    # What is so

    @property
    def known(self) -> list[Finding]:
        """The findings, in the order of the steps."""
        return [self.findings[each] for each in self.order if each in self.findings]

    @property
    def plan(self) -> Plan:
        """What would be done for the way in that needs least."""
        return self._judged()[0]

    @property
    def ways(self) -> tuple[WayIn, ...]:
        """The verdict of each way in."""
        return self._judged()[1]

    def _judged(self) -> tuple[Plan, tuple[WayIn, ...]]:
        """Plan and verdict, made once for the same findings: they are asked for often while the screen is drawn."""
        known = self.known
        if self._last is None or not _same(known, self._last[0]):
            self._last = (known, (plan.plan(known), verdict.ways(known)))
        return self._last[1]

    @property
    def ready(self) -> bool:
        """True where the proof has succeeded by one way at least, and is not being repeated."""
        done = PROOF in self.findings and PROOF not in self.looking
        return done and any(way.verdict == "ready" and way.proven for way in self.ways)

    def needed(self) -> list[str]:
        """Ids of the steps that stand in the way of watching, in the order of the steps; not the proof's own."""
        found = self.plan
        ids = {choice.finding.id for choice in (*found.choices, *found.advice)}
        ids |= {finding.id for finding in found.stuck}
        ids |= {each.id for each in self.known if each.state is State.CRASH}
        return [each for each in self.order if each in ids and each != PROOF]

    def take(self, event: jobs.Event) -> None:
        """Take in what the engine tells."""
        match event:
            case jobs.Started(identity):
                self.looking.add(identity)
                self.started.add(identity)
            case jobs.Slow(identity):
                self.slow.add(identity)
            case jobs.Found(finding):
                self.findings[finding.id] = finding
                for each in (self.looking, self.started, self.slow):
                    each.discard(finding.id)
            case jobs.Looked():
                self.looking.clear()
                self.looked = True
                self.met |= set(self.needed()) | set(self.applied)
            case jobs.Said(text):
                self.log(text)
            case jobs.Ended():
                self._end(event)
            case jobs.Counted():
                self.proof.readings.append(event)
            case jobs.Proved():
                self.proof.running, self.proof.end = False, event
            case jobs.Gone():
                self.looking.clear()
                self.working = ""

    def log(self, text: str) -> None:
        """Keep a line of the fix that is at work."""
        lines = self.logs.setdefault(self.working, [])
        if lines and (how_far := _progress(text)) and how_far == _progress(lines[-1]):
            lines.pop()  # a package manager draws its progress over the line before
        lines.append(text)
        del lines[:-_MOST_LINES]

    def _end(self, event: jobs.Ended) -> None:
        identity = event.fix.partition(".")[0]
        why = cause_of("\n".join((*self.logs.get(self.working, ()), event.text)))
        lines = self.logs.setdefault(self.working, [])
        lines[:] = [line for line in lines if not line.startswith(f"{event.fix}: ")]  # the end says it once more
        for line in (in_words(event), *(f"✗ left as it is: {each}" for each in event.left)):
            self.log(line)
        if not event.good and not event.cancelled and why:
            self.log(f"✗ {why}")
        self.working = ""
        if not event.good:
            return
        self.proof.end = None
        if event.kind == "apply":
            self.applied[identity] = event.fix
            self.left.discard(identity)
        else:
            self.applied.pop(identity, None)

    def open(self) -> list[str]:
        """Ids of the steps that need a decision still; the proof last, where nothing is proven."""
        needed = [each for each in self.needed() if each not in self.left]
        return needed if self.ready else [*needed, PROOF]

    def next(self) -> str:
        """The step to go to: the first that needs a decision, the proof where there is none."""
        return next(iter(self.open()), PROOF)

    def progress(self) -> str:
        """`3 of 7 left`; the proof is one of them."""
        left, total = len(self.open()), len(self.met | {PROOF})
        if not self.looked:
            return f"looking: {len(self.findings)} of {len(self.order)}"
        if not left:
            return "ready: nothing left to do"
        return f"{left} of {total} left"

    def state(self, identity: str) -> str:
        """The state of a step, as a key of SIGNS."""
        if identity == self.working:
            return "working"
        if identity in self.looking:
            return "slow" if identity in self.slow else "looking" if identity in self.started else "waiting"
        finding = self.findings.get(identity)
        if finding is None:
            return "waiting"
        if identity == PROOF and self.ready:
            return State.PASS
        if finding.state is State.PASS:
            return "repaired" if identity in self.applied else State.PASS
        if identity in self.left:
            return "left"
        if finding.state is State.SKIP and any(fix.changes for fix in finding.fixes):
            return "offered"
        if finding.state in (State.FAIL, State.WARN) and identity != PROOF and identity not in self.needed():
            return "optional"
        return finding.state

    # What is chosen

    def fixes(self, identity: str) -> tuple[Fix, ...]:
        """The ways to put a step right, what is recommended first, what weakens the machine last."""
        finding = self.findings.get(identity)
        if finding is None:
            return ()
        best = self.recommended(identity)
        return tuple(sorted(finding.fixes, key=lambda fix: (fix.id not in best, bool(fix.weakens))))

    def recommended(self, identity: str) -> tuple[str, ...]:
        """Ids of the safest fix, of more than one only where each is for another part of the finding."""
        finding = self.findings.get(identity)
        if finding is None or finding.state not in (State.FAIL, State.WARN):
            return ()
        found = plan.plan(self.known, [identity])
        return tuple(each.fix.id for each in (*found.choices, *found.advice) if each.finding.id == identity)

    def chosen(self, identity: str) -> Fix | None:
        """The fix that `apply` would apply: what the user picked, else the recommended one; nothing that weakens."""
        fixes = self.fixes(identity)
        picked = next((fix for fix in fixes if fix.id == self.picked.get(identity)), None)
        best = self.recommended(identity)
        return picked or next((fix for fix in fixes if fix.id in best), None)

    # What is shown

    def rows(self, *, everything: bool = False, spin: int = 0) -> list[Step]:
        """Groups and steps for the list; quiet steps are folded up unless `everything`."""
        rows: list[Step] = []
        for area in catalogue.AREAS:
            mine = [each for each in self.order if catalogue.by_id[each].area == area]
            states = {each: self.state(each) for each in mine}
            rows.append(_group(area, list(states.values()), spin))
            shown = [each for each in mine if everything or self._counts(each, states[each])]
            rows += [self._row(each, states[each], spin) for each in shown]
        return rows

    def _counts(self, identity: str, state: str) -> bool:
        """True where a step is shown in its own line: what needs something, or did; and the proof."""
        return identity in self.met or identity == PROOF or state not in _QUIET

    def _row(self, identity: str, state: str, spin: int) -> Step:
        sign, word, tone = SIGNS[state]
        finding = self.findings.get(identity)
        title = finding.title if finding and state not in ("looking", "slow") else catalogue.by_id[identity].title
        return Step(identity, _turned(sign, spin), word, tone, identity, title)


def _group(area: str, states: Sequence[str], spin: int) -> Step:
    """A group's line: what is worst in it, and how many of it."""
    for wanted, word, like in (
        (("working", "looking", "slow"), "", "looking"),
        (("fail", "crash"), "to do", "fail"),
        (("warn",), "warning", "warn"),
    ):
        number = sum(state in wanted for state in states)
        if number and like == "looking":
            sign, _, tone = SIGNS[like]
            return Step(area, _turned(sign, spin), "working" if "working" in states else "looking", tone, "", "")
        if number:
            return Step(area, SIGNS[like][0], f"{number} {word}", SIGNS[like][2], "", "")
    if all(state == "waiting" for state in states):
        return Step(area, *SIGNS["waiting"], "", "")
    fine = sum(state in ("pass", "repaired") for state in states)
    others = [f"{states.count(each)} {each}" for each in ("left", "offered", "optional", "unknown") if each in states]
    return Step(area, "✓", ", ".join([f"{fine} fine", *others]), "good", "", "")


def _progress(line: str) -> str:
    """What a line of progress (`Reading database ... 30%`) has in common with the next one; empty for others."""
    found = re.match(r"(.*?)\d+%", line)
    return found[1] if found else ""


def _same(some: Sequence[Finding], others: Sequence[Finding]) -> bool:
    return len(some) == len(others) and all(one is other for one, other in zip(some, others, strict=True))


def _turned(sign: str, spin: int) -> str:
    return SPINNER[spin % len(SPINNER)] if sign == SPINNER[0] else sign


def in_words(event: jobs.Ended) -> str:
    """The end of a job in one line."""
    verb = "applied" if event.kind == "apply" else "taken back"
    if event.good:
        return f"✓ {event.fix} {verb}" + ("" if event.changed or event.kind == "undo" else ": it was so already")
    if event.cancelled:
        return f"✗ cancelled: {event.text}"
    return f"✗ {event.text or f'{event.fix} was not {verb}'}"
