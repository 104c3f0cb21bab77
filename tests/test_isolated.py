"""denet-tui as root, started with a hostile environment, folder or Python home: none of it is executed or stops it."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from denet_tui import __version__
from tests.person import Person
from tests.real import environment

VERSION = f"denet-tui {__version__}"
MODULE = [sys.executable, "-m", "denet_tui"]
_CHECKOUT = Path(sys.executable).with_name("denet-tui")


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The script as pip installs it from the wheel; what it depends on is this environment's."""
    folder = tmp_path_factory.mktemp("pip")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True, timeout=60)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--prefix", folder / "venv"]
    subprocess.run([*pip, wheel], check=True, timeout=60)
    (packages,) = folder.glob("venv/lib/python*/site-packages")
    here = next(path for path in sys.path if path.endswith("site-packages"))
    (packages / "dependencies.pth").write_text(f"{here}\n")
    return folder / "venv/bin/denet-tui"


@pytest.fixture(params=["pip", "checkout"])
def script(request: pytest.FixtureRequest) -> str:
    """The path of denet-tui, for each of the ways in which it comes to be there."""
    if request.param == "pip":
        return str(request.getfixturevalue("installed"))
    if not _CHECKOUT.exists():
        pytest.skip("needs the .venv of `make venv`: denet-tui is not installed for this Python")
    return str(_CHECKOUT)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """Is there once something of the attacker's has been executed."""
    return tmp_path / "executed"


def program(mark: Path) -> Path:
    """The attacker's program."""
    path = mark.with_name("program")
    path.write_text(f"#!/bin/sh\nid > {mark}\n")
    path.chmod(0o755)
    return path


def modules(mark: Path, *names: str) -> Path:
    """A folder with the attacker's modules of these names."""
    folder = mark.with_name("modules")
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"open({str(mark)!r}, 'w').close()\n")
    return folder


def warnings(mark: Path) -> dict[str, str]:
    return {"PYTHONWARNINGS": "all:0:antigravity.x:0:0", "BROWSER": str(program(mark))}


def shadowed(mark: Path) -> dict[str, str]:
    return {"PYTHONPATH": str(modules(mark, "json.py", "click.py"))}


def customized(mark: Path) -> dict[str, str]:
    return {"PYTHONPATH": str(modules(mark, "sitecustomize.py"))}


def no_home(mark: Path) -> dict[str, str]:
    return {"PYTHONHOME": "/nonexistent"}


def foreign_home(mark: Path) -> dict[str, str]:
    library = f"lib/python{sys.version_info[0]}.{sys.version_info[1]}"
    return {"PYTHONHOME": str(modules(mark, f"{library}/encodings/__init__.py"))}


def run(argv: list[str], cwd: Path, **hostile: str) -> str:
    """What it prints as root, after its children have had time to do something."""
    env = {name: value for name, value in environment().items() if not name.startswith("PYTHON")} | hostile
    done = subprocess.run(argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    return (done.stdout + done.stderr).strip()


@pytest.mark.parametrize("hostile", [warnings, shadowed, customized, no_home, foreign_home])
@pytest.mark.slow
def test_the_callers_python_variables_are_not_looked_at(
    script: str, mark: Path, hostile: Callable[[Path], dict[str, str]]
) -> None:
    assert run([script, "--version"], mark.parent, **hostile(mark)) == VERSION
    assert not mark.exists()


def test_as_a_module_neither_the_folder_nor_the_path_is_looked_at(mark: Path) -> None:
    hostile = shadowed(mark)
    assert run([*MODULE, "--version"], Path(hostile["PYTHONPATH"]), **hostile) == VERSION
    assert not mark.exists()


@pytest.mark.slow
@pytest.mark.parametrize("as_module", [False, True])
def test_no_prompt_of_python_comes_after_it(installed: Path, *, as_module: bool, mark: Path, tmp_path: Path) -> None:
    start = MODULE if as_module else [str(installed)]
    text = f"open({str(mark)!r}, 'w').close()\n"
    (tmp_path / "startup.py").write_text(text)
    hostile = {
        "PYTHONINSPECT": "1",
        "PYTHONSTARTUP": str(tmp_path / "startup.py"),
        "PYTHONBREAKPOINT": "os.abort",
    }
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [*start, "--version"], stdin=follower, stdout=follower, stderr=follower, env=environment() | hostile
    )
    try:
        os.close(follower)
        os.write(leader, text.encode())
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        process.wait()
        os.close(leader)
    assert not mark.exists()


def test_under_a_real_sudo_that_keeps_the_environment(person: Person, installed: Path) -> None:
    mark = person.home / "executed"
    mark.unlink(missing_ok=True)
    answer = person.shell('sudo -E "$1" --version', str(installed), **warnings(mark))
    assert answer.stdout.strip() == VERSION, answer.stderr
    assert not mark.exists()


@pytest.mark.root
def test_the_command_gets_the_callers_variables_as_they_are(installed: Path, tmp_path: Path) -> None:
    theirs = {
        "PYTHONPATH": "/nonexistent/a:b",
        "PYTHONHOME": "/nonexistent",
        "PYTHONWARNINGS": "all:0:antigravity.x:0:0",
        "PYTHONINSPECT": "1",
        "PYTHONDONTWRITEBYTECODE": "",
        "BROWSER": "/nonexistent/browser",
    }
    env = {"PATH": os.defpath, "odd.name": "1", **theirs}
    argv = [installed, "run", "--no-tui", "--", "env"]
    done = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert sorted(done.stdout.splitlines()) == sorted(f"{name}={value}" for name, value in env.items()), done.stderr


def test_root_leaves_no_pycache(installed: Path, tmp_path: Path) -> None:
    (package,) = installed.parents[1].glob("lib/python*/site-packages/denet_tui")
    for folder in list(package.rglob("__pycache__")):
        shutil.rmtree(folder)
    assert run([str(installed), "settings"], tmp_path).startswith("#")
    assert list(package.rglob("__pycache__")) == []
