"""The settings file: what it can say, and that everything wrong in it is named with its line."""

import tomllib
from pathlib import Path

import pytest

from denet_tui.preferences import settings
from denet_tui.preferences.settings import Allowed, SettingsError, UserSettings

ALLOWED = Allowed(
    themes=("nord", "textual-dark", "textual-light"),
    columns={"processes": ("pid", "name", "rate"), "syscalls": ("name", "rate", "total")},
    bindings=("app.quit", "app.help", "lines.follow"),
)


def read(folder: Path, text: str) -> UserSettings:
    (folder / "settings.toml").write_text(text)
    return settings.read(folder / "settings.toml", ALLOWED)


def test_everything_it_can_say(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        'interval = 2\ntheme = "light"\n[columns]\nsyscalls = ["total", "name"]\n[keys]\n"app.quit" = "x,ctrl+x"\n',
    )
    assert (found.interval, found.theme) == (2.0, "textual-light")
    assert found.columns == {"syscalls": ("total", "name")}
    assert found.keys == {"app.quit": "x,ctrl+x"}


def test_bindings_need_no_quotes(tmp_path: Path) -> None:
    assert read(tmp_path, "[keys]\napp.quit = 'x'\napp.help = 'z'").keys == {"app.quit": "x", "app.help": "z"}


def test_no_file_and_an_empty_one_say_nothing(tmp_path: Path) -> None:
    assert settings.read(tmp_path / "none", ALLOWED) == UserSettings()
    assert read(tmp_path, "").keys == {}


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("\n\ninterval = 0.01\n", 3, "interval is a number of seconds from 0.1 to 10"),
        ("interval = true\n", 1, "interval is a number"),
        ("interval = nan\n", 1, "interval is a number"),
        ("# theme = 1\ntheme = 'pink'\n", 2, "theme is one of dark, light, nord, textual-dark"),
        ("theme = ['dark']\n", 1, "theme is one of"),
        ("interval = 1\nintervall = 2\n", 2, "there is no setting intervall; allowed are interval"),
        ("[columns]\n\nsyscalls = ['nam']\n", 3, "syscalls is a list of some of name, rate, total"),
        ("[columns]\nsyscalls = ['name', 'name']\n", 2, "syscalls is a list"),
        ("[columns]\nsyscalls = []\n", 2, "syscalls is a list"),
        ("[columns]\nsyscalls = [['name']]\n", 2, "syscalls is a list"),
        ("[columns]\nsyscalls = 'name'\n", 2, "syscalls is a list"),
        ("[columns]\nnames = ['name']\n", 2, "there is no setting names; allowed are"),
        ("interval = 1\ncolumns = 3\n", 2, "columns is a table, [columns], of lists"),
        ("[keys]\n'app.quit' = 'x'\n\"app.hepl\" = 'x'\n", 3, "there is no setting app.hepl; allowed are app.help"),
        ("[keys]\n'app.quit' = 3\n", 2, 'app.quit is a key, or several with commas between: "x,ctrl+x"'),
        ("[keys]\n'app.quit' = 'x,,y'\n", 2, "app.quit is a key"),
        ("[keys]\n'app.quit' = ''\n", 2, "app.quit is a key"),
        ("[keys]\napp.quit = 3\n", 2, "app.quit is a key"),
        ("[keys]\napp.hepl = 'x'\n", 2, "there is no setting app.hepl; allowed are app.help"),
        ("keys.'app.quit' = 3\n", 1, "app.quit is a key"),
        ("interval = 1\ninterval = 2\n", 2, "not TOML: Cannot overwrite a value"),
        ("interval = \n", 1, "not TOML: Invalid value"),
        ("theme = 'da", 1, "not TOML: "),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, line: int, says: str) -> None:
    with pytest.raises(SettingsError) as raised:
        read(tmp_path, text)
    assert str(raised.value).startswith(f"{tmp_path}/settings.toml:{line}: {says}")
    assert "\n" not in str(raised.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_bytes(b"theme = '\xff'")
    with pytest.raises(SettingsError, match=r"cannot read the settings in .*: it is not UTF-8"):
        settings.read(tmp_path / "settings.toml", ALLOWED)
    with pytest.raises(SettingsError, match="Is a directory"):
        settings.read(tmp_path, ALLOWED)


def test_every_setting_is_explained_in_the_example() -> None:
    bare = settings.EXAMPLE.format(processes='"pid"', syscalls='"name"')
    assert tomllib.loads(bare) == {"columns": {}, "keys": {}}
    said = "\n".join(line.removeprefix("#") if line.startswith(("#i", "#t", "#p", "#s", '#"')) else line
                     for line in bare.splitlines())  # fmt: skip
    known = tomllib.loads(said)
    assert set(known) == {"interval", "theme", "columns", "keys"}
    assert set(known["columns"]) == set(ALLOWED.columns)
    assert known["keys"] == {"app.quit": "q,ctrl+q"}


@pytest.mark.parametrize(
    ("environment", "path"),
    [
        ({"HOME": "/home/me"}, "/home/me/.config/denet-tui/settings.toml"),
        ({"HOME": "/home/me", "XDG_CONFIG_HOME": "/etc/me"}, "/etc/me/denet-tui/settings.toml"),
        ({"HOME": "/home/me", "XDG_CONFIG_HOME": "relative"}, "/home/me/.config/denet-tui/settings.toml"),
    ],
)
def test_where_it_is(environment: dict[str, str], path: str) -> None:
    assert settings.where(environment) == Path(path)
