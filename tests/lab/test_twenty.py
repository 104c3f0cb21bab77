"""The same `make` again and again: no difference is told, and what has become worse is found every time."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from denet_tui.record.gate import RUNS
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
\t[ ! -s data ] || python3 -S -E save.py
clean:
\trm -f *.o prog
"""
STEP = """
import os, sys
for _ in range(500 if "opens" in sys.argv else 1): os.close(os.open("/etc/passwd", os.O_RDONLY))
if "exec" in sys.argv: os.spawnlp(os.P_WAIT, "uname", "uname")
"""
SAVE = """
import os
data = os.open("data", os.O_WRONLY)
for _ in range(10):
    os.pwrite(data, bytes(4096), 0)
    os.fsync(data)
"""
MOUNTED = """
"$1" slow_fsync.py data kept "$2" & shift 2
until [ -s data ]; do sleep 0.01; done
"$@"; status=$?
umount data; wait; exit $status
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in PARTS:
        (tmp_path / f"{name}.c").write_text(f"int {name}(int x) {{ return x; }}\n")
    (tmp_path / "main.c").write_text("int one(int);\nint main(void) { return one(0); }\n")
    (tmp_path / "Makefile").write_text(MAKEFILE)
    (tmp_path / "step.py").write_text(STEP)
    (tmp_path / "save.py").write_text(SAVE)
    (tmp_path / "data").touch()
    (tmp_path / "kept").write_bytes(bytes(4096))
    shutil.copy(Path(__file__).with_name("slow_fsync.py"), tmp_path)
    return tmp_path


def made(project: Path, name: str, worse: str = "", *, fsync_ms: int | None = None) -> str:
    """A recording of a build, with `fsync_ms` of one that saves where an fsync takes so much longer."""
    path = str(project / f"{name}.jsonl.gz")
    watched = [*DENET, "run", "--no-tui", "-o", path, "--", "make", "-s", f"WORSE={worse}"]
    if fsync_ms is not None:
        watched = ["unshare", "--mount", "sh", "-c", MOUNTED, "sh", sys.executable, f"{fsync_ms}", *watched]
    for words in (["make", "-s", "clean"], watched):
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


@pytest.mark.skipif(not Path("/dev/fuse").exists(), reason="needs FUSE")
def test_twenty_times_a_slower_fsync(project: Path) -> None:
    rules = ("--fail-on", "fsync.p10 > +1ms")
    base, slow = (
        [[made(project, f"{ms}-{at}-{run}", fsync_ms=ms) for run in range(RUNS)] for at in range(TIMES + (not ms))]
        for ms in (0, 3)
    )
    for before, after in itertools.pairwise(base):
        done = denet("diff", "--base", *before, "--new", *after, *rules)
        assert (done.returncode, done.stdout.splitlines()[0]) == (0, "no change beyond noise"), done.stdout
    for before, after in zip(base, slow, strict=False):
        done = denet("diff", "--base", *before, "--new", *after, *rules)
        assert (done.returncode, "| python3 | fsync | slowed | p10 " in done.stdout) == (1, True), done.stdout
