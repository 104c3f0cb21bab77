"""What the palette lists: what can be done here, in groups, each with its key."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.types import IgnoreReturnCallbackType

from denet_tui.widgets.formatting import clip, pad

HERE, TABS, ALL, TIME, PROGRAM = "This pane", "Tabs", "The view", "Time", "denet-tui"
_GROUPS = {"live": ALL, "overview": ALL, "time": TIME, "replay": TIME, "app": PROGRAM, "home": PROGRAM}
"""By the first word of a binding's name; what is not here belongs to the pane that has the focus."""
_LEFT_OUT = ("lines.", "page.", "app.palette", "home.palette")
"""Moving about, and what brought one here."""
_GROUP, _NAME, _KEY = 11, 19, 9
_FRAME = 8
"""Cells of a line that are the palette's own, and between key and words."""


class PaletteLine(NamedTuple):
    """One thing that can be done, in the words of its binding."""

    group: str
    name: str
    key: str
    does: str
    run: IgnoreReturnCallbackType

    def line(self, group: str, width: int) -> Content:
        """All of it in `width` cells."""
        named = _GROUP if width > 2 * (_NAME + _KEY) else 0
        room = width - named - _NAME - _KEY - _FRAME
        return Content.assemble(
            (pad(group, named), "$text-muted"), (pad(self.name, _NAME), "bold"),
            (pad(self.key, _KEY, right=True), "$text-accent"), (f"  {clip(self.does, room)}", "not bold"),
        )  # fmt: skip


class Palette(Provider):
    """In the order of the groups; what is typed is looked for in names and in what they do."""

    def choices(self) -> list[PaletteLine]:
        """Each once, the pane's own first."""
        found = sorted(self._choices(), key=lambda choice: (HERE, TABS, ALL, TIME, PROGRAM).index(choice.group))
        return list({(choice.name, choice.does): choice for choice in reversed(found)}.values())[::-1]

    def _choices(self) -> Iterator[PaletteLine]:
        app: Any = self.app
        seen = set()
        for active in self.screen.active_bindings.values():
            binding = active.binding
            action = (active.node, binding.action)
            if not binding.id or not active.enabled or action in seen or binding.id.startswith(_LEFT_OUT):
                continue
            seen.add(action)
            group = TABS if binding.action.startswith("tab(") else _GROUPS.get(binding.id.partition(".")[0], HERE)
            run = partial(app.run_action, binding.action, active.node)
            yield PaletteLine(group, binding.description, app.get_key_display(binding), binding.tooltip, run)
        yield PaletteLine(PROGRAM, "Theme", "", "Other colours, kept for the next run", app.action_change_theme)
        yield PaletteLine(
            PROGRAM,
            "Screenshot",
            "",
            "This screen as a picture (SVG)",
            partial(app.set_timer, 0.1, app.deliver_screenshot),
        )

    async def discover(self) -> Hits:
        """All there is, each group named once."""
        before = ""
        for choice in self.choices():
            shown = choice.group if choice.group != before else ""
            before = choice.group
            yield DiscoveryHit(choice.line(shown, self.app.size.width), choice.run, choice.name)

    async def search(self, query: str) -> Hits:
        """What matches, the name before what it does."""
        matcher = self.matcher(query)
        for choice in self.choices():
            score = max(matcher.match(choice.name), matcher.match(choice.does) / 2)
            if score > 0:
                yield Hit(score, choice.line(choice.group, self.app.size.width), choice.run, choice.name)
