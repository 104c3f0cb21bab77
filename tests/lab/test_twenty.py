"""The same `make` again and again: no difference is told, and what has become worse is found every time."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.watch.helpers import DENET, denet

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(not shutil.which("make") or not shutil.which("gcc"), reason="needs make and gcc"),
]
TIMES = 20
PARTS = "one", "two", "three"
MAKEFILE = f"""
prog: {" ".join(f"{name}.o" for name in PARTS)} main.o
\tgcc -o $@ $^
\tpython3 -S -E step.py $(WORSE)
clean:
\trm -f *.o prog
"""
STEP = """
import os, sys
for _ in range(500 if "opens" in sys.argv else 1): os.close(os.open("/etc/passwd", os.O_RDONLY))
if "exec" in sys.argv: os.spawnlp(os.P_WAIT, "uname", "uname")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in PARTS:
        (tmp_path / f"{name}.c").write_text(f"int {name}(int x) {{ return x; }}\n")
    (tmp_path / "main.c").write_text("int one(int);\nint main(void) { return one(0); }\n")
    (tmp_path / "Makefile").write_text(MAKEFILE)
    (tmp_path / "step.py").write_text(STEP)
    return tmp_path


def made(project: Path, name: str, worse: str = "") -> str:
    path = str(project / f"{name}.jsonl.gz")
    for words in (
        ["make", "-s", "clean"],
        [*DENET, "run", "--no-tui", "-o", path, "--", "make", "-s", f"WORSE={worse}"],
    ):
        done = subprocess.run(words, cwd=project, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
    return path


def test_twenty_times(project: Path) -> None:
    rules = ("--fail-on", "openat.calls > +10%", "--fail-on", "execve.calls > +0")
    base = [made(project, f"base{at}") for at in range(TIMES + 1)]
    for before, after in itertools.pairwise(base):
        done = denet("diff", before, after, *rules)
        assert (done.returncode, done.stdout.splitlines()[0]) == (0, "no change beyond noise"), done.stdout
    for at, before in enumerate(base[:TIMES]):
        opens = denet("diff", before, made(project, f"opens{at}", "opens"), *rules)
        assert (opens.returncode, "| python3 | openat | grew |" in opens.stdout) == (1, True), opens.stdout
        executed = denet("diff", before, made(project, f"exec{at}", "exec"), *rules)
        assert (executed.returncode, "| uname | execve | appeared |" in executed.stdout) == (1, True), executed.stdout
    first, second = base[: TIMES // 2], base[TIMES // 2 :]
    assert denet("diff", "--base", *first, "--new", *second, *rules).stdout.startswith("no change beyond noise\n")
