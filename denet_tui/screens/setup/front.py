"""The setup's first page: how it stands here in a sentence, what can be done about it, and by which key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from denet_tui.bpf.burst import CALLS
from denet_tui.checks.model import Fix, State
from denet_tui.checks.verdict import ACCESS, PROOF
from denet_tui.repair.preview import PreviewLine
from denet_tui.screens.setup import pages
from denet_tui.screens.setup.actions import FEW_LINES, Offers
from denet_tui.screens.setup.pages import Shown
from denet_tui.screens.setup.proof import proof_page
from denet_tui.screens.setup.signs import spinner
from denet_tui.screens.setup.state import SetupState
from denet_tui.system.visible import how_many
from denet_tui.widgets.page import Paragraph

_LOG_LINES = 6
"""Of what a fix prints, while it is at work."""
_TOOK = " (took "
"""What a check that was slow ends its title with."""
ONLY_ROOT = "Watching works here. It needs root for a moment each time you start it."
ALONE = "Watching works here. It needs root for a moment, so an administrator has to let you."


def front_page(setup: SetupState, offers: Offers, shown: Shown) -> list[Paragraph]:
    """The headline, the offers with their keys, and where the rest of it is."""
    if not setup.looked:
        return pages.welcome(setup, shown.spin)
    return [*_body(setup, offers, shown), Paragraph(), *_rest(setup), *_log(setup, offers, shown)]


def _body(setup: SetupState, offers: Offers, shown: Shown) -> list[Paragraph]:
    if offers.current == PROOF or not setup.needed():
        return _proof(setup, shown)
    if offers.only_root:
        return _only_root(setup, offers)
    return _broken(setup, offers, shown)


def _headline(text: str, style: str = "strong") -> Paragraph:
    return Paragraph(text, style=style, flush=True)


def _proof(setup: SetupState, shown: Shown) -> list[Paragraph]:
    run = setup.proof
    if setup.ready and run.end and run.end.exact:
        head = _headline("Everything works: press enter to choose what to watch.", "good")
    elif run.failed:
        head = _headline("Watching does not work yet: not all of the known calls were counted.", "bad")
    elif setup.ready and setup.engine.may_load:
        head = _headline(f"Nothing is in the way. {CALLS:,} known calls are counted now, as proof.")
    elif setup.ready:
        head = _headline("Watching works here.", "good")
    else:
        finding = setup.findings.get(PROOF)
        why = f": {finding.title}" if finding else ""
        head = _headline(f"Nothing wrong was found, but nothing is proven{why}", "warn")
    return [head, Paragraph(), *proof_page(run, [], spinner=spinner(shown.spin))]


def _only_root(setup: SetupState, offers: Offers) -> list[Paragraph]:
    if offers.alone:
        return [
            _headline(ALONE),
            Paragraph(),
            *_for_administrator(offers),
        ]
    found = [
        _headline(ONLY_ROOT),
        Paragraph(),
        Paragraph(f"Choose what to watch; {offers.asks} when it starts", "▸ enter", "strong", key="go:start"),
        Paragraph("changes nothing", style="dim"),
    ]
    if fix := offers.to_keep:
        text = "Let me watch my own commands without that, as a member of the group denet-trace"
        found += [
            Paragraph(),
            Paragraph(text, "  a", "strong", key="key:a"),
            Paragraph(_summed(setup.preview(fix)), style="dim", key="key:a"),
        ]
    return found


def _for_administrator(offers: Offers) -> Iterator[Paragraph]:
    """What to hand over, and the text itself: nothing of it is out of sight."""
    yield Paragraph("Copy this for an administrator of this machine", "▸ y", "strong", key="key:y")
    yield Paragraph("Save it as a script that root can read and run", "  a", "strong", key="key:a")
    yield Paragraph()
    for line in offers.for_administrator.splitlines():
        yield Paragraph(line, style="dim" if line.startswith("#") else "code", whole=True, flush=True)


def _broken(setup: SetupState, offers: Offers, shown: Shown) -> list[Paragraph]:
    identity = offers.current
    finding = setup.findings.get(identity)
    if finding is None:
        return []
    left = identity in setup.left
    found = [_headline(f"Watching does not work yet: {finding.title.partition(_TOOK)[0]}.", "bad"), Paragraph()]
    fix = offers.fix
    if setup.working == identity:
        found.append(Paragraph(f"{spinner(shown.spin)} {fix.title if fix else 'working'}", "", "spark"))
        found.append(Paragraph("Cancel it, and take back what it did", "  c", "strong", key="key:c"))
        return found
    if fix is None or not fix.changes:
        found += _advice(setup, identity, fix)
    elif offers.alone:
        found += _for_administrator(offers)
    else:
        found += _fix(setup, fix, shown)
    if not left and finding.state is not State.PASS:
        found += [Paragraph(), Paragraph("Go on without it", "  s", "strong", key="key:s")]
    others = [each for each in setup.needed() if each not in {identity, ACCESS} | setup.left]
    more = f"Then {how_many(len(others), 'more thing')}, and then " if others else "Then "
    return [*found, Paragraph(), Paragraph(f"{more}{CALLS:,} known calls are counted as proof.", style="dim")]


def _advice(setup: SetupState, identity: str, fix: Fix | None) -> list[Paragraph]:
    """What a person has to do, or that nothing is known."""
    text = fix.advice if fix else "; ".join(each.advice for each in setup.fixes(identity) if each.advice)
    if text:
        return pages.advice(text)
    text = "Write a report to ask with: denet-tui knows nothing that helps. It names no person and no machine."
    return [Paragraph(text, "▸ w", "strong", key="key:w")]


def _fix(setup: SetupState, fix: Fix, shown: Shown) -> Iterator[Paragraph]:
    """The chosen fix; its commands as far as they are few, else they are shown before it is applied."""
    yield Paragraph(fix.title[:1].upper() + fix.title[1:], "▸ a", "strong", key="key:a")
    lines = setup.preview(fix)
    if len(lines) <= FEW_LINES:
        yield from (pages.changed(line) for line in lines)
    else:
        yield Paragraph(_summed(lines), style="dim")
    yield Paragraph(f"as {shown.privilege}", style="dim")
    lasts = "lasts until the next reboot" if fix.scope == "until-reboot" else "stays"
    yield Paragraph(f"{lasts}; undo: {fix.undo}", style="dim")


def _summed(lines: Iterable[PreviewLine]) -> str:
    """`takes 2 files, 3 commands`, and that all of it is seen in time."""
    kinds = Counter(line.kind for line in lines)
    numbers = {"file": kinds["write"] + kinds["delete"], "setting": kinds["set"], "command": kinds["run"]}
    words = ", ".join(how_many(number, name) for name, number in numbers.items() if number)
    return f"takes {words}; you see all of it before it is done"


def _rest(setup: SetupState) -> list[Paragraph]:
    """What was looked at, in numbers."""
    states = [setup.state(each) for each in setup.order if each != PROOF]
    fine = sum(each in ("pass", "repaired") for each in states)
    words = {"crash": "broken", "warn": "with a warning", "left": "left"}
    more = [
        f"{states.count(each)} {words.get(each, each)}" for each in (*words, "optional", "unknown") if each in states
    ]
    text = f"What was looked at: {len(states)} checks, {', '.join([f'{fine} fine', *more])}"
    return [
        Paragraph(text, "  d", key="key:d"),
        Paragraph("The troubleshooting guide, by its words", "  ?", key="key:question_mark"),
    ]


def _log(setup: SetupState, offers: Offers, shown: Shown) -> list[Paragraph]:
    """The end of what the last fix did and printed."""
    lines = [pages.logged(line, first=False) for line in shown.log[-_LOG_LINES:]]
    return [Paragraph(), *lines] if lines and offers.current in setup.logs else []
