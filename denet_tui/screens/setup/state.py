"""Where the setup stands: what was found, what still needs a decision, and which step comes next."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from queue import Empty
from typing import Any, TypeVar

from denet_tui.checks import catalogue, verdict
from denet_tui.checks.model import Finding, Fix, State
from denet_tui.checks.verdict import ACCESS, PROOF, MethodVerdict
from denet_tui.helper import access, jobs
from denet_tui.helper.access import Access, Reach
from denet_tui.repair import plan
from denet_tui.repair.plan import Plan
from denet_tui.repair.preview import PreviewLine
from denet_tui.repair.repair import verified_by
from denet_tui.screens.setup.engine import Engine
from denet_tui.screens.setup.failures import cause_of
from denet_tui.screens.setup.proof import ProofRun
from denet_tui.screens.setup.signs import SIGNS, group, turned
from denet_tui.system import called
from denet_tui.widgets.steps import Step

_MOST_LINES = 500
"""Lines of a fix's output that are kept."""
_QUIET = frozenset({"pass", "skip", "optional", "unknown", "waiting", "looking"})
"""What needs nothing from anybody: folded up into the line of its group."""

_Made = TypeVar("_Made")


@dataclass(slots=True)
class SetupState:
    """All that is known of the setup: findings by id as they come, and what the user and the fixes made of them.

    It belongs to one thread, which takes in what the engine's threads tell when it sees fit.
    """

    engine: Engine
    order: tuple[str, ...] = tuple(catalogue.by_id)
    findings: dict[str, Finding] = field(default_factory=dict)
    looking: set[str] = field(default_factory=set)
    """Ids that are looked at, or wait for it."""
    details: dict[str, Sequence[str]] = field(default_factory=dict)
    """All that each check asked the machine, line by line (what --debug shows)."""
    previews: dict[str, Mapping[str, Sequence[PreviewLine]]] = field(default_factory=dict)
    """What each fix of a finding would change, by the ids of the check and of the fix."""
    reach: Reach | None = None
    started: set[str] = field(default_factory=set)
    slow: set[str] = field(default_factory=set)
    looked: bool = False
    """Whether all was looked at, since `begin`."""
    in_force: jobs.InForce = field(default_factory=jobs.InForce)
    done: list[jobs.Ended] = field(default_factory=list)
    """What was applied and undone, in order, for the last words on the terminal."""
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
    proof: ProofRun = field(default_factory=ProofRun)
    sudo: str = field(default_factory=called.sudo)
    """What becomes root here, asked once."""
    _kept: dict[Hashable, Any] = field(default_factory=dict)
    _last: tuple[list[Finding], tuple[Plan, tuple[MethodVerdict, ...], list[Finding]]] | None = None

    # What is so

    @property
    def known(self) -> list[Finding]:
        """The findings, in the order of the steps."""
        return [self.findings[each] for each in self.order if each in self.findings]

    @property
    def plan(self) -> Plan:
        """What would be done for the attach method that needs least."""
        return self._judged()[0]

    @property
    def methods(self) -> tuple[MethodVerdict, ...]:
        """The verdict of each attach method."""
        return self._judged()[1]

    @property
    def settled(self) -> list[Finding]:
        """The findings as they are shown, in the order of the steps."""
        return self._judged()[2]

    def _judged(self) -> tuple[Plan, tuple[MethodVerdict, ...], list[Finding]]:
        """Plan, verdict and states, made once for the same findings: each drawing asks for them often."""
        known = self.known
        if self._last is None or not _same(known, self._last[0]):
            self._last = (known, (plan.plan(known), verdict.methods(known), verdict.settled(known)))
        return self._last[1]

    @property
    def ready(self) -> bool:
        """Whether the proof has succeeded by one attach method at least, and is not being repeated."""
        done = PROOF in self.findings and PROOF not in self.looking
        return done and any(method.verdict == "ready" and method.proven for method in self.methods)

    def needed(self) -> list[str]:
        """Ids of the steps that stand in the way of watching, in the order of the steps; not the proof's own."""
        found = self.plan
        ids = {choice.finding.id for choice in (*found.choices, *found.advice)}
        ids |= {finding.id for finding in found.stuck}
        ids |= {each.id for each in self.known if each.state is State.CRASH}
        return [each for each in self.order if each in ids and each != PROOF]

    # What comes in

    def begin(self) -> None:
        """Look at everything, for a screen that has just come up; what was found before counts until then."""
        self.looked, self.proof.end = False, None
        self.met.clear()
        self.look(self.order)

    def look(self, ids: Iterable[str]) -> None:
        """Have these checks run."""
        wanted = list(ids)
        self.looking.update(wanted)
        self.engine.look(wanted)

    def recheck(self, identity: str) -> None:
        """Have a check run again, with those that depend on it, and the real probe."""
        self.look(verified_by(identity, catalogue.by_id))

    def skip(self, identity: str) -> None:
        """Wait no longer for a check; what it may say later is not heard."""
        title = f"{catalogue.by_id[identity].title}: skipped"
        why = "It took long, and you went on without it."
        self.engine.tell(jobs.Found(Finding(identity, State.UNKNOWN, title, why=why)))

    def prove(self) -> None:
        """Have the program count known calls."""
        self.proof.start()
        self.engine.prove()

    def catch_up(self) -> Iterator[jobs.Event]:
        """Take in what has happened, event by event, each as it is handed out."""
        while not self.engine.events.empty():
            yield self._take(self.engine.events.get())

    def wait(self, reached: Callable[[], bool], seconds: float) -> bool:
        """Take in what happens until that is so, for that long at most; whether it is so. Not for screens."""
        due = time.monotonic() + seconds
        while not reached():
            try:
                self._take(self.engine.events.get(timeout=max(0.0, due - time.monotonic())))
            except Empty:
                return False
        return True

    def kept(self, key: Hashable, make: Callable[[], _Made]) -> _Made:
        """What `make` returns, which may read files: asked once until something comes in, however often it is drawn."""
        if key not in self._kept:
            self._kept[key] = make()
        made: _Made = self._kept[key]
        return made

    def _take(self, event: jobs.Event) -> jobs.Event:
        self._kept.clear()
        match event:
            case jobs.Started(identity) if identity in self.looking:
                self.started.add(identity)
            case jobs.Slow(identity) if identity in self.looking:
                self.slow.add(identity)
            case jobs.Found():
                self._find(event)
            case jobs.InForce():
                self.in_force = event
            case jobs.Said(text):
                self.log(text)
            case jobs.Ended():
                self._end(event)
            case jobs.Counted():
                self.proof.readings.append(event)
            case jobs.Proved():
                self.proof.running, self.proof.end = False, event
            case jobs.Gone():
                self._lose()
        return event

    def _find(self, event: jobs.Found) -> None:
        identity = event.finding.id
        if identity not in self.looking:
            return
        self.findings[identity] = event.finding
        self.details[identity], self.previews[identity] = event.details, event.previews
        self.reach = event.reach or self.reach
        for each in (self.looking, self.started, self.slow):
            each.discard(identity)
        if not self.looking:
            self.looked = True
            self.met |= set(self.needed()) | set(self.applied)

    def _lose(self) -> None:
        for each in tuple(self.looking):
            title = f"{catalogue.by_id[each].title}: the helper has ended before it was done"
            self._find(jobs.Found(Finding(each, State.UNKNOWN, title)))
        self.working, self.proof.running = "", False

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
        self.done.append(event)
        if event.good or event.left:
            self.recheck(identity)
        if not event.good:
            return
        self.proof.end = None
        if event.kind == "apply":
            if event.changed:
                self.applied[identity] = event.fix
            self.left.discard(identity)
        else:
            self.applied.pop(identity, None)
            left = tuple(each for each in self.in_force.applied if each != event.fix)
            self.in_force = replace(self.in_force, applied=left)  # where root undid it, the helper knows nothing of it

    def open(self) -> list[str]:
        """Ids of the steps that need a decision still; the proof last, where nothing is proven."""
        needed = [each for each in self.needed() if each not in self.left]
        return needed if self.ready else [*needed, PROOF]

    def next(self) -> str:
        """The step to go to: the first that needs a decision, the proof where there is none.

        Who is not root goes on to what is broken: all of that is put right as root.
        """
        left = self.open()
        if not self.engine.root and left[:1] == [ACCESS] and left[1:] not in ([], [PROOF]):
            left = left[1:]
        return next(iter(left), PROOF)

    def progress(self) -> str:
        """`3 of 7 left`; the proof is none of them: it follows from the others."""
        left, total = [each for each in self.open() if each != PROOF], len(self.met - {PROOF})
        if not self.looked:
            return f"looking: {self.how_far()}"
        if left == [ACCESS] and not self.engine.root:
            return "only root is missing"
        if left:
            return f"{len(left)} of {total} left" if total > 1 else "1 thing left"
        if not self.ready:
            return "not proven yet"
        return "not proven: the proof says why" if self.proof.failed else "everything works"

    def how_far(self) -> str:
        """`3 of 32`: how many of the checks have ended."""
        return f"{len(self.order) - len(self.looking)} of {len(self.order)}"

    def state(self, identity: str) -> str:
        """The state of a step, as a key of SIGNS."""
        if identity == self.working:
            return "working"
        if identity in self.looking:
            return "slow" if identity in self.slow else "looking" if identity in self.started else "waiting"
        finding = self.findings.get(identity)
        return self._standing(finding) if finding else "waiting"

    def _standing(self, finding: Finding) -> str:
        identity = finding.id
        if identity == PROOF and (state := self._standing_of_proof(finding)):
            return state
        if finding.state is State.PASS:
            return "repaired" if identity in self.applied else State.PASS
        if identity in self.left:
            return "left"
        if finding.state is State.SKIP and any(fix.changes for fix in finding.fixes):
            return "offered"
        return next(each.state for each in self.settled if each.id == identity)

    def _standing_of_proof(self, finding: Finding) -> str:
        if self.ready:
            return State.FAIL if self.proof.failed else State.PASS
        waits = finding.state is State.FAIL and (not self.looked or self.needed())
        return "waiting" if waits else ""  # for what is in its way

    # What is chosen

    @property
    def accesses(self) -> tuple[Access, ...]:
        """The ways to the capabilities, for a session that has none; none before they were looked for."""
        if (reach := self.reach) is None:
            return ()
        me = os.getuid(), os.getgid()
        return self.kept("accesses", lambda: access.ways(reach, self.findings, me, called.program()))

    def preview(self, fix: Fix) -> Sequence[PreviewLine]:
        """What a fix would change, as it was when its check was run."""
        return self.previews.get(fix.id.partition(".")[0], {}).get(fix.id, ())

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
            rows.append(group(area, list(states.values()), spin))
            shown = [each for each in mine if everything or self._counts(each, states[each])]
            rows += [self._row(each, states[each], spin) for each in shown]
        return rows

    def _counts(self, identity: str, state: str) -> bool:
        """Whether a step is shown in its own line: what needs something, or did; and the proof."""
        return identity in self.met or identity == PROOF or state not in _QUIET

    def _row(self, identity: str, state: str, spin: int) -> Step:
        sign, word, tone = SIGNS[state]
        finding = self.findings.get(identity)
        title = finding.title if finding and state not in ("looking", "slow") else catalogue.by_id[identity].title
        return Step(identity, turned(sign, spin), word, tone, identity, title)


def _progress(line: str) -> str:
    """What a line of progress (`Reading database ... 30%`) has in common with the next one; empty for others."""
    found = re.match(r"(.*?)\d+%", line)
    return found[1] if found else ""


def _same(some: Sequence[Finding], others: Sequence[Finding]) -> bool:
    return len(some) == len(others) and all(one is other for one, other in zip(some, others, strict=True))


def in_words(event: jobs.Ended) -> str:
    """The end of a job in one line."""
    verb = "applied" if event.kind == "apply" else "taken back"
    if event.good:
        changed = event.changed or event.kind == "undo"
        return f"✓ {event.fix} {verb}" if changed else f"- {event.fix}: it was so already, nothing was changed"
    if event.cancelled:
        return f"✗ cancelled: {event.text}"
    return f"✗ {event.text or f'{event.fix} was not {verb}'}"
