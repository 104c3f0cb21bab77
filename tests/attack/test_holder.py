"""What the descriptors of the watching side are good for, in the hands of an attacker without any privilege."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from tests.person import Person
from tests.real import WITH_TRACEFS, methods, run

pytestmark = pytest.mark.root


@pytest.fixture(scope="module", params=methods())
def attack(request: pytest.FixtureRequest, person: Person) -> dict[str, Any]:
    argv = [sys.executable, "-m", "tests.attack.holder", str(person.uid), str(person.gid), request.param]
    done = run(["unshare", "--mount", "sh", "-c", WITH_TRACEFS, "sh", *argv])
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_it_has_no_capability_and_no_program(attack: dict[str, Any]) -> None:
    assert attack["capabilities"] == ["0" * 16]
    assert attack["programs"] == []


def test_nothing_can_be_attached_loaded_run_exchanged_pinned_or_sampled(attack: dict[str, Any]) -> None:
    assert len(attack["attempts"]) > 100
    assert {what: how for what, how in attack["attempts"].items() if not how.startswith("refused")} == {}


def test_nothing_of_roots_is_seen(attack: dict[str, Any]) -> None:
    """No call, no child, no name, no command line, no exit status."""
    assert attack["seen"] == []
