"""What the Makefile asks of each distribution's package manager, with stand-ins that only note what they were told."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
NEEDED = ("sh", "id", "env", "grep", "ls", "make", "stat", "true", "chown")
PROBE = """
probe:
	@$(SH)
	want "testing" bcc strace perf libc-headers || say "left:$$left"
"""


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder to be the whole PATH: what the recipes are made of, and an `id` that says root."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in NEEDED:
        found = shutil.which(name)
        assert found, name
        (folder / name).symlink_to(found)
    (folder / "id").unlink()
    write(folder / "id", "echo 0")
    return folder


def write(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def probe(programs: Path, tmp_path: Path) -> tuple[str, list[str]]:
    """Standard error of the recipe, and what the stand-ins were told; only what `programs` has counts as present."""
    makefile = (REPOSITORY / "Makefile").read_text().replace("/usr/", f"{tmp_path}/usr/")
    (tmp_path / "Makefile").write_text(makefile.replace(":/sbin", "") + PROBE)
    told = tmp_path / "told"
    told.touch()
    done = subprocess.run(
        ["make", "-C", tmp_path, "probe"], env={"PATH": str(programs)}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stderr, told.read_text().splitlines()


@pytest.mark.parametrize(
    ("manager", "expected"),
    [
        ("apt-get", ["update -qq", "install -qqy --no-install-recommends python3-bpfcc strace linux-perf libc6-dev"]),
        ("dnf", ["install -y --setopt=install_weak_deps=False python3-bcc strace perf glibc-devel"]),
        ("pacman", ["-Sy", "-S --needed --noconfirm python-bcc strace perf glibc"]),
    ],
)
def test_asks_for_what_is_missing_by_the_distributions_names(
    programs: Path, tmp_path: Path, manager: str, expected: list[str]
) -> None:
    if manager == "pacman" and Path("/var/lib/pacman/sync/core.db").exists():
        expected = expected[1:]
    write(programs / manager, f'echo "$*" >> {tmp_path}/told')
    said, told = probe(programs, tmp_path)
    assert told == expected
    assert "left: bcc strace perf libc-headers" in said


def test_one_package_that_is_not_to_be_had_keeps_no_other_away(programs: Path, tmp_path: Path) -> None:
    write(programs / "strace", "")
    refuse = 'for last; do :; done; case "$*" in *linux-perf*) exit 100 ;; esac'
    write(programs / "apt-get", f'echo "$*" >> {tmp_path}/told; {refuse}')
    said, told = probe(programs, tmp_path)
    install = "install -qqy --no-install-recommends"
    together = f"{install} python3-bpfcc linux-perf libc6-dev"
    assert told == ["update -qq", together, f"{install} python3-bpfcc", f"{install} linux-perf", f"{install} libc6-dev"]
    assert "left: bcc perf libc-headers" in said


def test_without_root_and_sudo_says_so_in_one_line(programs: Path, tmp_path: Path) -> None:
    write(programs / "id", "echo 1000")
    write(programs / "apt-get", f'echo "$*" >> {tmp_path}/told')
    said, told = probe(programs, tmp_path)
    assert told == []
    assert "root is needed to install python3-bpfcc" in said
    assert "this machine has no sudo" in said


def test_nothing_is_asked_where_nothing_is_missing(programs: Path, tmp_path: Path) -> None:
    for name in ("strace", "perf"):
        write(programs / name, "")
    (tmp_path / "usr/include").mkdir(parents=True)
    (tmp_path / "usr/include/stdio.h").touch()
    folder = tmp_path / "usr/lib/python3/dist-packages/bcc"
    folder.mkdir(parents=True)
    (folder / "libbcc.py").touch()
    said, told = probe(programs, tmp_path)
    assert (said, told) == ("", [])
