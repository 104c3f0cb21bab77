"""The signs and words of the states, as the list of steps and the pages have them."""

from __future__ import annotations

from collections.abc import Sequence

from denet_tui.report import text
from denet_tui.widgets.steps import Step

SIGNS: dict[str, tuple[str, str, str]] = {
    **{state: (sign, str(state), tone) for state, (sign, _, tone) in text.SIGNS.items()},
    "waiting": ("·", "waiting", "dim"),
    "looking": ("⠋", "looking", "spark"),
    "slow": ("~", "slow", "warn"),
    "offered": ("+", "offered", "spark"),
    "left": ("»", "left", "dim"),
    "repaired": ("✓", "repaired", "good"),
    "working": ("⠋", "working", "spark"),
}
"""By state of a check, or of its step: the sign, the word and the tone."""
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


def spinner(spin: int) -> str:
    """The sign of what is at work."""
    return _SPINNER[spin % len(_SPINNER)]


def turned(sign: str, spin: int) -> str:
    """The sign, turned by so much where it is that of what is at work."""
    return spinner(spin) if sign == _SPINNER[0] else sign


def group(area: str, states: Sequence[str], spin: int) -> Step:
    """A group's line: what is worst in it, and how many of it."""
    for wanted, word, like in (
        (("working", "looking", "slow"), "", "looking"),
        (("fail", "crash"), "to do", "fail"),
        (("warn",), "warning", "warn"),
    ):
        number = sum(state in wanted for state in states)
        if number and like == "looking":
            sign, _, tone = SIGNS[like]
            return Step(area, turned(sign, spin), "working" if "working" in states else "looking", tone, "", "")
        if number:
            return Step(area, SIGNS[like][0], f"{number} {word}", SIGNS[like][2], "", "")
    if all(state == "waiting" for state in states):
        return Step(area, *SIGNS["waiting"], "", "")
    fine = sum(state in ("pass", "repaired") for state in states)
    rest = ("left", "offered", "optional", "unknown", "waiting")
    words = [f"{states.count(each)} {each}" for each in rest if each in states]
    if not fine:
        return Step(area, "·", ", ".join(words), "dim", "", "")
    return Step(area, "✓", ", ".join([f"{fine} fine", *words]), "good", "", "")
