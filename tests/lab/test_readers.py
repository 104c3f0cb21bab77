"""Recordings in the tools that people open tables with, the newest releases of them, as docs/recording.md says it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from denet_tui.record.parts import Limits
from tests.record.made import INFO, READ, counted, idle, process, snapshot
from tests.record.schema import document
from tests.record.test_parts import written
from tests.record.test_read import chained, recorded

pytestmark = pytest.mark.lab
MANY = 200
"""Processes: with so many, the summary comes after what polars looks at."""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python that has them."""
    folder = tmp_path_factory.mktemp("readers")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    found = str(folder / "bin/python")
    subprocess.run([found, "-m", "pip", "install", "-q", "polars", "pandas", "duckdb"], check=True, timeout=600)
    return found


@pytest.mark.parametrize("name", ["build.jsonl", "build.jsonl.gz", "a part"])
def test_the_examples_of_the_document_find_what_is_there(python: str, tmp_path: Path, name: str) -> None:
    make = [process(INFO.pid + at, {READ: counted(at + 1)}, start_s=0.1) for at in range(MANY)]
    first, last = snapshot(0.5, make), snapshot(1.0, map(idle, make), running=False, status=0)
    if name == "a part":
        name = written(tmp_path / "build.jsonl", chained([first, last]), Limits(max_bytes=100_000))[-1].name
        assert ".0002." in name
    else:
        recorded(tmp_path / name, chained([first, last]))
    block = re.search(r"```python\n(.*?)```", document(), re.DOTALL)
    assert block
    imports, _, calls = block[1].partition("\n\n")
    for line in calls.splitlines():
        script = f"{imports}\nprint(list({line.replace('build.jsonl', name)}))"
        done = subprocess.run([python, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert str(sum(range(1, MANY + 1))) in done.stdout, (line, done.stderr)


def test_jq_finds_it(tmp_path: Path) -> None:
    if not shutil.which("jq"):
        pytest.skip("needs jq")
    recorded(tmp_path / "build.jsonl", chained([snapshot(0.5, [process(INFO.pid, {READ: counted(7)})])]))
    block = re.search(r"    (jq .*)\n", document())
    assert block
    done = subprocess.run(["sh", "-c", block[1]], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert json.loads(done.stdout) == 7, done.stderr
