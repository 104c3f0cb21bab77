"""The user's preferences, read against what the screens know: themes, columns and bindings."""

from __future__ import annotations

import importlib
import logging
import pkgutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from textual.app import App
from textual.binding import Binding
from textual.dom import DOMNode
from textual.screen import Screen
from textual.theme import BUILTIN_THEMES

from denet_tui import screens, widgets
from denet_tui.preferences import settings, state
from denet_tui.preferences.screen import Preferences
from denet_tui.preferences.settings import Allowed, UserSettings
from denet_tui.screens.live.screen import LiveScreen
from denet_tui.system import files
from denet_tui.widgets.processes import ProcessTree
from denet_tui.widgets.syscalls import SyscallTable

log = logging.getLogger("denet_tui")


def load(environment: Mapping[str, str]) -> Preferences:
    """The preferences of the user with this environment; raises SettingsError."""
    file, found = log_where(environment), UserSettings()
    if file.exists():  # else there is no need to know every binding
        found = settings.read(file, allowed())
        clashes(found)
    folder = files.own_folder(environment, "XDG_STATE_HOME", Path(environment.get("HOME") or "/", ".local/state"))
    return Preferences(found, state.read(folder / state.FILE), folder)


def log_where(environment: Mapping[str, str]) -> Path:
    """The settings file of the user with this environment, which the log is told."""
    file = settings.where(environment)
    log.debug("settings: %s%s", file, "" if file.exists() else ", which is not there")
    return file


def example() -> str:
    """The settings file with every field explained, and the names of all columns."""
    columns = {table: ", ".join(f'"{name}"' for name in names) for table, names in allowed().columns.items()}
    return settings.EXAMPLE.format(**columns)


def list_bindings() -> str:
    """Every binding that may be given other keys, one a line: its name, its keys, and what it does."""
    known = sorted({(str(each.id), each.key, each.tooltip) for _, each in bindings() if each.id})
    first, second = (max(len(row[at]) for row in known) for at in (0, 1))
    return "".join(f"{name:<{first}}  {keys:<{second}}  {does}\n" for name, keys, does in known)


def allowed() -> Allowed:
    """What a settings file may name."""
    return Allowed(
        themes=list(BUILTIN_THEMES),
        columns={
            "processes": [column.key for column in ProcessTree.COLUMNS],
            "syscalls": [column.key for column in SyscallTable.COLUMNS],
        },
        bindings=sorted(binding.id for _, binding in bindings() if binding.id),
    )


def bindings() -> Iterator[tuple[type[DOMNode], Binding]]:
    """Every binding of ours, and the class that it is defined in."""
    from denet_tui.screens.live.app import DenetApp
    from denet_tui.screens.setup.app import HomeApp

    for package in (screens, widgets):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    seen: set[type[DOMNode]] = set()
    todo: list[type[DOMNode]] = [DenetApp, HomeApp, DOMNode]
    while todo:
        kind = todo.pop()
        if kind not in seen:
            seen.add(kind)
            todo += kind.__subclasses__()
            if kind.__module__.startswith("denet_tui."):
                yield from ((kind, each) for each in vars(kind).get("BINDINGS", ()) if isinstance(each, Binding))


def clashes(found: UserSettings) -> None:
    """Raise SettingsError where a key would do two things at the same place."""
    for name, keys in found.keys.items():
        for key in (part.strip() for part in keys.split(",")):
            other = _taken(found, name, key)
            if other is not None and found.source is not None:
                raise found.source.wrong(
                    "keys", name, f"{key} is {name} and {other} at the same place: give one of them another key"
                )


def _taken(found: UserSettings, name: str, key: str) -> str | None:
    """The binding beside `name` that has `key`, where both can be meant."""
    mine = [kind for kind, binding in bindings() if binding.id == name]
    for kind, binding in bindings():
        keys = found.keys.get(str(binding.id), binding.key).split(",")
        if binding.id != name and key in map(str.strip, keys) and any(_meet(kind, each) for each in mine):
            return binding.id
    return None


def _meet(one: type[DOMNode], other: type[DOMNode]) -> bool:
    """Whether one key press can reach the bindings of both classes: those of the live screen."""
    if issubclass(one, other) or issubclass(other, one):
        return True
    if any(issubclass(kind, Screen) and kind is not LiveScreen for kind in (one, other)):
        return False  # the others cover the live screen, or come before it
    if issubclass(one, App) and issubclass(other, App):
        return False
    inner = [bool(getattr(kind, "can_focus", False)) for kind in (one, other) if not issubclass(kind, Screen | App)]
    return inner not in ([True, True], [False, False])  # but in a widget and in what it stands in
