"""The user's settings file: what may stand in it, and what is wrong with one that cannot be used."""

from __future__ import annotations

import errno
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from denet_tui.system import files

LEAST_S, MOST_S = 0.1, 10.0
"""Seconds between two samples."""
_NAMES = ("interval", "theme", "columns", "keys")

EXAMPLE = """\
# Settings of denet-tui's screens. Lines that start with # are the defaults.

# Seconds between two samples, 0.1 to 10, also without a screen. --interval comes before it.
#interval = 0.5

# Colours: "dark", "light", or any theme that the palette (ctrl+p) lists. Where NO_COLOR is set there are none.
# Without this line: the theme of the last run.
#theme = "dark"

# The columns of the tables, from left to right; those that do not fit are left out, the least important first.
[columns]
#processes = [{processes}]
#syscalls = [{syscalls}]

# Other keys: the name of a binding, and one key or several with commas between them. `denet-tui settings --keys`
# lists the names. Keys are written as "x", "X", "ctrl+x", "f5", "space", "question_mark".
[keys]
#"app.quit" = "q,ctrl+q"
"""


class SettingsError(Exception):
    """A setting cannot be used; one line with the file, the line's number and what is allowed."""


class Allowed(NamedTuple):
    """What the screens know: themes, columns per table, and bindings."""

    themes: Collection[str] = ()
    columns: Mapping[str, Collection[str]] = MappingProxyType({})
    bindings: Collection[str] = ()


class UserSettings(NamedTuple):
    """What the file says; None and empty where it says nothing."""

    interval: float | None = None
    theme: str | None = None
    columns: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    keys: Mapping[str, str] = MappingProxyType({})
    """Binding id to keys."""
    source: SettingsText | None = None


class SettingsText(NamedTuple):
    """The file, to say where in it something stands."""

    path: Path
    text: str

    def wrong(self, table: str, key: str, what: str) -> SettingsError:
        """The error that names the line of `key` in `table` (empty: the top of the file)."""
        return SettingsError(f"{self.path}:{_line_of(self.text, table, key)}: {what}")


def where(environment: Mapping[str, str]) -> Path:
    """The file of the user with this environment."""
    default = Path(environment.get("HOME") or "/", ".config")
    return files.own_folder(environment, "XDG_CONFIG_HOME", default) / "settings.toml"


def read(path: Path, allowed: Allowed) -> UserSettings:
    """The settings in `path`, the defaults where there is no such file; raises SettingsError."""
    found, source = _parsed(path)
    return UserSettings() if source is None else _checked(source, found, allowed)


def interval(path: Path) -> float | None:
    """The seconds between two samples that the file says, None where it does not; raises SettingsError.

    For runs without a screen: what only the screens know of is not looked at.
    """
    found, source = _parsed(path)
    if source is None:
        return None
    _known(source, "", found, _NAMES)
    return _interval(source, found.get("interval"))


def _parsed(path: Path) -> tuple[dict[str, Any], SettingsText | None]:
    try:
        text = files.read(path).decode()
    except FileNotFoundError:
        return {}, None
    except (OSError, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and error.errno == errno.EMFILE:
            raise  # which is no fault of this file
        reason = (
            files.explain(error, "put it right, or move it away") if isinstance(error, OSError) else "it is not UTF-8"
        )
        raise SettingsError(f"cannot read the settings in {path}: {reason}") from None
    import tomllib  # a run without a settings file needs none of it

    try:
        return tomllib.loads(text), SettingsText(path, text)
    except tomllib.TOMLDecodeError as error:
        at = re.search(r" \(at line (\d+), column \d+\)$", str(error))
        line = at[1] if at else len(text.splitlines())
        raise SettingsError(f"{path}:{line}: not TOML: {str(error)[: at.start() if at else None]}") from None


def _checked(source: SettingsText, found: dict[str, Any], allowed: Allowed) -> UserSettings:
    _known(source, "", found, _NAMES)
    return UserSettings(
        _interval(source, found.get("interval")),
        _theme(source, found.get("theme"), allowed.themes),
        _columns(source, _table(source, found, "columns", "lists of columns"), allowed.columns),
        _keys(source, _table(source, found, "keys", "names of bindings with their keys"), allowed.bindings),
        source,
    )


def _interval(source: SettingsText, value: Any) -> float | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is not None and not (number and LEAST_S <= value <= MOST_S):
        raise source.wrong("", "interval", f"interval is a number of seconds from {LEAST_S} to {MOST_S:g}")
    return None if value is None else float(value)


def _theme(source: SettingsText, value: Any, themes: Collection[str]) -> str | None:
    theme = {"dark": "textual-dark", "light": "textual-light"}.get(value, value) if isinstance(value, str) else None
    if value is not None and theme not in themes:
        raise source.wrong("", "theme", f"theme is one of {_listed(['dark', 'light', *sorted(themes)])}")
    return theme


def _columns(source: SettingsText, found: dict[str, Any], allowed: Mapping[str, Collection[str]]) -> dict[str, Any]:
    _known(source, "columns", found, allowed)
    for table, names in found.items():
        some = isinstance(names, list) and names and all(name in allowed[table] for name in names)
        if not some or len(set(names)) < len(names):
            raise source.wrong("columns", table, f"{table} is a list of some of {_listed(allowed[table])}")
    return {table: tuple(names) for table, names in found.items()}


def _keys(source: SettingsText, keys: dict[str, Any], bindings: Collection[str]) -> dict[str, Any]:
    for name, value in list(keys.items()):
        if isinstance(value, dict):  # app.quit = "x", without the quotes that TOML asks for
            keys |= {f"{name}.{rest}": each for rest, each in keys.pop(name).items()}
    _known(source, "keys", keys, bindings)
    for name, value in keys.items():
        if not isinstance(value, str) or not value.isprintable() or not all(map(str.strip, value.split(","))):
            raise source.wrong("keys", name, f'{name} is a key, or several with commas between: "x,ctrl+x"')
    return keys


def _table(source: SettingsText, found: dict[str, Any], name: str, what: str) -> dict[str, Any]:
    table = found.get(name, {})
    if not isinstance(table, dict):
        raise source.wrong("", name, f"{name} is a table, [{name}], of {what}")
    return table


def _known(source: SettingsText, table: str, found: Collection[str], names: Collection[str]) -> None:
    for name in found:
        if name not in names:
            from difflib import get_close_matches

            close = get_close_matches(name, names, 3) or sorted(names)[:12]
            more = ", …" if len(names) > len(close) else ""
            raise source.wrong(table, name, f"there is no setting {name}; allowed are {_listed(close)}{more}")


def _listed(names: Collection[str]) -> str:
    return ", ".join(names)


def _line_of(text: str, table: str, key: str) -> int:
    """The number of the line where `key` of `table` is set; tomllib does not say it. 1 where it is not found."""
    key_of = re.compile(r"""\s*(?:\[\s*)?(?:"([^"]*)"|'([^']*)'|([\w.-]+))\s*[]=.]""")
    now, at_table = "", 1
    for number, line in enumerate(text.splitlines(), 1):
        found = key_of.match(line)
        name = next((part for part in found.groups() if part), "") if found else ""
        if line.lstrip().startswith("["):
            now = name
            at_table = number if now == table else at_table
        # `keys.quit = …` and `[keys.quit]` name the table in the key.
        if name and ((now == table and name == key) or name in {f"{table}.{key}", *([] if table else [key])}):
            return number
        if table and name.startswith(f"{table}."):
            at_table = number
    return at_table
