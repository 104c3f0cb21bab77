"""What is shipped: the wheel, and the folders that make sets up from it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", folder, REPOSITORY], check=True)
    (path,) = folder.glob("*.whl")
    assert path.name.endswith("-py3-none-any.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_has_every_file_of_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    package = REPOSITORY / "denet_tui"
    here = {str(path.relative_to(REPOSITORY)) for path in package.rglob("*") if path.is_file()}
    here = {path for path in here if "__pycache__" not in path}
    assert "denet_tui/bpf/syscalls.c" in here
    shipped = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert shipped == here


def test_the_wheel_brings_its_licence_and_its_command(wheel: zipfile.ZipFile) -> None:
    texts = {name.partition(".dist-info/")[2]: name for name in wheel.namelist() if ".dist-info/" in name}
    assert "denet-tui = denet_tui.cli:main" in wheel.read(texts["entry_points.txt"]).decode()
    assert "MIT License" in wheel.read(texts["licenses/LICENSE"]).decode()
    assert "Requires-Dist: bcc" not in wheel.read(texts["METADATA"]).decode()  # PyPI's bcc is another thing
