"""bcc is found wherever a distribution put it, and told from the unrelated package of that name."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from denet_tui.bpf import toolchain
from denet_tui.bpf.toolchain import Toolchain, ToolchainError

REPOSITORY = Path(__file__).parents[2]


def package(root: Path, place: str, files: dict[str, str]) -> Path:
    folder = root / place / "bcc"
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


REAL = {"__init__.py": "NAME = __name__", "libbcc.py": "", "table.py": "", "version.py": "__version__ = '1.2.3'"}
STRANGER = {"__init__.py": "", "lattice.py": ""}


@pytest.mark.parametrize(
    "place",
    [
        "usr/lib/python3/dist-packages",
        "usr/lib/python3.14/site-packages",
        "usr/lib64/python3.9/site-packages",
        "usr/local/lib/python3.12/dist-packages",
    ],
)
def test_found_where_distributions_put_it(tmp_path: Path, place: str) -> None:
    folder = package(tmp_path, place, REAL)
    assert toolchain.find(tmp_path) == Toolchain(folder, "1.2.3")


def test_the_stranger_is_passed_over_for_the_real_one(tmp_path: Path) -> None:
    package(tmp_path, "usr/lib/python3/dist-packages", STRANGER)
    real = package(tmp_path, "usr/local/lib/python3.11/dist-packages", REAL | {"version.py": ""})
    assert toolchain.find(tmp_path) == Toolchain(real, "unknown")


def test_the_stranger_alone_is_called_that(tmp_path: Path) -> None:
    folder = package(tmp_path, "usr/local/lib/python3.11/dist-packages", STRANGER)
    with pytest.raises(ToolchainError) as caught:
        toolchain.find(tmp_path)
    assert f"the bcc in {folder} is not the BPF Compiler Collection" in str(caught.value)
    assert "install the real one beside it: " in str(caught.value)


def test_a_stranger_that_only_this_python_would_import_is_called_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "bcc", raising=False)
    folder = package(tmp_path, "elsewhere", STRANGER)
    monkeypatch.syspath_prepend(folder.parent)
    with pytest.raises(ToolchainError, match="PyPI's bcc is an unrelated package"):
        toolchain.find(tmp_path)


@pytest.mark.parametrize(
    ("release", "command"),
    [
        ({"ID": "debian"}, "sudo apt-get install python3-bpfcc"),
        ({"ID": "ubuntu", "ID_LIKE": "debian"}, "sudo apt-get install python3-bpfcc"),
        ({"ID": "linuxmint", "ID_LIKE": "ubuntu debian"}, "sudo apt-get install python3-bpfcc"),
        ({"ID": "fedora"}, "sudo dnf install python3-bcc"),
        ({"ID": "rocky", "ID_LIKE": "rhel centos fedora"}, "sudo dnf install python3-bcc"),
        ({"ID": "arch"}, "sudo pacman -S python-bcc"),
        ({"ID": "of my own"}, "the package python3-bpfcc, python3-bcc or python-bcc of your distribution"),
    ],
)
def test_no_bcc_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, release: dict[str, str], command: str
) -> None:
    monkeypatch.delitem(sys.modules, "bcc", raising=False)
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: release)
    monkeypatch.setattr(toolchain.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ToolchainError) as caught:
        toolchain.find(tmp_path)
    assert str(caught.value) == f"bcc (the BPF Compiler Collection) is not installed; install it: {command}"


@pytest.fixture
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bcc that a test loads is forgotten at its end: a loader that is forked later would take it for the real one."""
    for name in ("bcc", "bcc.libbcc"):
        monkeypatch.setitem(sys.modules, name, sys)
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.parametrize(
    "text",
    [
        "import ctypes; ctypes.CDLL('libbcc-that-is-nowhere.so.0')",
        "from .libbcc import what_is_not_there",
        "import ctypes; ctypes.CDLL(None).no_such_symbol_anywhere",
        "print 'Python 2'",
    ],
)
@pytest.mark.usefixtures("forgotten")
def test_a_broken_bcc_or_a_missing_libbcc_is_told(tmp_path: Path, text: str) -> None:
    folder = package(tmp_path, "usr/lib/python3/dist-packages", REAL | {"__init__.py": text})
    with pytest.raises(ToolchainError) as caught:
        toolchain.load(toolchain.find(tmp_path))
    assert str(caught.value).startswith(f"bcc in {folder} does not load (")
    assert str(caught.value).endswith("install it again, with its library")


@pytest.mark.usefixtures("forgotten")
def test_loaded_by_place_under_its_own_name(tmp_path: Path) -> None:
    package(tmp_path, "usr/lib/python3/dist-packages", REAL)
    path = list(sys.path)
    assert toolchain.load(toolchain.find(tmp_path)).NAME == "bcc"
    assert sys.path == path


@pytest.mark.root
def test_a_python_without_any_packages_loads_the_real_one() -> None:
    """As from any virtual environment: nothing but the standard library is on its path."""
    script = (
        f"import sys; sys.path.insert(0, {str(REPOSITORY)!r}); from denet_tui.bpf import toolchain;"
        "print(toolchain.load(toolchain.find()).BPF.__name__)"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True)
    assert done.stdout == "BPF\n", done.stderr
