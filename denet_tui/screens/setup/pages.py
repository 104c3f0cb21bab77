"""What the setup screen says about a step, in paragraphs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from denet_tui.bpf.handover import METHODS
from denet_tui.checks import catalogue
from denet_tui.checks.model import BOTH, Finding, Fix, State
from denet_tui.checks.verdict import ACCESS, PROOF
from denet_tui.helper.access import Access
from denet_tui.repair.preview import PreviewLine
from denet_tui.screens.setup.proof import proof_page
from denet_tui.screens.setup.signs import SIGNS, spinner
from denet_tui.screens.setup.state import SetupState
from denet_tui.widgets.page import Paragraph

_FEW = 4
"""Pieces of evidence that a page shows before it is asked for the details."""
_SHORT = 240
"""Characters of a value that it shows until then."""
_HEADS = {
    "set": "{0.text}: {0.old} → {0.new}",
    "write": "write {0.text} (root, mode {0.mode})",
    "delete": "delete {0.text}",
}
"""By kind of a line of a preview."""
GROUPS = {
    "permissions": "Who you are here, and what this session may do: users, groups, containers, limits.",
    "capabilities": "The two rights of root that loading needs, CAP_BPF and CAP_PERFMON, and who has them.",
    "tracefs": "The filesystem in which the kernel lists its events. Only the second attach method, tracefs, needs it.",
    "kernel": "What this kernel was built with, and its settings.",
    "bcc": "The BPF Compiler Collection of your distribution: it compiles the program that counts.",
    "proof": "The program itself: loaded, attached, and compared with calls of a known number.",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """What a page needs beside the findings."""

    privilege: str
    """How a fix becomes root, in words."""
    details: bool = False
    accesses: Sequence[Access] = ()
    """The ways to the capabilities, for the step that needs one."""
    back: str = ""
    """How a fix that was applied to the step is taken back, in words."""
    log: Sequence[str] = ()
    """What was done to this step so far, and what came of it."""
    spin: int = 0


def page(setup: SetupState, current: str, shown: Shown) -> list[Paragraph]:
    """What there is to say about a step, or about a group."""
    if not setup.looked or not current:
        return welcome(setup, shown.spin)
    if current in catalogue.AREAS:
        return group_page(setup, current)
    if current == PROOF:
        page = step_page(setup, current, shown)
        return proof_page(setup.proof, page, spinner=spinner(shown.spin), waits_for=_waits_for(setup))
    return step_page(setup, current, shown)


def _waits_for(setup: SetupState) -> str:
    """What has to be so before the program is tried; empty where that has no part in it."""
    if setup.ready:
        return "" if setup.engine.may_load else f"denet-tui was started with {setup.sudo}"
    needed = setup.needed()
    return f"{', '.join(needed)} {'are' if len(needed) > 1 else 'is'} right" if needed else ""


def welcome(setup: SetupState, spin: int) -> list[Paragraph]:
    """While everything is looked at for the first time."""
    now = ", ".join(catalogue.by_id[each].title for each in setup.order if each in setup.started)
    return [
        Paragraph(f"{spinner(spin)} looking at this machine: {setup.how_far()}", "Setup", "spark"),
        Paragraph(now, "", "dim"),
        Paragraph(),
        Paragraph("What keeps system calls from being counted here is found out, and put right step by step."),
        Paragraph("Nothing is changed before you have seen exactly what, and pressed a. Everything can be undone."),
    ]


def group_page(setup: SetupState, area: str) -> list[Paragraph]:
    """What a group is about, and its steps."""
    found = [Paragraph(area, style="strong", flush=True), Paragraph(GROUPS[area]), Paragraph()]
    for each in (each for each in setup.order if catalogue.by_id[each].area == area):
        sign, word, tone = SIGNS[setup.state(each)]
        finding = setup.findings.get(each)
        title = finding.title if finding else catalogue.by_id[each].title
        found.append(Paragraph(f"{sign} {word}  {each}: {title}", style=tone, hang=2, flush=True, key=f"step:{each}"))
    return found


def step_page(setup: SetupState, identity: str, shown: Shown) -> list[Paragraph]:
    """All there is to say about a step."""
    state = setup.state(identity)
    sign, word, tone = SIGNS[state]
    finding = setup.findings.get(identity)
    if finding is None:
        title = catalogue.by_id[identity].title
        return [Paragraph(f"{sign} {word}  {identity}: {title}", "", tone, hang=2, flush=True), *_slow(state)]
    found = [
        Paragraph(f"{sign} {word}  {identity}: {finding.title}", "", tone, hang=2, flush=True),
        *_slow(state),
        *_remarks(setup, finding, shown.back),
    ]
    if finding.state in (State.WARN, State.FAIL, State.UNKNOWN, State.CRASH) or (
        finding.state is State.SKIP and finding.fixes
    ):
        found += _fixes(setup, finding, shown)  # before all else: what to type or to press is in sight
    found += [Paragraph(), *_evidence(finding, details=shown.details)]
    found += [Paragraph(finding.why, "Why")] if finding.why else []
    found += _needs(finding)
    found += [Paragraph(link, "See" * (not number), whole=True) for number, link in enumerate(finding.links)]
    if shown.details:
        found.append(Paragraph(f"the check took {finding.seconds:.3f} s", "Took"))
    if shown.log:
        found += [Paragraph(), *(logged(line, first=not number) for number, line in enumerate(shown.log))]
    return found


def logged(line: str, *, first: bool) -> Paragraph:
    """A line of what was done, the first of them with its label."""
    style = "bad" if line.startswith("✗") else "good" if line.startswith("✓") else "code" if line[:1] == "$" else "text"
    return Paragraph(line, "Done" if first else "", style, hang=2)


def _slow(state: str) -> list[Paragraph]:
    if state != "slow":
        return []
    return [
        Paragraph("This look takes long: something that it reads does not answer. s goes on without it.", "", "warn")
    ]


def _remarks(setup: SetupState, finding: Finding, back: str) -> list[Paragraph]:
    state = setup.state(finding.id)
    found = _standing(setup, state)
    return [*found, Paragraph(back, "", "good" if state == "repaired" else "dim")] if back else found


def _standing(setup: SetupState, state: str) -> list[Paragraph]:
    ready = " and ".join(METHODS[method.method] for method in setup.methods if method.verdict == "ready")
    if state == "optional" and ready:
        return [Paragraph(f"Not needed: {ready} work here without it.", "", "good")]
    if state == "optional":
        return [
            Paragraph(
                f"Not needed for {METHODS[setup.plan.method]}, the attach method that needs least here.", "", "good"
            )
        ]
    if state == "left":
        return [Paragraph("You went on without it. a applies its fix all the same.", "", "dim")]
    return []


def _evidence(finding: Finding, *, details: bool) -> list[Paragraph]:
    found: list[Paragraph] = []
    for each in finding.evidence if details else finding.evidence[:_FEW]:
        value = " ".join(each.value.split())
        if len(value) > _SHORT and not details:
            value = f"{value[:_SHORT]} … (d: all of it)"
        found.append(Paragraph(f"{each.source}: {value}", "Seen" if not found else "", hang=2))
    if len(finding.evidence) > _FEW and not details:
        found.append(Paragraph(f"… and {len(finding.evidence) - _FEW} more (d)", "", "dim"))
    return found


def _needs(finding: Finding) -> list[Paragraph]:
    """Which attach method needs this, and how that way is doing."""
    if finding.id == PROOF or not finding.required_for:
        return []
    if finding.blocks == BOTH:
        return [Paragraph("both attach methods are blocked by it: raw tracepoints and tracefs tracepoints", "Needed")]
    words = {True: "blocked by it", False: "not blocked by it"}
    parts = [f"{METHODS[method]}: {words[method in finding.blocks]}" for method in BOTH]
    if finding.state is not State.FAIL:
        parts = [METHODS[method] for method in finding.required_for]
    return [Paragraph("; ".join(parts), "Needed")]


def _fixes(setup: SetupState, finding: Finding, shown: Shown) -> list[Paragraph]:
    fixes = setup.fixes(finding.id)
    if shown.accesses:
        return _accesses(setup, finding, shown)
    if not fixes:
        if finding.id == PROOF or not finding.blocks:
            return []
        text = "denet-tui knows no fix for this. w writes a report to ask with; it names no person and no machine."
        return [Paragraph(), Paragraph(text, "Fix", "warn")]
    chosen, best = setup.chosen(finding.id), setup.recommended(finding.id)
    found = [Paragraph()]
    for number, fix in enumerate(fixes, 1):
        mark = "(•)" if chosen and fix.id == chosen.id else "( )"
        label = "Fix" if number == 1 else ""
        found.append(Paragraph(f"{mark} {number} {fix.title}", label, "strong", hang=6, key=f"fix:{fix.id}"))
        found.append(Paragraph(_marks(fix, recommended=fix.id in best), style="dim", key=f"fix:{fix.id}"))
        if fix.weakens:
            found.append(Paragraph(f"! weakens this machine: {fix.weakens}", style="warn", hang=2))
    if chosen is None:
        return [*found, Paragraph("1 to 9 choose one", "", "dim")]
    return found + _chosen(setup, chosen, shown, working=setup.state(finding.id) == "working")


def chosen_access(setup: SetupState, accesses: Sequence[Access]) -> Access | None:
    """The way to the capabilities that was picked, else the one that needs least; none that cannot work here."""
    picked = setup.picked.get(ACCESS, "")
    able = (each for each in accesses if each.works or each.fix)
    return next((each for each in able if each.id == picked or (not picked and each.recommended)), None)


def _accesses(setup: SetupState, finding: Finding, shown: Shown) -> list[Paragraph]:
    """The ways to the capabilities, what each means for the machine, and what to do or to type for it."""
    chosen = chosen_access(setup, shown.accesses)
    found = [Paragraph()]
    for number, each in enumerate(shown.accesses, 1):
        mark, key = ("(•)" if each == chosen else "( )"), f"fix:{each.id}"
        best = " (recommended: needs least)" if each.recommended else ""
        style = "strong" if each.works else "dim"
        found.append(
            Paragraph(f"{mark} {number} {each.title}{best}", "" if number > 1 else "Ways", style, hang=6, key=key)
        )
        if not each.works:
            word = "not yet" if each.fix else "not here"
            found.append(Paragraph(f"{word}: {each.why_not}", style="warn", hang=2))
    return found + _way(setup, finding, chosen, shown)


def _way(setup: SetupState, finding: Finding, chosen: Access | None, shown: Shown) -> list[Paragraph]:
    """What to press or to type for the chosen way; what to do where there is none."""
    if chosen is None:
        if setup.reach and setup.reach.no_sudo:
            text = "The first page (escape) has a text for an administrator of this machine."
            return [Paragraph(), Paragraph(text, "You do")]
        return advice("; ".join(fix.advice for fix in finding.fixes if fix.advice))
    means = [Paragraph(f"- {line}", style="dim", hang=2) for line in chosen.means]
    if chosen.fix:
        press, *does = _chosen(setup, chosen.fix, shown, working=setup.state(finding.id) == "working")
        head = Paragraph(f"{chosen.fix.id}: {chosen.fix.title}", "Fix", "strong")
        return [Paragraph(), press, head, *means, *does]
    typed = Paragraph(label="Type", style="code", words=("$", *chosen.command))
    press = Paragraph("a starts denet-tui again in this way; y copies the command.", "Apply")
    return [Paragraph(), typed, press, *means]


def _marks(fix: Fix, *, recommended: bool) -> str:
    words = []
    if recommended:
        words.append("recommended: " + ("opens nothing" if fix.changes else "changes nothing on this machine"))
    if fix.changes:
        words.append("lasts until the next reboot" if fix.scope == "until-reboot" else "permanent")
    return "    " + ("; ".join(words) or "for you to do")


def _chosen(setup: SetupState, fix: Fix, shown: Shown, *, working: bool) -> list[Paragraph]:
    """What the chosen fix does: the exact commands and differences, and how it is undone."""
    if not fix.changes:
        return advice(fix.advice)
    following = "c cancels this, and takes back what it did" if working else "a applies this; s goes on without it"
    does = [changed(line) for line in setup.preview(fix)]
    does[:1] = [each._replace(label="Does") for each in does[:1]]
    means = [Paragraph(shown.privilege, "As"), Paragraph(fix.undo, "Undo"), *advice(fix.advice)]
    return [Paragraph(following, "Next", "strong"), *does, *means]


def changed(line: PreviewLine) -> Paragraph:
    """A line of what a fix does."""
    if line.words:
        return Paragraph(style="code", words=("$", *line.words))
    if line.kind in _HEADS:
        return Paragraph(_HEADS[line.kind].format(line), style="code")
    return Paragraph(line.text, style="dim" if line.kind == "text" else line.kind, whole=True)


def advice(advice: str) -> list[Paragraph]:
    """What a person has to do; a long command in it (in backquotes) stands alone."""
    if not advice:
        return []
    found: list[Paragraph] = []
    for number, part in enumerate(_split(advice)):
        if number % 2:
            found.append(Paragraph(style="code", words=tuple(part.split())))
        elif part.strip(" ."):
            found.append(Paragraph(part.strip()))
    found[0] = found[0]._replace(label="You do")
    return found


def _split(advice: str) -> list[str]:
    """Text and commands by turns; short commands stay in the text."""
    parts: list[str] = [""]
    for number, part in enumerate(advice.split("`")):
        if number % 2 and len(part) >= 40:
            parts += [part, ""]
        else:
            parts[-1] += f"`{part}`" if number % 2 else part
    return parts
