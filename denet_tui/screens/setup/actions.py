"""What the setup screen can do to a step."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from denet_tui.checks import catalogue
from denet_tui.checks.model import Fix
from denet_tui.checks.verdict import ACCESS, PROOF
from denet_tui.helper import sudo
from denet_tui.helper.access import Access
from denet_tui.repair import preview
from denet_tui.screens.setup import pages
from denet_tui.screens.setup.state import SetupState
from denet_tui.system import files

FEW_LINES = 6
"""Of a fix, which the first page shows whole; longer ones are read on their step's page before they are applied."""


@dataclass(frozen=True, slots=True)
class Offers:
    """What can be done to the step `current` (a check's id, or the name of a group)."""

    SOMETIMES: ClassVar = frozenset(
        {"go_on", "apply", "save", "cancel", "skip", "undo", "recheck", "copy_fix", "details", "back", "front"}
    )
    """Actions of the screen that are not always offered."""

    setup: SetupState
    uid: int
    """As whom this runs."""
    current: str
    may_ask: bool = True
    """False if there is no sudo."""
    front: bool = False
    """Whether the first page is shown, not that of the step."""

    @property
    def fix(self) -> Fix | None:
        """The fix that is chosen; at a way to the capabilities, what makes that way work."""
        return self.access.fix if self.access else self.setup.chosen(self.current)

    @property
    def alone(self) -> bool:
        """Whether this session cannot become root: everything here is for an administrator."""
        return not self.setup.engine.root and not self.may_ask

    @property
    def only_root(self) -> bool:
        """Whether nothing is in the way but that this session is not root."""
        return self.setup.needed() == [ACCESS] and not self.setup.engine.root

    @property
    def asks(self) -> str:
        """What asks for the password."""
        return f"{self.setup.sudo} is asked"

    @property
    def to_keep(self) -> Fix | None:
        """What lets the user watch without root, where it is not so yet."""
        return next((each.fix for each in self.accesses if each.id == "group"), None)

    @property
    def long(self) -> bool:
        """Whether what the chosen fix does is more than the first page shows of it."""
        return self.fix is not None and len(self.setup.preview(self.fix)) > FEW_LINES

    @property
    def accesses(self) -> tuple[Access, ...]:
        """The ways to the capabilities, at the step where one is chosen, where the engine has none."""
        return self.setup.accesses if self.current == ACCESS and not self.setup.engine.may_load else ()

    @property
    def access(self) -> Access | None:
        """The one of them that is chosen."""
        return pages.chosen_access(self.setup, self.accesses)

    @property
    def ids(self) -> list[str]:
        """What the keys 1 to 9 choose from."""
        return [each.id for each in self.accesses or self.setup.fixes(self.current)]

    @property
    def undoable(self) -> str:
        """The fix that can be taken back; empty where there is none."""
        known = (*self.setup.in_force.applied, *self.setup.applied.values())
        return next((each for each in reversed(known) if each.partition(".")[0] == self.current), "")

    @property
    def applies(self) -> bool:
        """Whether the engine applies the chosen fix: for what weakens the machine root is asked on the terminal."""
        return self.setup.engine.root and self.fix is not None and not self.fix.weakens

    @property
    def privilege(self) -> str:
        """As whom a fix is applied, in words."""
        if self.applies:
            return "root, by the one helper that stays root while this screen is open"
        if self.may_ask and self.uid == 0:
            return "root, by `denet-tui setup` on the terminal: the screen makes room for it, and comes back"
        if self.may_ask:
            return f"root, through {self.setup.sudo}: the screen makes room for its question, and comes back"
        return "root, which this session cannot become: a saves it for an administrator, y copies it"

    @property
    def back(self) -> str:
        """How the fix of this step is taken back, in words; empty where there is none."""
        fix = self.undoable
        if not fix:
            return ""
        did = "put it right" if self.setup.state(self.current) == "repaired" else "was applied"
        if self.setup.engine.root and fix in self.setup.in_force.mine:
            return f"{fix} {did}. u takes that back."
        if self.may_ask:
            return f"{fix} {did}. u takes that back, as root{f', through {self.setup.sudo}' if self.uid else ''}."
        return f"{fix} {did}. Only root takes that back: {sudo.to_undo(fix)}"

    @property
    def text(self) -> str:
        """What is copied."""
        found, fix = self.access, self.fix
        if self.alone and (self.front or self.current == ACCESS or (fix and fix.changes)):
            return self.for_administrator
        if fix:
            return preview.shell(fix) or "\n".join(fix.advice.split("`")[1::2]) or fix.advice
        return found.text if found else ""

    @property
    def for_administrator(self) -> str:
        """All that root has to do here, as a text to hand over; this step's first."""
        return self.setup.kept(("for root", self.current, self.fix and self.fix.id), self._for_administrator)

    def _for_administrator(self) -> str:
        if self.setup.needed() == [ACCESS]:
            reach = self.setup.reach
            return sudo.to_let_in(self.to_keep, only_root=bool(reach and reach.only_root))
        found = self.setup.findings.get(self.current)
        first = [(found, self.fix)] if found and self.fix else []
        rest = [(each.finding, each.fix) for each in self.setup.plan.choices if each.finding.id != self.current]
        previews = {fix.id: self.setup.preview(fix) for _, fix in (*first, *rest)}
        return sudo.for_administrator([*first, *rest], previews)

    def save_for_administrator(self, folder: Path) -> str:
        """Write that text, and say where, or why that was not possible."""
        try:
            path = files.write_beside(folder, "denet-tui-for-root.sh", self.for_administrator)
        except OSError as error:
            return f"! {folder} cannot be written ({error.strerror}): y copies it"
        return f"✓ saved: give {path} to an administrator, who reads it and runs it with sh, as root"

    @property
    def actions(self) -> frozenset[str]:
        """Those of SOMETIMES that make sense here and now."""
        setup, current, idle = self.setup, self.current, not self.setup.working
        is_step = current in catalogue.by_id
        pending = current not in (PROOF, ACCESS if self.front else "") and current in {*setup.looking, *setup.open()}
        found = {
            "go_on": idle and (setup.ready or (self.only_root and self.may_ask)),
            self._takes: idle and self._something_to_apply(),
            "cancel": not idle,
            "skip": idle and pending,
            "undo": idle and bool(self.undoable),
            "recheck": idle and is_step,
            "copy_fix": bool(self.text),
            "details": is_step or self.front,
            "front": not self.front,
        }
        return frozenset(action for action, offered in found.items() if offered)

    @property
    def _takes(self) -> str:
        """What is done about what is chosen: where that takes root, and nobody here can be, it is written down."""
        return "save" if self.alone and (self.front or self.fix is not None) else "apply"

    def _something_to_apply(self) -> bool:
        if self.front and self.current == ACCESS:
            return self.alone or self.to_keep is not None
        return self.access is not None or self._applicable()

    def _applicable(self) -> bool:
        fix = self.fix
        return fix is not None and bool(fix.changes) and self.setup.state(self.current) not in ("pass", "repaired")
