"""What the setup screen shows: the first page, or the steps with the page of the chosen one; and the way between."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from denet_tui.checks import catalogue
from denet_tui.checks.host import Host
from denet_tui.screens.setup import front, pages
from denet_tui.screens.setup.actions import Offers
from denet_tui.screens.setup.engine import Asking
from denet_tui.screens.setup.guide import GuideScreen
from denet_tui.screens.setup.pages import Shown
from denet_tui.screens.setup.state import SetupState
from denet_tui.system.visible import visible
from denet_tui.widgets.keys import KeyLine
from denet_tui.widgets.page import Page, Paragraph
from denet_tui.widgets.steps import StepList

_SOON_S = 0.03


class SetupViews(Screen[bool], inherit_bindings=False):
    """Draws what is known, and goes where the user goes; what is done to the machine is SetupScreen's."""

    CSS_PATH = "screen.tcss"
    AUTO_FOCUS = "Page"
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (40, "-single"), (60, "-narrow"), (100, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (12, "-tall")]  # noqa: RUF012

    def __init__(self, setup: SetupState, host: Host, *, who: str, ask: Asking | None = None, note: str = "") -> None:
        """`who` says in the header as whom this runs; `ask` stands in where the engine is not root.

        Of `host` nothing is read but for the report, on a thread of its own: a dead mount must not hold a key up.
        """
        super().__init__()
        self.setup, self._engine, self._host, self._uid = setup, setup.engine, host, host.uid
        self._who, self._ask, self._first_note = who, ask, note
        self._visited: list[str] = []
        self._spin = 0
        self._details = self._everything = False
        self._front = True
        """Whether the first page is shown, not the steps."""
        self._follow = True
        """Whether the cursor is to go to the next step once all is looked at."""
        self._going = catalogue.AREAS[0]
        """The step that the cursor is being put on, not by the user."""
        self._armed = ""
        """A fix that weakens the machine, and was asked for once."""
        self._waiting = False
        """Whether a drawing is on its way."""
        self._progress = ""
        self._offered: frozenset[str] = frozenset()
        self._leaving: list[str] | None = None
        """Fixes that are still to be taken back before this is left."""

    def compose(self) -> ComposeResult:
        """Lay it out."""
        with Horizontal(id="head"):
            yield Static(Content("denet-tui setup"), id="title")
            yield Static(Content(visible(self._who)), id="who")
            yield Static("", id="progress")
        with Horizontal(id="panes"):
            yield StepList()
            yield Page()
        yield Static("", id="note")
        yield KeyLine()
        yield Static("terminal too small: needs 40x12", id="too-small")

    # Drawing

    def _turn(self) -> None:
        """Turn the spinner; nothing is drawn where nothing is at work."""
        if self.setup.looking or self.setup.working or self.setup.proof.running:
            self._spin += 1
            self.draw()

    def _draw_soon(self) -> None:
        """Draw what has come once for all that comes within a moment: keys have their turn in between."""
        if not self._waiting:
            self._waiting = True
            self.set_timer(_SOON_S, self.draw)

    def draw(self) -> None:
        """Draw what has changed."""
        self._waiting = False
        with self.app.batch_update():
            if (progress := self.setup.progress()) != self._progress:
                self._progress = progress
                self.query_one("#progress", Static).update(Content(progress))
            self.query_one(StepList).show(self.setup.rows(everything=self._everything, spin=self._spin))
            self._draw_page()
        self._offer()

    def _offer(self) -> None:
        """Have the line of keys say what can be done now."""
        back = {"back"} if len(self._visited) > 1 else set()
        if (offered := self.offers.actions | back) != self._offered:
            self._offered = offered
            self.refresh_bindings()

    def _draw_page(self, *, top: bool = False) -> None:
        working = self.setup.working == self.current
        self.query_one(Page).show(self._page(), top=top, follow=working)

    def _page(self) -> list[Paragraph]:
        current, offers = self.current, self.offers
        details = self.setup.details.get(current, ()) if self._details else ()
        log = (*self.setup.logs.get(current, ()), *(f"- {line}" for line in details))
        shown = Shown(offers.privilege, self._details, offers.accesses, offers.back, log, self._spin)
        if self._front:
            return front.front_page(self.setup, offers, shown)
        return pages.page(self.setup, current, shown)

    @property
    def current(self) -> str:
        """The id of the step that the cursor is on, or the name of a group."""
        row = self.query_one(StepList).current
        return row.key if row else ""

    def _note(self, text: str) -> None:
        note = self.query_one("#note", Static)
        note.update(Content(visible(text)))
        note.display = bool(text)

    def on_line_view_moved(self) -> None:
        """Explain the step that the cursor went to."""
        current = self.current
        if current != self._going:
            self._follow = False  # whoever looks around is not called away
        self._going = ""
        if current and self.setup.looked and self._visited[-1:] != [current]:
            self._visited = [*self._visited[-50:], current]
        self._armed = ""
        self._draw_page(top=True)
        self._offer()

    def _go(self, identity: str) -> None:
        steps = self.query_one(StepList)
        if all(row.key != identity for row in steps.rows):
            self._everything = True
            self.draw()
        if self.current != identity:
            self._going = identity
            steps.go_to(identity)

    @property
    def offers(self) -> Offers:
        """What can be done to the step that is shown."""
        return Offers(self.setup, self._uid, self.current, self._ask is not None, self._front)

    def action_back(self) -> None:
        """The step before."""
        if len(self._visited) > 1:
            self._visited.pop()
            self._go(self._visited[-1])

    def action_guide(self) -> None:
        """Look words up in the guide, and among the checks."""
        self.app.push_screen(GuideScreen(self.setup.settled))

    def action_front(self) -> None:
        """Back to the first page."""
        self._show_front(True)
        self._go(self.setup.next())

    def _show_front(self, shown: bool) -> None:  # noqa: FBT001 (what else)
        self._front = shown
        self.set_class(shown, "-front")
        self._draw_page(top=True)
        self._offer()
        self.set_class(not shown, "-page")  # where there is room for one side only: what was just spoken of
        (self.query_one(Page) if shown or self.has_class("-single") else self.query_one(StepList)).focus()

    def action_details(self) -> None:
        """From the first page to the steps; there, show all that was asked and answered, and go there, or hide it."""
        if self._front:
            self._show_front(False)
            return
        self._details = not self._details
        self._draw_page(top=not self._details)
        if self._details:
            page = self.query_one(Page)
            at = next((number for number, line in enumerate(page.texts) if line.startswith("Took")), 0)
            page.scroll_to(y=at, animate=False, immediate=True, force=True)

    def action_unfold(self) -> None:
        """Show all steps, or those that need something."""
        self._everything = self._front or not self._everything
        if self._front:
            self._show_front(False)
        self.draw()

    def action_pane(self) -> None:
        """Go to the other side; where there is room for one only, that one is shown."""
        if self._front:
            return
        self.set_class(self.query_one(StepList).has_focus, "-page")
        (self.query_one(Page) if self.query_one(StepList).has_focus else self.query_one(StepList)).focus()
