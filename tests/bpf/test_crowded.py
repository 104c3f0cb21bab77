"""Storms that fill the tables: what finds no room is counted and told, and what is counted is right.

Of rows test_strace.py has it, of executions test_execs.py, of files test_files.py.
"""

from __future__ import annotations

import sys

import pytest

from tests.real import Counts, inside, straced

pytestmark = pytest.mark.root

CHILDREN, EACH = 24, 50
STORM = f"""
import os
gate, opener = os.pipe()
def fails():
    for call in (lambda: os.rmdir('/'), lambda: os.unlink('/'), lambda: os.mkdir('/'), lambda: os.kill(1 << 29, 0)):
        try: call()
        except OSError: pass
for _ in range({CHILDREN}):
    if not os.fork():
        os.close(opener); os.read(gate, 1)
        for _ in range({EACH}): os.getppid(), fails()
        os._exit(0)
os.close(opener)
for _ in range({CHILDREN}): os.wait()
"""
ARGV = [sys.executable, "-ISE", "-c", STORM]
STEADY = ("getppid", "rmdir", "unlink", "mkdir", "kill")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Counts:
    return straced(ARGV, tmp_path_factory.mktemp("storm"))


@pytest.mark.parametrize(
    ("sizes", "lost"),
    [
        ("SLOTS=2,ERRNOS=8", {"errnos"}),  # nearly all threads are in TASKS then
        ("SLOTS=2,TASKS=4", {"tasks"}),
        ("PROCESSES=8", {"processes"}),
    ],
)
@pytest.mark.slow
def test_what_finds_no_room_is_told_and_the_rest_is_right(real: Counts, sizes: str, lost: set[str]) -> None:
    found = inside("crowded", sizes, *ARGV)
    assert (set(found["lost"]), found["exact"], found["broken"]) == (lost, not lost, [])
    expected = {name: real.total[name] for name in STEADY}
    assert set(expected.values()) == {EACH * CHILDREN}
    calls, errors, errnos = ({name: found[what][name] for name in STEADY} for what in ("calls", "errors", "errnos"))
    if lost & {"tasks", "processes"}:  # all that they called is missing
        assert 0 < sum(calls.values()) < sum(expected.values())
        assert all(calls[name] <= number for name, number in expected.items())
    else:
        assert calls == expected
        assert errors == {name: 0 if name == "getppid" else number for name, number in expected.items()}
        assert sum(errors.values()) - sum(errnos.values()) == sum(found["lost"].values())
