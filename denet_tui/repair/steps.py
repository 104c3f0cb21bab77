"""The steps that a fix is made of. Each can say what is there, whether it has nothing left to do, and go back."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import PurePath, PurePosixPath
from typing import Any

from denet_tui.checks.host import Host
from denet_tui.checks.leftovers import OVERRIDE, RULES, SERVICE, SYSCTL
from denet_tui.checks.model import Fix, RunCommand, SetValue, WriteFile
from denet_tui.repair import effects, root_files
from denet_tui.repair.effects import EffectError

Run = Callable[[tuple[str, ...]], None]
"""Runs a program to its end; raises StepError where it fails."""

_SYSTEMD = "/etc/systemd/system"


class StepError(Exception):
    """A step was not made, or not taken back; the text says why."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What repair may touch. Tests put a folder of their own here."""

    state: str = "/var/lib/denet-tui"
    """Where the journal is; root's alone."""
    files: tuple[str, ...] = (
        *(f"/etc/{name}/*denet-tui*" for name in ("sysctl.d", "modules-load.d", "tmpfiles.d", "sysusers.d")),
        "/etc/security/limits.d/*denet-tui*",
        *(f"{_SYSTEMD}/{name}" for name in ("*denet-tui*", "denet_tui.slice", "sys-kernel-*.mount.d/*denet-tui*")),
        "/opt/denet-tui/*",
    )
    """Patterns of files that may be written: each has our name in it, so no other program's file can be meant."""
    removable: tuple[str, ...] = (SERVICE, RULES, OVERRIDE, SYSCTL)
    """What other guides leave behind: may be removed (and is given back by undo), never written."""
    values: tuple[str, ...] = ("/proc/sys/",)
    programs: tuple[str, ...] = effects.FOLDERS


REAL = Settings()


@dataclass(frozen=True, slots=True)
class FileStep:
    """A whole file of our own, or its absence (`text` None)."""

    path: str
    text: str | None
    mode: int
    kind: str = "file"
    volatile: bool = False
    reload: bool = False

    def check(self, settings: Settings) -> None:
        """Raise StepError where this is not ours to touch."""
        ours = any(fnmatchcase(self.path, pattern) for pattern in settings.files)
        if not (ours or (self.text is None and self.path in settings.removable)):
            raise StepError(f"{self.path} is not a file of denet-tui's own: not touched")
        if self.mode & 0o7022:
            raise StepError(f"{self.path}: mode {self.mode:04o} would let others change it")

    def state(self, host: Host) -> Any:  # noqa: ARG002 - files are read without following links, so not by Host
        """The file as JSON, None if there is none."""
        found = root_files.read_file(self.path)
        return found.as_json() if found else None

    def there(self, host: Host, state: Any) -> bool:  # noqa: ARG002
        """Whether the file is as it should be."""
        return _same(state, self.planned)

    @property
    def planned(self) -> Any:
        """What will be there."""
        return None if self.text is None else root_files.FileState(self.text.encode(), self.mode).as_json()

    def make(self, host: Host, run: Run) -> None:  # noqa: ARG002
        """Write or remove it."""
        if self.text is None:
            root_files.remove_file(self.path)
        else:
            root_files.write_file(self.path, root_files.FileState(self.text.encode(), self.mode))

    def foreign(self, host: Host, old: Any, seen: Any) -> bool:
        """Whether it was changed since."""
        now = self.state(host)
        return not _same(now, old) and not _same(now, self.planned if seen is None else seen)

    def back(self, host: Host, run: Run, old: Any, seen: Any) -> None:  # noqa: ARG002
        """Give back what was there."""
        root_files.remove_draft(self.path)
        if _same(self.state(host), old):
            return
        if old is None:
            root_files.remove_file(self.path)
        else:
            root_files.write_file(self.path, root_files.FileState.of_json(old))


def _same(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return one is other
    return root_files.FileState.of_json(one).same(root_files.FileState.of_json(other))


@dataclass(frozen=True, slots=True)
class FolderStep:
    """A folder that one of our files needs."""

    path: str
    kind: str = "folder"
    volatile: bool = False
    reload: bool = False

    def check(self, settings: Settings) -> None:
        """Raise StepError where none of our files could lie in it."""
        if not any(
            fnmatchcase(f"{self.path}/x-denet-tui", each) or each.startswith(self.path) for each in settings.files
        ):
            raise StepError(f"{self.path} is not a folder that denet-tui makes")

    def state(self, host: Host) -> Any:  # noqa: ARG002
        """Whether it exists."""
        return root_files.is_folder(self.path)

    def there(self, host: Host, state: Any) -> bool:  # noqa: ARG002
        """Whether it exists."""
        return bool(state)

    def make(self, host: Host, run: Run) -> None:  # noqa: ARG002
        """Make it."""
        root_files.make_folder(self.path)

    def foreign(self, host: Host, old: Any, seen: Any) -> bool:  # noqa: ARG002
        """Whether something was put into it since."""
        return bool(not old and self.state(host) and os.listdir(self.path))  # noqa: PTH208 - str is what is there

    def back(self, host: Host, run: Run, old: Any, seen: Any) -> None:  # noqa: ARG002
        """Remove it."""
        if not old and self.state(host):
            root_files.remove_folder(self.path)


@dataclass(frozen=True, slots=True)
class ValueStep:
    """A value of the kernel under /proc/sys, until reboot."""

    path: str
    value: str
    kind: str = "value"
    volatile: bool = True
    reload: bool = False

    def check(self, settings: Settings) -> None:
        """Raise StepError where this is no value of the kernel."""
        plain = os.path.normpath(self.path) == self.path and "\n" not in self.value
        if not (plain and self.path.startswith(settings.values)):
            raise StepError(f"{self.path} is not below /proc/sys: not touched")

    def state(self, host: Host) -> Any:  # noqa: ARG002
        """The value, words separated by one space."""
        return root_files.read_value(self.path)

    def there(self, host: Host, state: Any) -> bool:  # noqa: ARG002
        """Whether it is set."""
        return bool(state == " ".join(self.value.split()))

    def make(self, host: Host, run: Run) -> None:  # noqa: ARG002
        """Set it; raises StepError where the kernel takes it and does not keep it."""
        root_files.write_value(self.path, self.value)
        if not self.there(host, found := self.state(host)):
            raise StepError(f"{self.path} stayed {found}")

    def foreign(self, host: Host, old: Any, seen: Any) -> bool:  # noqa: ARG002
        """Whether something else was set since."""
        now = self.state(host)
        return bool(now != old and not self.there(host, now))

    def back(self, host: Host, run: Run, old: Any, seen: Any) -> None:  # noqa: ARG002
        """Set what was there."""
        if self.state(host) != old:
            root_files.write_value(self.path, str(old))


@dataclass(frozen=True, slots=True)
class CommandStep:
    """A program of the distribution, whose effect can be read."""

    argv: tuple[str, ...]
    undo: tuple[str, ...] | None
    kind: str = "command"

    @property
    def _effect(self) -> effects.Effect:
        try:
            return effects.effect_of(self.argv)
        except EffectError as error:
            raise StepError(str(error)) from None

    @property
    def volatile(self) -> bool:
        """Whether a reboot takes it back by itself."""
        return self._effect.volatile

    @property
    def reload(self) -> bool:
        """Whether it makes a service read files again."""
        return self._effect.reload

    def check(self, settings: Settings) -> None:
        """Raise StepError where one of its programs is not the distribution's, or its effect cannot be told."""
        for argv in filter(None, (self.argv, self.undo)):
            program = PurePosixPath(argv[0])
            if str(program.parent) not in settings.programs:
                raise StepError(f"{argv[0]} is not in {', '.join(settings.programs)}: not run")
            try:
                found = os.stat(program)  # noqa: PTH116 - the link /bin on merged systems is root's
                effects.effect_of(argv)
            except OSError as error:
                raise StepError(f"{argv[0]}: {error.strerror}") from None
            except EffectError as error:
                raise StepError(str(error)) from None
            if not stat.S_ISREG(found.st_mode) or found.st_uid or found.st_mode & 0o022:
                raise StepError(f"{argv[0]} can be changed by others than root: not run")

    def state(self, host: Host) -> Any:
        """What the program would change, as it is now."""
        try:
            return self._effect.state(host, self.argv)
        except EffectError as error:
            raise StepError(str(error)) from None

    def there(self, host: Host, state: Any) -> bool:
        """Whether the program has nothing left to do."""
        return self._effect.there(host, self.argv, state)

    def make(self, host: Host, run: Run) -> None:  # noqa: ARG002
        """Run it."""
        run(self.argv)

    def foreign(self, host: Host, old: Any, seen: Any) -> bool:
        """Whether it was changed since. After a run that was cut off, that cannot be told."""
        now = self.state(host)
        return bool(seen is not None and self._effect.left(old, seen, now) and not self._effect.ours(old, seen, now))

    def back(self, host: Host, run: Run, old: Any, seen: Any) -> None:
        """Take back what it did; raises StepError where not all of it can be."""
        if self.reload:
            run(self.undo or self.argv)
            return
        mine = self._effect.left(old, seen, self.state(host))
        if not mine:
            return
        try:
            for argv in self._effect.back(host, self.argv, self.undo, mine, cut_off=seen is None):
                run(argv)
        except EffectError as error:
            raise StepError(str(error)) from None
        if left := self._effect.left(old, seen, self.state(host)):
            raise StepError(f"{PurePath(self.argv[0]).name}: not all of it could be taken back: {left}")


Step = FileStep | FolderStep | ValueStep | CommandStep


def steps_of(fix: Fix) -> list[Step]:
    """The steps of a fix, in order; folders that its files need come before them."""
    found: list[Step] = []
    for change in fix.changes:
        match change:
            case WriteFile(path, text, mode):
                if text is not None:
                    found += [FolderStep(each) for each in _missing(path) if FolderStep(each) not in found]
                found.append(FileStep(path, text, mode))
            case SetValue(path, value):
                found.append(ValueStep(path, value))
            case RunCommand(argv, undo):
                found.append(CommandStep(argv, undo))
    return found


def _missing(path: str) -> list[str]:
    """Folders above a path that do not exist, the outermost first."""
    above = [str(parent) for parent in PurePosixPath(path).parents]
    return [each for each in reversed(above) if not os.path.lexists(each)]


def to_json(step: Step) -> dict[str, Any]:
    """For the journal."""
    return asdict(step)


def from_json(value: dict[str, Any]) -> Step:
    """From the journal; raises StepError where it makes no sense."""
    kinds: dict[str, Callable[..., Step]] = {
        "file": FileStep, "folder": FolderStep, "value": ValueStep, "command": CommandStep
    }  # fmt: skip
    fields = {name: tuple(each) if isinstance(each, list) else each for name, each in value.items()}
    try:
        return kinds[str(fields["kind"])](**fields)
    except (KeyError, TypeError):
        raise StepError(f"the journal names a step that this version does not know: {value.get('kind')}") from None
