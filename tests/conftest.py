"""What the tests of the real kernel side share: who may run them, and the programs that they watch."""

from __future__ import annotations

import fcntl
import gc
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import settings

from denet_tui.bpf import prober as prober_of_denet
from denet_tui.bpf import toolchain
from tests.person import person  # noqa: F401 (the fixture is for every room)
from tests.planted import sticky, theirs  # noqa: F401 (the same)
from tests.real import tracefs_held

gc.disable()  # what is collected and imported stays to the end
settings.register_profile("any machine", deadline=None)  # a busy one takes its time
settings.load_profile("any machine")

for _name in ("COLUMNS", "LINES"):  # pytest-xdist sets them, and a terminal's own size would count no more
    os.environ.pop(_name, None)

SOURCES = Path(__file__).parent / "bpf"


def _no_kernel_side() -> str:
    """Why the kernel side cannot be used here, as a plain reason; empty where it can."""
    if os.geteuid() != 0:
        return "needs root: BPF programs are loaded"
    try:
        toolchain.find()
    except toolchain.ToolchainError as error:
        return str(error)
    return ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Where files are spread over workers, the last one begun is waited for: those that take long come first.
    long = {item.path for item in items if {"early", "slow"} & set(item.keywords)}
    items.sort(key=lambda item: item.path not in long)
    if reason := _no_kernel_side():
        skip = pytest.mark.skip(reason=reason)
        for item in items:
            if "root" in item.keywords:
                item.add_marker(skip)


def pytest_collection_finish() -> None:
    gc.freeze()  # thousands of tests and all that they import: the collector need not walk them
    gc.set_threshold(50_000, 20, 20)  # as denet-tui itself has it while it watches
    gc.enable()


def _compiled(name: str, folder: Path) -> Path:
    if not shutil.which("gcc"):
        pytest.skip("needs gcc: the watched program is compiled")
    done = subprocess.run(
        ["gcc", "-O1", "-pthread", "-o", folder / name, SOURCES / f"{name}.c"], capture_output=True, text=True
    )
    if done.returncode:
        pytest.fail(f"{name}.c does not compile:\n{done.stderr}")
    return folder / name


def _program(name: str, what: str) -> object:
    def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
        return _compiled(name, tmp_path_factory.mktemp(name))

    path.__doc__ = what
    return pytest.fixture(scope="session", name=name)(path)


workload = _program("workload", "The program for the comparison with strace: all that is hard to count; exits with 7.")
calls = _program("calls", "The program that makes known numbers of calls, in several shapes.")
moving = _program("moving", "The program that goes on as another program, or as another user.")
killed = _program("killed", "The program whose threads seccomp ends at a call.")
parts = _program("parts", "The program of several processes that know where their time goes.")
running = _program("running", "The program that runs already when the watching begins, in several shapes.")


@pytest.fixture
def steady_tracefs() -> Iterator[None]:
    """For tests that take a mount of tracefs back, which is theirs as long as nothing in it has changed."""
    with tracefs_held(fcntl.LOCK_SH):
        yield


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is shipped, built without fetching anything."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", folder, SOURCES.parents[1]], check=True, timeout=60)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def proven(tmp_path_factory: pytest.TempPathFactory) -> str:
    """For a shell in a mount namespace: the proof says what it has said here without tracefs, and does not try again.

    For tests with another subject: trying takes most of their time.
    """
    without_tracefs = ["unshare", "--mount", "sh", "-c", 'umount -q -a -t tracefs; exec "$@"', "sh"]
    prober = [*without_tracefs, sys.executable, "-IB", "-m", "denet_tui.bpf.prober"]
    said = {
        what: subprocess.run([*prober, what], capture_output=True, check=True).stdout for what in ("methods", "bcc")
    }
    again = tmp_path_factory.mktemp("proven") / "prober.py"
    again.write_text(f"import sys\nsys.stdout.buffer.write({said!r}[sys.argv[1]])\n")
    return f"mount --bind {again} {prober_of_denet.__file__};"


@pytest.fixture(scope="session")
def _states(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folders that are to be made: mktemp would look through all that there are for each of thousands."""
    folder = tmp_path_factory.mktemp("states")
    return (folder / str(number) for number in count())


@pytest.fixture(autouse=True)
def _no_run_is_remembered(_states: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """What a good run leaves (checks/last_good.py) goes to a folder of this test alone."""
    folder = next(_states)
    folder.mkdir()
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
