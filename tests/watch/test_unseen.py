"""What /proc does not show to denet-tui is watched all the same: only the kernel side says that something has ended."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.person import Person
from tests.real import DENET, run

pytestmark = pytest.mark.root

HIDDEN = 'mount -t proc -o hidepid=2 proc /proc || exit 99; exec "$@"'
"""Run by `unshare --mount sh -c`."""


def test_a_process_that_proc_hides_stays_watched(person: Person) -> None:
    script = "sleep 2; for i in 1 2 3 4 5; do dd if=/dev/zero of=/dev/null bs=1 count=1000 status=none; done"
    asks = ["env", f"SUDO_UID={person.uid}", f"SUDO_GID={person.gid}", f"SUDO_USER={person.name}"]
    summary = person.home / "hidden"
    argv = [*DENET, "run", "--no-tui", "--interval", "0.2", "--as-root", "--summary", str(summary), "--"]
    done = run(["unshare", "--mount", "sh", "-c", HIDDEN, "sh", *asks, *argv, "sh", "-c", script])
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(summary.read_text())
    assert found["exact"] is True, found["lost"]
    copies = [each for each in found["processes"] if each["comm"] == "dd"]
    assert [each["syscalls"]["write"]["calls"] for each in copies] == [1000] * 5
    assert all(each["end_ms"] is not None and each["exit_code"] == 0 for each in found["processes"])
