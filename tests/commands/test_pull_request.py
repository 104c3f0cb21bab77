"""The workflow for pull requests: its commands, run in its order on a repository with a pull request."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.real import REPOSITORY, environment
from tests.watch.helpers import DENET

WORKFLOW = yaml.safe_load((REPOSITORY / "docs/pull-request.yml").read_text())
(JOB,) = WORKFLOW["jobs"].values()
STEPS: dict[str, dict[str, Any]] = {each["name"]: each for each in JOB["steps"]}
NOT_HERE = {"Install denet-tui": "make -C denet-tui install", "Comment": "gh pr comment "}
"""Steps that change the machine, or need GitHub, and what they begin with."""
INSTALLED = 'mount --bind "$1" /usr/local/bin && shift && exec "$@"'
"""For a mount namespace: where sudo looks for denet-tui as well."""
BASE = "all:\n\tls Makefile\n"
WORSE = BASE + "\tfor one in 1 2 3 4 5 6 7 8 9; do cat nothing; done 2> nowhere || true\n"
SAME = BASE + "# no more than a comment\n"


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=someone", "-c", "user.email=someone@example.org")
    done = subprocess.run(["git", *who, "-C", folder, *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def checked_out(tmp_path: Path, makefile: str) -> Path:
    """The folder of the job as the checkouts leave it, of a repository whose pull request has this Makefile."""
    origin, job = tmp_path / "origin", tmp_path / "job"
    origin.mkdir()
    git(origin, "init", "-q", "-b", "main")
    shas = []
    for text in (BASE, makefile):
        (origin / "Makefile").write_text(text)
        git(origin, "add", "Makefile")
        git(origin, "commit", "-qm", "it")
        shas.append(git(origin, "rev-parse", "HEAD"))
    wanted = [
        each
        for each in STEPS.values()
        if each.get("uses") == "actions/checkout@v4" and each["with"]["path"] != "denet-tui"
    ]
    for step, sha in zip(wanted, shas, strict=True):
        assert ("base.sha" in step["with"].get("ref", "")) is (sha == shas[0])
        git(tmp_path, "clone", "-q", str(origin), str(job / step["with"]["path"]))
        git(job / step["with"]["path"], "checkout", "-q", sha)
    return job


def test_it_is_a_workflow_for_pull_requests_that_may_write_comments_and_nothing_else() -> None:
    assert WORKFLOW[True] == "pull_request"  # `on` is a truth value in YAML 1.1
    assert WORKFLOW["permissions"] == {"contents": "read", "pull-requests": "write"}
    assert {each.get("uses", "actions/checkout@v4") for each in STEPS.values()} == {"actions/checkout@v4"}
    for name, begin in NOT_HERE.items():
        assert STEPS[name]["run"].startswith(begin)


@pytest.mark.slow
@pytest.mark.root
@pytest.mark.parametrize(("makefile", "status"), [(SAME, 0), (WORSE, 1)], ids=["same", "worse"])
def test_its_commands_find_what_has_become_worse(tmp_path: Path, makefile: str, status: int) -> None:
    for need in ("git", "make", "sudo", "bash"):
        if not shutil.which(need):
            pytest.skip(f"needs {need}")
    job, shown, programs = checked_out(tmp_path, makefile), tmp_path / "shown.md", tmp_path / "bin"
    programs.mkdir()
    (programs / "denet-tui").write_text(f'#!/bin/sh\nexec {shlex.join(DENET)} "$@"\n')
    (programs / "denet-tui").chmod(0o755)
    given = (
        environment() | JOB["env"] | {"GITHUB_STEP_SUMMARY": str(shown), "PATH": f"/usr/local/bin:{os.environ['PATH']}"}
    )
    statuses = {}
    for name, step in STEPS.items():
        if "run" in step and name not in NOT_HERE:
            script = tmp_path / "step.sh"
            script.write_text(step["run"])
            done = subprocess.run(
                ["unshare", "--mount", "sh", "-c", INSTALLED, "sh", programs, "bash", "-e", script],
                cwd=job, env=given, capture_output=True, text=True, timeout=300,
            )  # fmt: skip
            assert name == "Compare" or done.returncode == 0, (name, done.stderr)
            statuses[name] = done.returncode
    assert statuses == {"Record": 0, "Compare": status, "Show": 0}
    told = shown.read_text()
    assert told == (job / "diff.md").read_text()
    assert told.startswith("no change beyond noise\n") is (status == 0)
    assert ("- **execve.calls > +0** is so: " in told) is (status == 1)
    assert ("- **openat.errors > +10%** is so: " in told) is (status == 1)
