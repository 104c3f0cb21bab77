"""`uv tool install` and `pipx install`, by each version of Python that is supported and here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.machines import Machine, download
from tests.real import environment

pytestmark = [pytest.mark.lab, pytest.mark.root]

VERSIONS = ("3.11", "3.12", "3.13")
"""Those that are looked for here; sid's own is 3.14."""
UV = Path(sys.executable).with_name("uv")
THERE = """
export UV_TOOL_DIR=/tmp/tools UV_TOOL_BIN_DIR=/tmp/bin
export UV_NO_CACHE=1 UV_NO_CONFIG=1
/mnt/uv tool install --quiet --no-index --find-links /mnt/wheels --python /usr/bin/python3 denet-tui
/tmp/bin/denet-tui run --no-tui -- echo here 2>&1
"""


def python(version: str) -> Path:
    """An interpreter of that version, from PATH or pyenv; skips where there is none."""
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [
        *map(Path, filter(None, [shutil.which(f"python{version}")])),
        *kept.glob(f"{version}.*/bin/python{version}"),
    ]
    for path in found:
        if subprocess.run([path, "-c", "import venv"], capture_output=True).returncode == 0:
            return path
    pytest.skip(f"there is no Python {version} here")


@pytest.fixture(scope="module")
def pipx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pipx")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    subprocess.run([folder / "bin/pip", "install", "--quiet", "pipx"], check=True)
    return folder / "bin/pipx"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("tool", ["uv", "pipx"])
def test_it_is_installed_counts_and_is_gone(
    tool: str, version: str, wheel: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    interpreter = python(version)
    bin_, home = tmp_path / "bin", tmp_path / "home"
    if tool == "uv":
        download(tmp_path / "wheels", version)
        offline = ["--no-index", "--find-links", tmp_path / "wheels"]
        command = [UV, "tool"]
        install = [*command, "install", "--quiet", "--no-config", "--python", interpreter, *offline, wheel]
        places = {"UV_TOOL_DIR": str(home), "UV_TOOL_BIN_DIR": str(bin_)}
    else:
        command = [request.getfixturevalue("pipx")]
        install = [*command, "install", "--python", interpreter, wheel]  # it renews its own pip, so not offline
        places = {"PIPX_HOME": str(home), "PIPX_BIN_DIR": str(bin_), "PIPX_MAN_DIR": str(tmp_path / "man")}
    env = environment() | places
    subprocess.run(install, env=env, check=True, timeout=300)
    program = bin_ / "denet-tui"
    ran = subprocess.run(
        [program, "run", "--no-tui", "--", "echo", "here"], env=env, capture_output=True, text=True, timeout=120
    )
    assert (ran.returncode, ran.stdout) == (0, "here\n"), ran.stderr
    assert "exact" in ran.stderr
    subprocess.run([*command, "uninstall", "denet-tui"], env=env, check=True, timeout=60)
    assert not program.is_symlink()


def test_uv_takes_the_python_of_each_debian(machine: Machine) -> None:
    version = machine.check("/usr/bin/python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])").strip()
    download(machine.shared / "wheels", version)
    shutil.copy(UV, machine.shared)
    said = machine.check("sh", "-ec", THERE, timeout=300)
    assert said.startswith("here\n")
    assert "exact" in said
