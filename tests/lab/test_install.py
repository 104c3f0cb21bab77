"""`make install`: what root will run can be changed by root only, and nothing is left after `make uninstall`."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from tests.lab.conftest import REPOSITORY

pytestmark = [
    pytest.mark.lab,
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="installing needs root: sudo make lab"),
]


def test_the_installed_copy_belongs_to_root_and_works(tmp_path: Path) -> None:
    prefix, link = tmp_path / "opt", tmp_path / "bin/denet-tui"
    link.parent.mkdir()
    where = [f"PREFIX={prefix}", f"LINK={link}"]
    subprocess.run(["make", "-C", REPOSITORY, "install", *where], check=True)
    changeable = [path for path in prefix.rglob("*") if not path.is_symlink() and changeable_by_others(path)]
    assert changeable == []
    assert not changeable_by_others((prefix / "bin/python").resolve())
    # As under sudo: from another folder, with none of the caller's environment.
    told = subprocess.run([link, "--version"], cwd="/", env={}, capture_output=True, text=True, check=True)
    assert "denet-tui" in told.stdout
    subprocess.run(["make", "-C", REPOSITORY, "uninstall", *where], check=True)
    assert not prefix.exists()
    assert not link.is_symlink()


def changeable_by_others(path: Path) -> bool:
    status = path.stat()
    return status.st_uid != 0 or bool(status.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
