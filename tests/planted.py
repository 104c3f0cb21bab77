"""Places where somebody else may have been before, and that somebody."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from denet_tui.system import files

NOBODY = 65534


@pytest.fixture
def sticky() -> Iterator[Path]:
    """A folder as /tmp is; pytest's own are root's alone, and those above them too."""
    with tempfile.TemporaryDirectory(prefix="denet-tui-files-") as folder:
        Path(folder).chmod(0o1777)
        yield Path(folder)


@pytest.fixture
def theirs(sticky: Path) -> Path:
    """A folder of somebody else's."""
    folder = sticky / "theirs"
    folder.mkdir()
    os.chown(folder, NOBODY, NOBODY)
    return folder


def as_nobody(do: Callable[[], object]) -> str:
    """What is raised when somebody else does it, empty where nothing is."""
    ours, end = os.pipe()
    pid = os.fork()
    if not pid:
        said = ""
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            do()
        except BaseException as error:  # noqa: BLE001
            said = f"{type(error).__name__}: {error}"
        os.write(end, said.encode())
        os._exit(0)
    os.close(end)
    with os.fdopen(ours) as said_there:
        text = said_there.read()
    os.waitpid(pid, 0)
    return text


def write(path: Path | str, text: bytes = b"written", **how: bool) -> None:
    with os.fdopen(files.create(path, **how), "wb") as file:
        file.write(text)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
