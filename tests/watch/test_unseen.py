"""What /proc does not show to denet-tui is watched all the same: only the kernel side says that something has ended."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from tests.person import Person
from tests.real import DENET, REPOSITORY, run
from tests.record.schema import assert_valid

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


BELOW = """
import os, sys, time
def wait_for(name):
    while not os.path.exists(name): time.sleep(0.05)
if os.fork() == 0:
    wait_for("go")
    for _ in range(1000): os.getppid()
    os._exit(0)
code = "import os; open('begun', 'w'); os.wait()"
user = [f"--reuid={sys.argv[1]}", f"--regid={sys.argv[2]}", "--clear-groups"]
os.execvp("setpriv", ["setpriv", *user, sys.executable, "-c", code])
"""

ATTACHED = """
mount -t proc -o hidepid=2 proc /proc || exit 99
"$1" -c "$2" "$SUDO_UID" "$SUDO_GID" & p=$!
trap 'touch go' EXIT
shift 2
until [ -e begun ]; do sleep 0.05; done
"$@" $p & denet=$!
until grep -sq '"kind":"tree"' recording; do kill -0 $denet || exit 98; sleep 0.05; done
touch go
wait $denet
"""


def test_attach_is_not_exact_where_proc_hides_what_is_not_counted(person: Person) -> None:
    asks = [f"SUDO_UID={person.uid}", f"SUDO_GID={person.gid}", f"SUDO_USER={person.name}"]
    attach = [*DENET, "attach", "--no-tui", "--interval", "0.1", "-o", "recording", "--summary", "summary"]
    argv = ["unshare", "--mount", "env", f"--chdir={person.home}", f"PYTHONPATH={REPOSITORY}", *asks]
    done = run([*argv, "sh", "-c", ATTACHED, "sh", sys.executable, BELOW, *attach])
    found: dict[str, Any] = json.loads((person.home / "summary").read_text())
    assert_valid([found])
    assert "getppid" not in found["syscalls"]
    assert (found["exact"], found["lost"]["hidden"]) == (False, None), done.stderr
    assert "(hidepid), and none of that is counted" in " ".join(done.stderr.split())
