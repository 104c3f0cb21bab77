"""What has changed since the last good run."""

from __future__ import annotations

from denet_tui.checks.host import Host
from denet_tui.checks.last_good import ABSENT, UNREADABLE, LastGoodError, Record, look, recall, where
from denet_tui.checks.model import Check, Evidence, Finding, State
from denet_tui.system.visible import how_many


def check_last_good(host: Host) -> Finding:
    """DRIFT-001: what changed since the last good run."""
    why = "Where something worked before and does not now, the reason is mostly among the things that changed."
    path = where(host)
    try:
        before = recall(host, path)
    except (OSError, LastGoodError) as error:
        text = str(error) if isinstance(error, LastGoodError) else f"{path}: {error.strerror}"
        title = "the record of the last good run cannot be used"
        return Finding("DRIFT-001", State.UNKNOWN, title, (Evidence(path, text),), why)
    if before is None:
        return Finding("DRIFT-001", State.SKIP, "no good run has been recorded yet", (Evidence(path, ABSENT),), why)
    now = look(host)
    changed = changes(before, now)
    if not changed:
        seen = (Evidence(path, f"{how_many(len(before.keys() & now.keys()), 'value')}, all the same"),)
        return Finding("DRIFT-001", State.PASS, "nothing has changed since the last good run", seen, why)
    evidence = tuple(Evidence(name, f"was {old}, is {new}") for name, old, new in changed)
    names = ", ".join(name for name, _, _ in changed)
    return Finding("DRIFT-001", State.WARN, f"changed since the last good run: {names}", evidence, why)


def changes(before: Record, now: Record) -> list[tuple[str, str, str]]:
    """(name, value then, value now) of everything that is not the same.

    What one of the two did not look at, or could not read, is no change: a run ends without the privilege that
    `sudo denet-tui diag` has.
    """
    pairs = ((name, before[name], new) for name, new in now.items() if name in before)
    return [(name, old, new) for name, old, new in pairs if old != new and not {old, new} & UNREADABLE]


CHECKS = (Check("DRIFT-001", "proof", "changed since the last good run", check_last_good, first=False),)
