"""What is shipped, and what it is installed with: the wheel, and the locks that make sets everything up from."""

from __future__ import annotations

import re
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

REPOSITORY = Path(__file__).parents[1]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
LOCKS = {
    "requirements.lock": PROJECT["dependencies"] + PROJECT["optional-dependencies"]["serve"],
    "requirements-dev.lock": PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"],
}


@pytest.fixture(scope="module")
def shipped(wheel: Path) -> zipfile.ZipFile:
    assert wheel.name.endswith("-py3-none-any.whl")
    return zipfile.ZipFile(wheel)


def test_the_wheel_has_every_file_of_the_package_and_the_command(shipped: zipfile.ZipFile) -> None:
    package = REPOSITORY / "denet_tui"
    here = {str(path.relative_to(REPOSITORY)) for path in package.rglob("*") if path.is_file()}
    here = {path for path in here if "__pycache__" not in path}
    assert "denet_tui/bpf/kernel/program.c" in here
    inside = {name for name in shipped.namelist() if ".dist-info/" not in name}
    docs = {f"denet_tui/{path.relative_to(REPOSITORY)}" for path in (REPOSITORY / "docs").glob("*.md")}
    (command,) = inside - here - docs
    assert here <= inside
    assert command.endswith(".data/data/bin/denet-tui")
    assert shipped.read(command) == (package / "__main__.py").read_bytes()
    assert not any(name.endswith("/entry_points.txt") for name in shipped.namelist())  # whose scripts are not isolated


def test_the_wheel_brings_its_licence(shipped: zipfile.ZipFile) -> None:
    texts = {name.partition(".dist-info/")[2]: name for name in shipped.namelist() if ".dist-info/" in name}
    assert "MIT License" in shipped.read(texts["licenses/LICENSE"]).decode()
    assert "Requires-Dist: bcc" not in shipped.read(texts["METADATA"]).decode()  # PyPI's bcc is another thing


def test_the_changelog_begins_with_the_version_that_is_shipped(wheel: Path) -> None:
    newest = re.search(r"^## \[(.+?)\]", (REPOSITORY / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest
    assert wheel.name == f"denet_tui-{newest[1]}-py3-none-any.whl"


def locked(name: str) -> dict[str, list[str]]:
    """Requirement of each package in a lock -> its hashes."""
    lines = (REPOSITORY / name).read_text().replace("\\\n", "").splitlines()
    entries = (re.split(r"\s+--hash=", line.partition(" #")[0].strip()) for line in lines if "--hash=" in line)
    return {entry[0]: entry[1:] for entry in entries}


@pytest.mark.parametrize("name", LOCKS)
def test_what_is_asked_for_is_locked(name: str) -> None:
    found = {each.name: each for each in map(Requirement, locked(name))}
    for wanted in map(Requirement, LOCKS[name]):
        version = str(found[wanted.name].specifier).removeprefix("==")
        assert wanted.specifier.contains(version), f"{wanted} is locked as {version}: make lock"


@pytest.mark.parametrize("name", LOCKS)
def test_only_wheels_are_taken_and_each_is_known_by_its_hash(name: str) -> None:
    assert "\n--only-binary :all:\n" in (REPOSITORY / name).read_text()  # what is built runs code that nobody locked
    for requirement, hashes in locked(name).items():
        assert "==" in requirement
        assert hashes
        assert all(re.fullmatch("sha256:[0-9a-f]{64}", each) for each in hashes)


def test_the_tests_run_with_what_is_installed() -> None:
    assert locked("requirements.lock").items() <= locked("requirements-dev.lock").items()
