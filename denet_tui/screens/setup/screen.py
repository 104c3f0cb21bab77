"""The setup wizard: what keeps tracing from working here, step by step, and what puts it right."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from denet_tui import files
from denet_tui.checks import catalogue
from denet_tui.checks.host import Host
from denet_tui.checks.model import Fix
from denet_tui.helper import jobs, sudo
from denet_tui.screens.setup import pages, report
from denet_tui.screens.setup.actions import Offers
from denet_tui.screens.setup.engine import Asking, EngineEvent
from denet_tui.screens.setup.keys import KEYS
from denet_tui.screens.setup.leave import Answer, LeaveScreen
from denet_tui.screens.setup.pages import Shown
from denet_tui.screens.setup.start import Restart
from denet_tui.screens.setup.state import Walk, in_words
from denet_tui.visible import visible
from denet_tui.widgets.keys import KeyLine
from denet_tui.widgets.page import Page, Paragraph
from denet_tui.widgets.steps import StepList

_SPIN_S, _SOON_S = 0.1, 0.03


class SetupScreen(Screen[bool], inherit_bindings=False):
    """Steps at the left, the chosen one at the right; dismissed with True to go on to what is to be watched."""

    CSS_PATH = "screen.tcss"
    AUTO_FOCUS = "StepList"
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (40, "-single"), (60, "-narrow"), (100, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (12, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [*KEYS]

    def __init__(self, walk: Walk, host: Host, *, who: str, ask: Asking | None = None, note: str = "") -> None:
        """`who` says in the header as whom this runs; `ask` stands in where the engine is not root.

        Of `host` nothing is read but for the report, on a thread of its own: a dead mount must not hold a key up.
        """
        super().__init__()
        self.walk, self._engine, self._host, self._uid = walk, walk.engine, host, host.uid
        self._who, self._ask, self._first_note = who, ask, note
        self._visited: list[str] = []
        self._spin = 0
        self._details = self._everything = False
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

    def on_mount(self) -> None:
        """Look at everything."""
        self._engine.listen(lambda: self.post_message(EngineEvent()))
        self.walk.wait(self._engine.events.empty, 0)
        self.set_interval(_SPIN_S, self._turn)
        self.walk.begin()
        self.draw()
        self._note(self._first_note)
        if self.walk.in_force.interrupted:
            self._note(
                "! an earlier setup was interrupted half-way; the next fix, or its undoing, takes that back first"
            )

    # What the engine tells

    def on_engine_event(self) -> None:
        """Take in all that has happened, and draw what has changed."""
        for event in self.walk.catch_up():
            self._took(event)

    def _took(self, event: jobs.Event) -> None:
        match event:
            case jobs.Found() if not self.walk.looking:
                self._looked()
            case jobs.Ended():
                self._ended(event)
            case jobs.Gone():
                self._looked()
                self._note("✗ the helper has ended: nothing can be looked at or changed any more; q leaves")
            case jobs.Started() | jobs.Found() | jobs.Said() | jobs.Counted():
                self._draw_soon()
                return
        self.draw()
        if isinstance(event, jobs.Ended):
            self.query_one(Page).action_edge(1)  # what came of it is the last line

    def _looked(self) -> None:
        walk = self.walk
        if self._follow:
            self._follow = False
            self.draw()
            self._go(walk.next())
        if walk.ready and self._engine.may_load and not (walk.proof.running or walk.proof.end or walk.working):
            walk.prove()

    def _ended(self, event: jobs.Ended) -> None:
        self._note(in_words(event) if event.good else "")
        self._follow = event.good and event.kind == "apply"
        if self._leaving is not None and not self._undo_next():
            self.app.exit()

    # Drawing

    def _turn(self) -> None:
        """Turn the spinner; nothing is drawn where nothing is at work."""
        if self.walk.looking or self.walk.working or self.walk.proof.running:
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
            if (progress := self.walk.progress()) != self._progress:
                self._progress = progress
                self.query_one("#progress", Static).update(Content(progress))
            self.query_one(StepList).show(self.walk.rows(everything=self._everything, spin=self._spin))
            self._draw_page()
        self._offer()

    def _offer(self) -> None:
        """Have the line of keys say what can be done now."""
        back = {"back"} if len(self._visited) > 1 else set()
        if (offered := self.offers.actions | back) != self._offered:
            self._offered = offered
            self.refresh_bindings()

    def _draw_page(self, *, top: bool = False) -> None:
        working = self.walk.working == self.current
        self.query_one(Page).show(self._page(), top=top, follow=working)

    def _page(self) -> list[Paragraph]:
        current, offers = self.current, self.offers
        details = self.walk.details.get(current, ()) if self._details else ()
        log = (*self.walk.logs.get(current, ()), *(f"- {line}" for line in details))
        shown = Shown(offers.privilege, self._details, offers.accesses, offers.back, log, self._spin)
        return pages.page(self.walk, current, shown)

    @property
    def current(self) -> str:
        """The id of the step that the cursor is on, or the name of a group."""
        row = self.query_one(StepList).current
        return row.key if row else ""

    def _note(self, text: str) -> None:
        note = self.query_one("#note", Static)
        note.update(Content(visible(text)))
        note.display = bool(text)

    # What the user does

    def on_line_view_moved(self) -> None:
        """Explain the step that the cursor went to."""
        current = self.current
        if current != self._going:
            self._follow = False  # whoever looks around is not called away
        self._going = ""
        if current and self.walk.looked and self._visited[-1:] != [current]:
            self._visited = [*self._visited[-50:], current]
        self._armed = ""
        self._draw_page(top=True)
        self._offer()

    def on_page_picked(self, message: Page.Picked) -> None:
        """Do what was clicked: choose a fix, go to a step, or go on."""
        what, _, which = message.key.partition(":")
        if what == "fix":
            self._choose(which)
        elif what == "step":
            self._go(which)
        elif what == "go":
            self.action_go_on()

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
        return Offers(self.walk, self._uid, self.current, may_ask=self._ask is not None)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 (Textual's)
        """Offer only what can be done to the step that is shown."""
        return action in self._offered if action in Offers.SOMETIMES else True

    def action_go_on(self) -> None:
        """To what is to be watched."""
        self.dismiss(True)

    def action_apply(self) -> None:
        """Apply the chosen fix; one that weakens the machine only when asked twice."""
        fix, found = self.offers.fix, self.offers.access
        if found and not fix:
            self.app.exit(Restart(sudo.as_root("setup") if found.id == "sudo" else (*found.command[:-3], "setup")))
            return
        if fix is None:
            return
        if fix.weakens and self._armed != fix.id:
            self._armed = fix.id
            self._note(f"! this weakens the machine ({fix.weakens}); a once more applies it")
            return
        self._armed = ""
        self._start("apply", fix.id, fix)

    def action_undo(self) -> None:
        """Take back the fix of this step."""
        if fix := self.offers.undoable:
            self._start("undo", fix)

    def _start(self, kind: jobs.Kind, fix: str, shown: Fix | None = None) -> None:
        """Apply a fix as it is shown, or take one back; root is asked for what the engine does not do by itself."""
        self._note("")
        self.walk.working = self.current
        self.walk.logs[self.current] = []
        if shown and self._engine.root and not shown.weakens:
            self._engine.apply(shown)
        elif not shown and self._engine.root and fix in self.walk.in_force.mine:
            self._engine.undo(fix)
        elif self._ask:
            self._ask_for(kind, fix)
        else:
            self.walk.working = ""
            if shown:
                self._write_for_administrator()
            else:
                self._note(f"! {self.offers.back}")
        self.query_one(Page).action_edge(1)
        self.draw()

    def _ask_for(self, kind: jobs.Kind, fix: str) -> None:
        """Have one fix applied through sudo, on the terminal; the screen waits aside."""
        assert self._ask is not None  # noqa: S101 - asked for by the caller
        with self.app.suspend():
            self._engine.tell(self._ask(kind, fix))

    def _write_for_administrator(self) -> None:
        try:
            path = files.write_beside(Path.cwd(), "denet-tui-for-root.txt", self.offers.for_administrator)
            self._note(f"! only root can do this, and there is no sudo here: give {path} to an administrator")
        except OSError as error:
            self._note(f"! only root can do this; y copies it, as no file can be written here: {error.strerror}")

    def action_cancel(self) -> None:
        """End what is at work."""
        self._note("cancelling: what it had done is being taken back")
        self._engine.cancel()

    def action_skip(self) -> None:
        """Go on without this step."""
        current = self.current
        if current in self.walk.looking:
            self.walk.skip(current)
            return
        self.walk.left.add(current)
        self.draw()
        self._go(self.walk.next())

    def action_recheck(self) -> None:
        """Look again."""
        self.walk.proof.end = None
        self.walk.recheck(self.current)
        self.draw()

    def action_look(self) -> None:
        """Look at everything again."""
        self.walk.proof.end, self._follow = None, True
        self.walk.look(self.walk.order)
        self.draw()

    def action_choose(self, number: int) -> None:
        """Choose a fix by its number."""
        ids = self.offers.ids
        if number <= len(ids):
            self._choose(ids[number - 1])

    def _choose(self, fix: str) -> None:
        self._armed = ""
        self._note("")
        self.walk.picked[self.current] = fix
        self._draw_page()
        self._offer()

    def action_copy_fix(self) -> None:
        """Copy what the chosen fix runs."""
        if text := self.offers.text:
            self.app.copy_to_clipboard(text)
            self._note(f"copied, where this terminal allows it: {text.splitlines()[0]}")

    def action_back(self) -> None:
        """The step before."""
        if len(self._visited) > 1:
            self._visited.pop()
            self._go(self._visited[-1])

    def action_details(self) -> None:
        """Show, or hide, all that was asked and answered."""
        self._details = not self._details
        self._draw_page()

    def action_unfold(self) -> None:
        """Show all steps, or those that need something."""
        self._everything = not self._everything
        self.draw()

    def action_pane(self) -> None:
        """Go to the other side; where there is room for one only, that one is shown."""
        self.set_class(self.query_one(StepList).has_focus, "-page")
        (self.query_one(Page) if self.query_one(StepList).has_focus else self.query_one(StepList)).focus()

    def leave(self) -> None:
        """Leave; where something was done, or is being done, only after a question."""
        walk = self.walk
        if not walk.applied and not walk.working:
            self.app.exit()
            return
        left = [f"{each}: {walk.findings[each].title}" for each in walk.open() if each in walk.findings]
        self.app.push_screen(LeaveScreen(list(walk.applied.values()), left, walk.working), self._leave)

    def _leave(self, answer: Answer | None) -> None:
        if answer is None:
            return
        self._leaving = list(self.walk.applied.values()) if answer == "undo" else []
        if self.walk.working:
            self._engine.cancel()  # what comes of it is told, and then this ends
        elif not self._undo_next():
            self.app.exit()

    def _undo_next(self) -> bool:
        """Take back the next fix before leaving; False if there is none."""
        if not self._leaving:
            return False
        fix = self._leaving.pop()
        self._go(fix.partition(".")[0])
        self._start("undo", fix)
        return True

    def action_report(self) -> None:
        """Write the report, in a thread of its own."""
        self._note("writing the report")
        threading.Thread(target=self._report, name="report", daemon=True).start()

    def _report(self) -> None:
        try:
            path = report.write(self.walk.settled, Path.cwd(), self._host, uid=0 if self._engine.root else self._uid)
            text = f"✓ written: {path}; read it before you share it"
        except OSError as error:
            text = f"✗ the report cannot be written here: {files.explain(error, files.ELSEWHERE)}"
        self.app.call_from_thread(self._note, text)
