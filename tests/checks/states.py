"""This machine, made wrong for one process: what the checks of a module find there, each in a process of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.real import REPOSITORY, environment

SHOW = """
import importlib, json, sys
from denet_tui.checks import verdict
from denet_tui.helper.check_runner import run
from denet_tui.checks.host import Host
checks = [each for name in sys.argv[1:] for each in importlib.import_module("denet_tui.checks." + name).CHECKS]
seen = run(Host(), checks=checks)
for found, shown in zip(seen, verdict.settled(seen)):
    evidence = [[each.source, each.value] for each in found.evidence]
    fixes = [[each.id, each.advice] for each in found.fixes]
    blocks = list(found.blocks)
    print(json.dumps(dict(id=found.id, state=found.state, shown=shown.state, title=found.title, evidence=evidence,
                          fixes=fixes, blocks=blocks)))
"""
NOBODY = ("--reuid=65534", "--regid=65534", "--clear-groups")
FILTERED = Path(__file__).with_name("filtered.py")


def without(*capabilities: str) -> list[str]:
    """Root whose bounding set lacks these."""
    return ["setpriv", f"--bounding-set={','.join(f'-{name}' for name in capabilities)}", *again()]


def nobody(*capabilities: str, more: Sequence[str] = ()) -> list[str]:
    """An unprivileged user with these capabilities and no others."""
    held = ",".join(["-all", *(f"+{name}" for name in capabilities)])
    return ["setpriv", *NOBODY, f"--inh-caps={held}", f"--ambient-caps={held}", *more, *again()]


def again() -> list[str]:
    """A second exec: only then are the sets those that were asked for, as setpriv --reuid keeps the old ones."""
    return ["bash", "-c", 'exec "$@"', "bash"]


def filtered(call: str, how: str) -> list[str]:
    """A seccomp filter that refuses a system call."""
    return [sys.executable, str(FILTERED), call, how]


@dataclass(frozen=True)
class Seen:
    """Findings by id, as they were printed."""

    found: dict[str, dict[str, Any]]

    def ids(self, *states: str) -> set[str]:
        return {each["id"] for each in self.found.values() if each["state"] in states}

    def shown(self, *states: str) -> set[str]:
        """The same by the states that a person is shown, which tell what is not needed."""
        return {each["id"] for each in self.found.values() if each["shown"] in states}

    @property
    def wrong_as_shown(self) -> set[str]:
        """Ids of all that a person is shown as a warning or worse, but for what could not be read."""
        return self.shown("warn", "fail", "crash")

    @property
    def wrong(self) -> set[str]:
        """Ids of all findings that are a warning or worse, but for what could not be read."""
        return self.ids("warn", "fail", "crash")


def see(state: Sequence[str], *modules: str) -> Seen:
    """Run the checks of these modules in a state of the machine that a command in front of them makes."""
    if state and not shutil.which(state[0]):
        pytest.skip(f"needs {state[0]}")
    words = [*state, sys.executable, "-c", SHOW, *modules]
    done = subprocess.run(words, cwd=REPOSITORY, env=environment(), capture_output=True, text=True, timeout=60)
    if done.returncode == 98:
        pytest.skip("needs seccomp filters")
    if "unshare failed: Operation not permitted" in done.stderr:  # as user namespaces are inside a chroot
        pytest.skip("needs namespaces")
    assert done.returncode == 0, done.stderr
    return Seen({each["id"]: each for each in map(json.loads, done.stdout.splitlines())})
