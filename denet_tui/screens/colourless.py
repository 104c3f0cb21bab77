"""No colours where NO_COLOR is set (no-color.org): what they say is said in reverse and dim."""

from __future__ import annotations

from functools import lru_cache

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter

# All of these are shares of the way from black to white, and for Textual's own dark theme (preferences/screen.py).
_MARKED = 0.1
"""How far a ground is from the one around it that is meant to be seen: a cursor's is 0.2 or more, a pane's 0.05."""
_QUIET = 0.68
"""How far grey text that is less important is from its ground, at most: 0.56, and plain text is 0.8."""
_GREY = 0.1
"""How far the red, green and blue of a grey are from each other, at most."""


class Colourless(LineFilter):
    """Takes the colours away, and gives what has another ground reverse, what is grey dim."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The same text in the terminal's own colours."""
        return [Segment(text, style and _plain(style, background)) for text, style, _ in segments]


@lru_cache(4096)
def _plain(style: Style, around: Color) -> Style:
    ground = around if style.bgcolor is None or style.bgcolor.is_default else Color.from_rich_color(style.bgcolor)
    ink = ground if style.color is None or style.color.is_default else Color.from_rich_color(style.color)
    marked = style.reverse or _far(ground, around) >= _MARKED
    grey = max(ink.normalized) - min(ink.normalized) <= _GREY
    quiet = style.dim or (grey and ink != ground and not marked and _far(ink, ground) <= _QUIET)
    return style.without_color + Style(reverse=marked or None, dim=quiet or None)


def _far(one: Color, other: Color) -> float:
    return max(abs(a - b) for a, b in zip(one.normalized, other.normalized, strict=True))
