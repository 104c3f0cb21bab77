"""What the system refuses is said with what to do next, and never as a mistake of denet-tui's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from denet_tui.checks.limits import LEAST_FILES
from tests.real import environment
from tests.watch.helpers import DENET, denet, run

pytestmark = pytest.mark.root


@pytest.mark.parametrize("files", [6, 7, 9, 12, 16])
def test_too_few_open_files(files: int) -> None:
    done = run("bash", "-c", f'ulimit -n {files}; exec "$@"', "bash", *DENET, "run", "--no-tui", "--", "true")
    assert done.returncode == 125, done.stderr
    assert re.fullmatch(r"denet-tui: [^\n]*\(?raise [^\n]*`ulimit -n 1024`[^\n]*\n", done.stderr), done.stderr


def test_what_is_called_enough_open_files_is(tmp_path: Path) -> None:
    limit = f'ulimit -n {LEAST_FILES}; exec "$@"'
    words = ["run", "--no-tui", "-o", str(tmp_path / "all"), "--", "true"]
    assert run("bash", "-c", limit, "bash", *DENET, *words).returncode == 0


def test_a_user_behind_doas_that_is_not_there() -> None:
    done = denet("run", "--no-tui", "--", "sh", "-c", "exit 3", env=environment() | {"DOAS_USER": "nosuchuser"})
    assert done.returncode == 3, done.stderr
