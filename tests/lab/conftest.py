"""The machines, made once a session and kept between sessions."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.lab import vm
from tests.lab.machines import Machine, make, missing

REPOSITORY = Path(__file__).parents[2]


@pytest.hookimpl(tryfirst=True)  # pytest-xdist looks at the groups in this hook, too
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What asks the same machine goes to the same worker, which boots it once (--dist loadgroup)."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            asked = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
            which = [str(asked[name]) for name in ("boot", "machine", "seen") if name in asked]
            item.add_marker(pytest.mark.xdist_group("-".join([item.path.stem, *which])))


@pytest.fixture(scope="session")
def shared(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What every machine sees as /mnt: the wheel of denet-tui, and the workload."""
    if reason := missing():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("shared")
    source = REPOSITORY / "tests/lab/workload.c"
    subprocess.run(["gcc", "-O1", "-static", "-pthread", "-o", folder / "workload", source], check=True)
    (folder / "wheels").mkdir()
    shutil.copy(wheel, folder / "wheels")
    return folder


@pytest.fixture(scope="session")
def wheels(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """denet-tui and what it depends on, for machines in qemu."""
    if reason := vm.missing():
        pytest.skip(reason)
    return vm.wheels(tmp_path_factory.mktemp("vm") / "wheels", wheel)


@pytest.fixture(scope="session", params=["bullseye", "trixie", "sid"])
def machine(request: pytest.FixtureRequest, shared: Path) -> Machine:
    """A Debian root with another version of bcc, and denet-tui installed in it."""
    try:
        root = make(request.param)
    except subprocess.CalledProcessError as error:
        pytest.fail(f"the image {request.param} could not be made: {error}")
    machine = Machine(root, shared)
    machine.install()
    return machine
