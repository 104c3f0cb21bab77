"""Where time went, as a bar that can be read without colours, and what stands for what in it."""

from __future__ import annotations

from denet_tui.detail import Time
from denet_tui.spent import blocked_in, parts, share

FILLS = "█▓▒░·?"
"""Of the parts in their order: from what is most at work to what is least."""


def bar(spent: Time, width: int) -> str:
    """`width` cells, each part its share of them; empty where there is no time yet."""
    whole = spent.whole_ns
    if not whole:
        return ""
    found = parts(spent)
    cells = [part * width // whole for part in found]
    # What is left over goes to those that were cut most.
    rest = sorted(range(len(found)), key=lambda at: -(found[at] * width % whole))
    for at in rest[: width - sum(cells)]:
        cells[at] += 1
    return "".join(fill * count for fill, count in zip(FILLS, cells, strict=True))


def legend(spent: Time, kernel_in: str = "") -> list[str]:
    """What stands for what, and its share, in three lines."""
    user, kernel, runqueue, blocked, children, unknown = (
        f"{fill} {word} {share(part, spent)}"
        for fill, word, part in zip(
            FILLS,
            ("user", "kernel", "waits for CPU", "blocked", "waits for children", "not known"),
            parts(spent),
            strict=True,
        )
    )
    inside, found = ", ".join(f"{name} {share(ns, spent)}" for name, ns in blocked_in(spent)), parts(spent)
    return [
        f"{user}, {kernel}{f' ({kernel_in})' if kernel_in else ''}",
        ", ".join((runqueue, *([children] * bool(found.children_ns)), *([unknown] * bool(found.unknown_ns)))),
        f"{blocked}{f' ({inside})' if inside else ''}",
    ]
