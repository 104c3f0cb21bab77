"""The next step that `denet-tui diag` tells is the one that `setup` plans, on machines that are really broken."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from denet_tui.checks.probe import BPF_FOLDER
from tests.checks.states import filtered, without
from tests.real import NOTHING_COMPILED, REPOSITORY, environment

pytestmark = pytest.mark.root

SOURCE = f"{BPF_FOLDER}/kernel/tracepoints.c"
DAMAGED = f"head -c 900 {SOURCE} > /mnt/cut.c; mount --bind /mnt/cut.c {SOURCE};"
STATES = {
    "RLIMIT_NOFILE 24": ("", ["prlimit", "--nofile=24"], "LIM-001"),
    "RLIMIT_AS 200 MB": (NOTHING_COMPILED, ["prlimit", f"--as={200 << 20}"], "LIM-001"),
    "user namespace": ("", ["unshare", "-Ur"], "PRIV-003"),
    "bounding set cut": ("", without("bpf", "perfmon", "sys_admin"), "PRIV-002"),
    **{
        f"bpf refused with {how}": ("", filtered("bpf", how), "PRIV-004")
        for how in ("EPERM", "EACCES", "ENOSYS", "EBUSY", "kill")
    },
    "a damaged program": (DAMAGED, [], "PROG-001"),
}


BOTH_OF_ONE_LOOK = """
import sys
from denet_tui.helper import check_runner
look, seen = check_runner.run, []
def run(*words):
    seen[:] = seen or [look(*words)]
    return seen[0]
check_runner.run = run
from denet_tui.cli import main
for words in (["diag"], ["setup", "--plan"]):
    sys.argv = ["denet-tui", *words, "--json"]
    try:
        main()
    except SystemExit:
        print(end="\\0", flush=True)
"""
"""Both commands, whole, on what is found once: looking takes most of their time."""


def said(script: str, state: Sequence[str]) -> list[dict[str, Any]]:
    """What the commands print as JSON in that state of a machine without tracefs: mounting it would help nothing."""
    without_tracefs = f'umount -q /sys/kernel/tracing; mount -t tmpfs tmpfs /mnt; {script} exec "$@"'
    both = [sys.executable, "-IB", "-c", BOTH_OF_ONE_LOOK]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", without_tracefs, "sh", *state, *both],
        cwd=REPOSITORY, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    if done.returncode == 98:
        pytest.skip("needs seccomp filters")
    return [json.loads(text) for text in done.stdout.split("\0")[:-1]]


@pytest.mark.parametrize("name", STATES)
def test_where_only_a_person_can_help_both_say_what_to_do(name: str) -> None:
    script, state, check = STATES[name]
    found, planned = said(script, state)
    assert planned["plan"] == []
    advice = planned["advice"][0]
    assert advice["finding"]["id"] == check
    assert found["next"] == {"text": f"{check}: {advice['advice']}", "command": []}


def test_the_damaged_file_is_really_another(tmp_path: Path) -> None:
    assert len(Path(SOURCE).read_bytes()) > 900
