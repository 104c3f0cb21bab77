"""The setup wizard: what keeps tracing from working here, step by step, and what puts it right."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import ClassVar

from textual.binding import BindingType

from denet_tui.checks.model import Fix
from denet_tui.checks.verdict import ACCESS
from denet_tui.helper import jobs, sudo
from denet_tui.screens.setup import report
from denet_tui.screens.setup.actions import Offers
from denet_tui.screens.setup.engine import EngineEvent
from denet_tui.screens.setup.keys import KEYS
from denet_tui.screens.setup.leave import Answer, LeaveScreen
from denet_tui.screens.setup.start import Restart
from denet_tui.screens.setup.state import in_words
from denet_tui.screens.setup.views import SetupViews
from denet_tui.widgets.page import Page

_SPIN_S = 0.1


class SetupScreen(SetupViews, inherit_bindings=False):
    """Steps at the left, the chosen one at the right; dismissed with True to go on to what is to be watched."""

    BINDINGS: ClassVar[list[BindingType]] = [*KEYS]

    def on_mount(self) -> None:
        """Look at everything."""
        self._show_front(True)
        self._engine.listen(lambda: self.post_message(EngineEvent()))
        self.setup.wait(self._engine.events.empty, 0)
        self.set_interval(_SPIN_S, self._turn)
        self.setup.begin()
        self.draw()
        self._note(self._first_note)
        if self.setup.in_force.interrupted:
            self._note(
                "! an earlier setup was interrupted half-way; the next fix, or its undoing, takes that back first"
            )

    # What the engine tells

    def on_engine_event(self) -> None:
        """Take in all that has happened, and draw what has changed."""
        for event in self.setup.catch_up():
            self._took(event)

    def _took(self, event: jobs.Event) -> None:
        match event:
            case jobs.Found() if not self.setup.looking:
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
        setup = self.setup
        if self._follow:
            self._follow = False
            self.draw()
            self._go(setup.next())
        if setup.ready and self._engine.may_load and not (setup.proof.running or setup.proof.end or setup.working):
            setup.prove()

    def _ended(self, event: jobs.Ended) -> None:
        self._note(in_words(event) if event.good else "")
        self._follow = event.good and event.kind == "apply"
        if self._leaving is not None and not self._undo_next():
            self.app.exit()

    # What the user does

    def on_page_picked(self, message: Page.Picked) -> None:
        """Do what was clicked: choose a fix, go to a step, or go on."""
        what, _, which = message.key.partition(":")
        if what == "fix":
            self._choose(which)
        elif what == "step":
            self._go(which)
        elif what == "go" and "go_on" in self._offered:
            self.action_go_on()
        elif what == "key":
            self.app.simulate_key(which)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 (Textual's)
        """Offer only what can be done to the step that is shown."""
        return action in self._offered if action in Offers.SOMETIMES else True

    def action_go_on(self) -> None:
        """To what is to be watched."""
        self.dismiss(True)

    def action_apply(self) -> None:
        """Apply the chosen fix; one that weakens the machine only when asked twice."""
        offers = self.offers
        fix, found = offers.fix, offers.access
        if self._front and (self.current == ACCESS or offers.long):
            self._show_front(False)
            if self.current == ACCESS:
                self._choose("group")
            self._note("this is all that it does; a applies it, escape leaves it")
            return
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

    def action_save(self) -> None:
        """Write down what is chosen, for an administrator."""
        self._note(self.offers.save_for_administrator(Path.cwd()))

    def action_undo(self) -> None:
        """Take back the fix of this step."""
        if fix := self.offers.undoable:
            self._start("undo", fix)

    def _start(self, kind: jobs.Kind, fix: str, shown: Fix | None = None) -> None:
        """Apply a fix as it is shown, or take one back; root is asked for what the engine does not do by itself."""
        self._note("")
        self.setup.working = self.current
        self.setup.logs[self.current] = []
        if shown and self._engine.root and not shown.weakens:
            self._engine.apply(shown)
        elif not shown and self._engine.root and fix in self.setup.in_force.mine:
            self._engine.undo(fix)
        elif self._ask:
            self._ask_for(kind, fix)
        else:
            self.setup.working = ""
            if shown:
                self.action_save()
            else:
                self._note(f"! {self.offers.back}")
        self.query_one(Page).action_edge(1)
        self.draw()

    def _ask_for(self, kind: jobs.Kind, fix: str) -> None:
        """Have one fix applied through sudo, on the terminal; the screen waits aside."""
        assert self._ask is not None  # noqa: S101 - asked for by the caller
        with self.app.suspend():
            self._engine.tell(self._ask(kind, fix))

    def action_cancel(self) -> None:
        """End what is at work."""
        self._note("cancelling: what it had done is being taken back")
        self._engine.cancel()

    def action_skip(self) -> None:
        """Go on without this step."""
        current = self.current
        if current in self.setup.looking:
            self.setup.skip(current)
            return
        self.setup.left.add(current)
        self.draw()
        self._go(self.setup.next())

    def action_recheck(self) -> None:
        """Look again."""
        self.setup.proof.end = None
        self.setup.recheck(self.current)
        self.draw()

    def action_look(self) -> None:
        """Look at everything again."""
        self.setup.proof.end, self._follow = None, True
        self.setup.look(self.setup.order)
        self.draw()

    def action_choose(self, number: int) -> None:
        """Choose a fix by its number."""
        self._show_front(False)
        ids = self.offers.ids
        if number <= len(ids):
            self._choose(ids[number - 1])

    def _choose(self, fix: str) -> None:
        self._armed = ""
        self._note("")
        self.setup.picked[self.current] = fix
        self._draw_page()
        self._offer()

    def action_copy_fix(self) -> None:
        """Copy what the chosen fix runs."""
        if text := self.offers.text:
            self.app.copy_to_clipboard(text)
            self._note(f"copied, where this terminal allows it: {text.removeprefix(sudo.HEAD).splitlines()[0]}")

    def leave(self) -> None:
        """Leave; where something was done, or is being done, only after a question."""
        setup = self.setup
        if not setup.applied and not setup.working:
            self.app.exit()
            return
        left = [f"{each}: {setup.findings[each].title}" for each in setup.open() if each in setup.findings]
        self.app.push_screen(LeaveScreen(list(setup.applied.values()), left, setup.working), self._leave)

    def _leave(self, answer: Answer | None) -> None:
        if answer is None:
            return
        self._leaving = list(self.setup.applied.values()) if answer == "undo" else []
        if self.setup.working:
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
        uid = 0 if self._engine.root else self._uid
        self.call_later(self._note, report.told(self.setup.settled, Path.cwd(), self._host, uid=uid))
