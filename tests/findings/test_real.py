"""What stands out in real runs: of those that are well nothing, however busy the machine is."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.real import run_summary

pytestmark = pytest.mark.root

SPINNERS = """
import os, sys, time
for _ in range(int(sys.argv[1]) - 1):
    if os.fork() == 0:
        break
until = time.monotonic() + 1
while time.monotonic() < until:
    pass
"""
CPUS = os.cpu_count() or 1


def found(command: list[str], tmp_path: Path) -> list[dict[str, Any]]:
    """What stood out."""
    status, summary = run_summary(command, tmp_path)
    assert status == 0
    findings: list[dict[str, Any]] = summary["findings"]
    return findings


def test_more_threads_than_cpus_are_said(tmp_path: Path) -> None:
    (crowd,) = found(["/usr/bin/python3", "-S", "-c", SPINNERS, f"{4 * CPUS}"], tmp_path)
    assert crowd["rule"] == "crowded"
    assert crowd["figures"]["cpus"] == CPUS
    # On average, over the time in which they begin and end as well.
    assert 3 * CPUS <= crowd["figures"]["threads"] <= 4 * CPUS
    assert crowd["text"].startswith(f"on average {crowd['figures']['threads']} threads at once want to run on ")


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("make") or not shutil.which("cc"), reason="needs make and cc")
def test_a_build_of_as_many_jobs_as_cpus_is_well(tmp_path: Path) -> None:
    names = [f"t{at}" for at in range(4 * CPUS)]
    rule = "\n%.o: %.c\n\tcc -O2 -c -o $@ $<\n"
    (tmp_path / "Makefile").write_text(f"all: {' '.join(f'{name}.o' for name in names)}{rule}")
    for name in names:
        body = "\n".join(f"int f{at}(int x) {{ return x * {at} + (x >> {at % 31}); }}" for at in range(75))
        (tmp_path / f"{name}.c").write_text(f"#include <stdio.h>\n#include <stdlib.h>\n{body}\n")
    assert found(["make", "-s", f"-j{CPUS}", "-C", f"{tmp_path}"], tmp_path) == []


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
def test_a_clone_is_well(tmp_path: Path) -> None:
    words = shlex.split("git -C here -c init.defaultBranch=main")
    subprocess.run([*words[:1], "init", "-q", "here"], cwd=tmp_path, check=True)
    author = ["-c", "user.name=nobody", "-c", "user.email=nobody@localhost"]
    subprocess.run([*words, *author, "commit", "-q", "--allow-empty", "-m", "All"], cwd=tmp_path, check=True)
    for at in range(6_000):  # of each object nobody looks at more than its name: each is linked to, after an unlink
        path = tmp_path / f"here/.git/objects/{at % 256:02x}/{at:038x}"
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert found(["git", "clone", "-q", "--no-checkout", f"{tmp_path}/here", f"{tmp_path}/there"], tmp_path) == []
