"""The loader's service: a member of the group watches own commands without sudo, and nobody gets more than that."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.person import Person
from tests.real import REPOSITORY, SHIFTING, environment, straced
from tests.watch.helpers import eventually, programs

pytestmark = pytest.mark.root

GROUP = 54321
"""Of the socket; the number needs no name."""
_HIDDEN_RUN = 'mount -t tmpfs tmpfs /run && exec "$@"'


def beside(*argv: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Run a program on a machine that has the service."""
    service = [sys.executable, "-m", "tests.attack.service", str(GROUP), "--", *argv]
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", _HIDDEN_RUN, "sh", *service],
        cwd=REPOSITORY, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout,
    )  # fmt: skip


def member(person: Person, script: str, *arguments: str) -> list[str]:
    """The argv of a shell script for this user, with the group."""
    argv = person.argv(f"cd; {script}", *arguments)
    return [f"--groups={GROUP}" if word == "--init-groups" else word for word in argv]


def test_a_member_counts_exactly_what_strace_counts(person: Person, workload: Path, tmp_path: Path) -> None:
    program = shutil.copy(workload, person.home / "workload")
    done = beside(*member(person, f"$denet run --no-tui --summary own.json -- {program}"))
    assert done.returncode == 7, done.stderr
    assert "exact: no call lost" in done.stderr
    assert "sudo" not in done.stderr
    summary = json.loads((person.home / "own.json").read_text())
    assert (summary["exact"], summary["lost"]) == (True, dict.fromkeys(summary["lost"], 0))
    reference = straced([str(program)], tmp_path)
    counted = Counter({name.rpartition(":")[2]: 0 for name in summary["syscalls"]})
    for name, row in summary["syscalls"].items():
        counted[name.rpartition(":")[2]] += row["calls"]
    expected = {name: calls for name, calls in reference.total.items() if name not in SHIFTING}
    assert {name: counted[name] for name in expected} == expected


def test_who_is_no_member_is_told_what_to_do(person: Person) -> None:
    done = beside(*person.argv("cd; $denet run --no-tui --no-sudo -- touch never"))
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr.startswith(
        "denet-tui: this session may not ask for the BPF program: it is not in the group denet-trace. An administrator"
        f" lets you in with `gpasswd --add {person.name} denet-trace`, then log in again; or run"
        " `sudo /"
    )
    assert done.stderr.endswith("/denet-tui run --no-tui --no-sudo -- touch never`\n")
    assert not (person.home / "never").exists()


def test_the_whole_machine_and_others_stay_roots(person: Person) -> None:
    words = ("machine --no-tui", "attach --no-tui 1", "run --no-tui --as-root -- id")
    done = beside(*member(person, "; ".join(f"$denet {each}; echo $?" for each in words)))
    assert done.stdout == "125\n" * len(words)
    machine, other, _ = done.stderr.splitlines()
    assert "needs root" in machine
    assert other.startswith("denet-tui: process 1 belongs to root, not to ")


ASK = """
import json, os, socket, sys, time
from denet_tui.bpf.handover import read_reply
from denet_tui.bpf.request import SOCKET
def ask(line, look=lambda descriptor: None):
    channel = socket.socket(socket.AF_UNIX)
    channel.connect(SOCKET)
    channel.sendall(line)
    if not line.endswith(b"\\n"):
        channel.shutdown(socket.SHUT_WR)
    reply, descriptors = read_reply(channel, 20)
    for each in descriptors:
        look(each)
        os.close(each)
    return len(descriptors), [each["text"] for each in reply["failures"]]
def held(line):  # ids of the programs behind what comes
    found = set()
    def look(descriptor):
        lines = open(f"/proc/self/fdinfo/{descriptor}").read().splitlines()
        found.update(int(each.split()[1]) for each in lines if each.startswith("prog_id:"))
    ask(line, look)
    return sorted(found)
"""

REQUESTS = {
    "not JSON": b"hello\n",
    "no object": b"[1]\n",
    "nothing": b"\n",
    "torn": b'{"way"',
    "deep": b"[" * 4000 + b"\n",
    "long": b'{"method": "raw", "x": "' + b"x" * 100_000 + b'"}\n',
    "a uid": b'{"method": "raw", "only_uid": 0}\n',
    "a flag": b'{"method": "raw -DX"}\n',
    "a list": b'{"method": ["raw"]}\n',
    "true": b'{"method": "raw", "scale": true}\n',
    "huge": b'{"method": "raw", "scale": 4}\n',
    "no size": b'{"method": "raw", "scale": 5}\n',
    "rows": b'{"method": "raw", "scale": 0, "rows": 100000}\n',
    "few rows": b'{"method": "raw", "rows": 1, "only_wanted": true}\n',
    "less than none": b'{"method": "raw", "rows": -1}\n',
}


def test_what_is_no_request_gets_nothing_and_an_answer(person: Person) -> None:
    script = f"{ASK}\nprint(json.dumps({{name: ask(line) for name, line in {REQUESTS!r}.items()}}))"
    done = beside(*member(person, 'exec "$1" -c "$2"', sys.executable, script))
    found = json.loads(done.stdout)
    assert found.keys() == REQUESTS.keys()
    assert {name: count for name, (count, _) in found.items() if count} == {}
    assert all(len(texts) == 1 for _, texts in found.values()), found
    assert "at most 262,144 rows" in found["huge"][1][0]
    assert "at least 65,536 rows" in found["few rows"][1][0]


@pytest.mark.slow
@pytest.mark.early
def test_two_in_a_row_leave_no_program(person: Person) -> None:
    """Each compiles, as the unit is nobody; a thousand are made where systemd is (tests/lab)."""
    script = f"{ASK}\nprint(json.dumps([held(b'{{}}\\n') for _ in range(2)]))"
    done = beside(*member(person, 'exec "$1" -c "$2"', sys.executable, script), timeout=120)
    first, second = map(set, json.loads(done.stdout))
    assert len(first) > 5, done.stderr
    assert len(second) > 5
    assert not first & second
    eventually(lambda: not (first | second) & programs(), "the programs are gone")


@pytest.mark.slow
def test_the_self_test_and_the_checks_go_through_it(person: Person) -> None:
    done = beside(*member(person, "$denet selftest; $denet diag --only E2E-001 --json"), timeout=120)
    lines = done.stdout.splitlines()
    assert lines[0] == "raw tracepoints: read: 1,000 calls made, 1,000 counted (EBADF 1,000): exact"
    found = json.loads("\n".join(lines[1:]))
    assert (found["ready"], found["ways"]["raw"]["verdict"]) == (True, "ready")
