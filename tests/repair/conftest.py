"""What tests of fixes share."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.repair.machine import Machine


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """In memory where possible: there are thousands of fsync(2) calls to come."""
    memory = Path("/dev/shm")
    root = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else tmp_path))
    yield Machine(root / "root")
    shutil.rmtree(root)
