"""Applies fixes step by step, journalled so that whatever happens in between, the next run can take it back."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from denet_tui.checks import catalogue
from denet_tui.checks.host import Host
from denet_tui.checks.model import Check, Finding, Fix, State
from denet_tui.checks.verdict import PROOF
from denet_tui.repair import journal, policy, root_files, steps
from denet_tui.repair.journal import Entry, Journal, JournalError, Record
from denet_tui.repair.runner import CancelledError, Runner, Say
from denet_tui.repair.steps import REAL, Settings, Step, StepError
from denet_tui.system import called

_BOOT = "/proc/sys/kernel/random/boot_id"


class RepairError(Exception):
    """Nothing was changed, or all of it was taken back; the text says why."""


@dataclass(frozen=True, slots=True)
class Applied:
    """A fix that is in force: whether anything had to be changed for it."""

    fix: str
    changed: bool


@dataclass(frozen=True, slots=True)
class Undone:
    """What became of a fix that was to be taken back: `left` names each step that stays, and why."""

    fix: str
    left: tuple[str, ...] = ()


class Repair:
    """The one who changes the machine. All of it needs root."""

    def __init__(
        self,
        host: Host,
        say: Say = lambda line: None,  # noqa: ARG005
        *,
        settings: Settings = REAL,
        cancel: threading.Event | None = None,
        session: str = "",
    ) -> None:
        """`say` gets a line for each thing that is done, and each line that a program prints.

        With a `session` only what was applied under that name is known: nothing else is listed, or undone on request.
        """
        self._host = host
        self._say = say
        self._settings = settings
        self._session = session
        self._runner = Runner(say, cancel)

    def apply(self, fix: Fix) -> Applied:
        """Bring a fix into force, wholly or not at all; raises RepairError, CancelledError (all taken back)."""
        self._need_root()
        wanted = refuse(fix, self._settings)
        if not journal.exists(self._settings.state) and not self._pending(wanted):
            return Applied(fix.id, changed=False)
        with self._journal() as book:
            self._recover(book)
            pending = self._pending(steps.steps_of(fix))  # once more: folders that were there may be gone now
            if not pending:
                self._tidy(book)
                return Applied(fix.id, changed=False)
            record = self._begin(book, fix)
            try:
                for step in pending:
                    self._make(book, step)
                book.end()
            except (StepError, root_files.UnsafeError, OSError, CancelledError, KeyboardInterrupt) as error:
                self._unwind(book, record, error)
        return Applied(fix.id, changed=True)

    def undo(self, ids: Iterable[str] | None = None) -> list[Undone]:
        """Take back these fixes (or those of these checks), all where `ids` is None, the last first.

        Raises RepairError where a fix was never applied, CancelledError.
        """
        self._need_root()
        wanted = None if ids is None else set(ids)
        if not os.path.lexists(self._settings.state):
            return self._none(wanted)
        with self._journal() as book:
            self._recover(book)
            chosen = [record for record in reversed(self._known(book)) if _named(record.fix, wanted)]
            unknown = {each for each in wanted or () if not any(_named(record.fix, {each}) for record in chosen)}
            if unknown:
                self._none(unknown)
            found = [Undone(record.fix, tuple(self._back(book, record))) for record in chosen]
            self._tidy(book)
        return found

    def _none(self, wanted: set[str] | None) -> list[Undone]:
        if wanted:
            raise RepairError(f"{', '.join(sorted(wanted))}: nothing to undo; never applied, or undone already")
        return []

    def recover(self) -> None:
        """Take back what an earlier run left half done; raises RepairError."""
        self._need_root()
        if journal.exists(self._settings.state):
            with self._journal() as book:
                self._recover(book)
                self._tidy(book)

    def applied(self) -> tuple[str, ...]:
        """Ids of fixes that can be undone, in the order of their application; raises RepairError."""
        self._need_root()
        if not journal.exists(self._settings.state):
            return ()
        with self._journal() as book:
            return tuple(record.fix for record in self._known(book))

    def _known(self, book: Journal) -> list[Record]:
        """What can be undone, in the order of its application."""
        return [each for each in book.records if each.open and self._session in ("", each.session)]

    def _begin(self, book: Journal, fix: Fix) -> Record:
        try:
            return book.begin(fix.id, fix.undo, self._boot(), self._session)
        except OSError as error:
            self._tidy(book)
            raise RepairError(f"{book.path}: {error.strerror}; nothing was changed") from None

    def _make(self, book: Journal, step: Step) -> None:
        """A step, with what was there before on disk before it is made."""
        if self._runner.cancel.is_set():
            raise CancelledError
        old = step.state(self._host)
        if step.there(self._host, old):
            return
        entry = book.intend(steps.to_json(step), old)
        step.make(self._host, self._run)
        book.done(entry, step.state(self._host))

    def _pending(self, wanted: Sequence[Step]) -> list[Step]:
        """Steps with something left to do; services read files again only where a step before changed something."""
        try:
            found = [step for step in wanted if step.reload or not step.there(self._host, step.state(self._host))]
        except (StepError, root_files.UnsafeError, OSError) as error:
            raise RepairError(f"{_reason(error)}; nothing was changed") from None
        return [] if all(step.reload for step in found) else found

    def _unwind(self, book: Journal, record: Record, error: BaseException) -> None:
        """Take back what was made of a fix; raises the error that it failed with."""
        self._say(f"{record.fix}: {_reason(error)}; taking back what was done")
        cancel, self._runner.cancel = self._runner.cancel, threading.Event()
        try:
            left = self._settle(book, record)
            self._tidy(book)
        finally:
            self._runner.cancel = cancel
        if left:
            raise RepairError(f"{record.fix}: {_reason(error)}; not all could be taken back: {'; '.join(left)}")
        if isinstance(error, CancelledError | KeyboardInterrupt):
            raise CancelledError(f"{record.fix} was cancelled, and what it had done was taken back") from None
        raise RepairError(f"{record.fix}: {_reason(error)}; what it had done was taken back") from None

    def _recover(self, book: Journal) -> None:
        """Take back what a run before this one left half done."""
        for record in reversed(book.records):
            if record.open and not record.finished:
                self._say(f"{record.fix} was interrupted half-way by an earlier run: taking it back")
                for line in self._settle(book, record):
                    self._say(f"{record.fix}: {line}")

    def _settle(self, book: Journal, record: Record) -> list[str]:
        """Take back what was begun; what could not be is in force from now on, and its undoing tries once more."""
        left = self._back(book, record)
        if left and record is book.records[-1]:
            try:
                book.end()
            except OSError as error:
                self._say(f"{self._settings.state}: {error.strerror}: the journal could not be written")
        return left

    def _back(self, book: Journal, record: Record) -> list[str]:
        """Take back the steps of a fix, the last first; what could not be taken back, in words.

        Commands that make a service read its files again come after the files.
        """
        left: list[str] = []
        later: list[Entry] = []
        for entry in record.open:
            try:
                step = steps.from_json(entry.step)
                step.check(self._settings)
                if step.reload:
                    later.append(entry)
                elif step.volatile and record.boot != self._boot():
                    self._say(f"{record.fix}: {_named_step(step)} ended with the reboot")
                    self._note(book.undone, entry)
                else:
                    self._step_back(book, entry, step)
            except (StepError, root_files.UnsafeError, OSError) as error:
                left.append(f"{_reason(error)} (by hand: {record.words})" if record.words else _reason(error))
        for entry in later:
            try:
                self._step_back(book, entry, steps.from_json(entry.step))
            except (StepError, OSError) as error:
                left.append(_reason(error))
                self._note(book.undone, entry)  # it changes nothing itself, and there is nothing to try again for
        return left

    def _step_back(self, book: Journal, entry: Entry, step: Step) -> None:
        """Take a step back; raises StepError where somebody has changed it since, and then leaves it alone."""
        seen = entry.seen if entry.done and not entry.undoing else None
        if step.foreign(self._host, entry.old, seen):
            raise StepError(f"{_named_step(step)} was changed since, by somebody else: left as it is")
        self._note(book.undoing, entry)
        try:
            step.back(self._host, self._run, entry.old, seen)
        except (StepError, root_files.UnsafeError, OSError):
            if step.state(self._host) == seen:
                self._note(book.kept, entry)
            raise
        self._note(book.undone, entry)
        self._say(f"undone: {_named_step(step)}")

    def _note(self, write: Callable[[Entry], None], entry: Entry) -> None:
        """Journal it where that is possible: a full disk is no reason to leave a machine half changed."""
        try:
            write(entry)
        except OSError as error:
            self._say(f"{self._settings.state}: {error.strerror}: the journal could not be written")

    def _tidy(self, book: Journal) -> None:
        try:
            book.remove_if_settled()
        except (root_files.UnsafeError, OSError) as error:
            raise RepairError(_reason(error)) from None

    @contextmanager
    def _journal(self) -> Iterator[Journal]:
        try:
            with Journal(self._settings.state, self._say) as book:
                self._runner.held = (book.descriptor,)
                yield book
        except JournalError as error:
            raise RepairError(str(error)) from None

    def _run(self, argv: tuple[str, ...]) -> None:
        self._say(f"$ {' '.join(argv)}")
        self._runner.run(argv)

    def _boot(self) -> str:
        try:
            return self._host.read(_BOOT).strip()
        except OSError:
            return ""

    def _need_root(self) -> None:
        if self._host.uid:
            raise RepairError(f"only root can change this machine: {called.how_as_root()}")


def refuse(fix: Fix, settings: Settings = REAL) -> list[Step]:
    """The steps of a fix; raises RepairError where it has none, or one that may not be made."""
    if not fix.changes:
        raise RepairError(f"{fix.id}: this is yours to do: {fix.advice or fix.title}")
    if wrong := policy.violations(fix):
        raise RepairError(f"{fix.id} is refused: {'; '.join(wrong)}")
    found = steps.steps_of(fix)
    try:
        for step in found:
            step.check(settings)
    except StepError as error:
        raise RepairError(f"{fix.id} is refused: {error}") from None
    return found


def interrupted(settings: Settings = REAL) -> bool:
    """Whether an earlier run was cut off half-way; raises RepairError where the journal is not to be trusted."""
    if not journal.exists(settings.state):
        return False
    try:
        with Journal(settings.state) as book:
            return any(record.open and not record.finished for record in book.records)
    except JournalError as error:
        raise RepairError(str(error)) from None


Look = Callable[[Sequence[str]], list[Finding]]


def verify(fix: Fix, look: Look, checks: Iterable[Check] | None = None) -> list[Finding]:
    """The findings that a fix may have changed: its check, those after it, and the proof. `look` runs checks."""
    known = {check.id: check for check in (catalogue.ALL if checks is None else checks)}
    return look(verified_by(fix.id.partition(".")[0], known))


def verified_by(identity: str, known: Mapping[str, Check]) -> list[str]:
    """Ids of the checks to run again where something was done about one: itself, those after it, and the proof."""
    after = known[identity].after if identity in known else ()
    return [check for check in dict.fromkeys([identity, *after, PROOF]) if check in known]


def holds(fix: Fix, findings: Iterable[Finding]) -> bool:
    """Whether the fix's own check no longer fails, and warns at most of what only a person can do (log in again)."""
    mine = [each for each in findings if each.id == fix.id.partition(".")[0]]
    warns = any(each.state is State.WARN and not _is_yours(each.fixes) for each in mine)
    return not warns and not any(each.state in (State.FAIL, State.OPTIONAL, State.CRASH) for each in mine)


def _is_yours(fixes: Sequence[Fix]) -> bool:
    return bool(fixes) and not any(fix.changes for fix in fixes)


def _named(fix: str, wanted: set[str] | None) -> bool:
    return wanted is None or fix in wanted or fix.partition(".")[0] in wanted


def _named_step(step: Step) -> str:
    return " ".join(step.argv) if isinstance(step, steps.CommandStep) else step.path


def _reason(error: BaseException) -> str:
    if isinstance(error, CancelledError | KeyboardInterrupt):
        return "cancelled"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'the journal'}: {error.strerror}"
    return str(error)
