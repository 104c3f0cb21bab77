"""What calls are about that have not ended, or not well, or not soon."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from denet_tui.bpf.handover import Loading
from denet_tui.bpf.request import Request
from denet_tui.bpf.tracer import Tracer
from denet_tui.syscalls import syscall
from tests.real import run_summary

pytestmark = pytest.mark.root

PYTHON = str(Path(sys.executable).resolve())
HANGING = str(Path(__file__).with_name("hanging.py"))


def test_what_a_thread_hangs_in_is_told(tmp_path: Path) -> None:
    tracer = Tracer(Loading(Request("raw", detail="all")).receive())
    try:
        wait = ["/bin/sh", "-c", 'read go; exec "$@"', "sh", PYTHON, "-S", HANGING, str(tmp_path)]
        with subprocess.Popen(wait, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as watched:
            assert watched.stdin
            assert watched.stdout
            tracer.attach(watched.pid)
            watched.stdin.write("go\n")
            port, udp, pipe = watched.stdout.readline().split()
            told = {}
            for _ in range(2):  # what is told once stays told
                reading = tracer.read()
                told = {
                    (syscall(task.abi, task.nr).name, task.about)
                    for task in reading.tasks
                    if task.inside and task.tid != watched.pid
                }
            watched.stdin.close()
    finally:
        tracer.close()
    assert told == {
        ("connect", f"127.0.0.1:{port}"),
        ("connect", "unix @denet-full"),
        ("recvfrom", f"udp 127.0.0.1:{udp}"),
        ("read", f"pipe:[{pipe}]"),
        ("openat", f"{tmp_path}/fifo"),
        ("sendto", "unix @denet-datagrams"),
    }


FAILS = """
import socket, sys
def fails(call, *where):
    try:
        call(*where)
    except OSError:
        return
    raise SystemExit("it was to fail")
server = socket.socket()
server.bind(("127.0.0.1", 0))
server.listen(0)
address = server.getsockname()
kept = []
for _ in range(3):
    client = socket.socket()
    client.setblocking(False)
    client.connect_ex(address)
    kept.append(client)
client = socket.socket()
client.setsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT, 1)
fails(client.connect, address)
fails(socket.socket().connect, ("127.0.0.1", 1))
fails(socket.socket(socket.AF_INET6).connect, ("::1", 1))
fails(socket.socket().bind, address)
fails(socket.socket(socket.AF_UNIX).connect, b"\\0denet-nobody")
print(address[1], file=open(sys.argv[1], "w"))
"""


def test_a_peer_that_was_not_reached_has_its_address(tmp_path: Path) -> None:
    told = tmp_path / "port"
    status, found = run_summary([PYTHON, "-S", "-c", FAILS, str(told)], tmp_path, "--detail", "files")
    assert status == 0
    port = told.read_text().strip()
    slowest = [each for each in found["slowest"] if each["syscall"] == "connect"]
    assert slowest[0]["about"] == f"tcp → 127.0.0.1:{port}"
    assert slowest[0]["time_ns"] > 10**9
    errors = {each["path"]: each["errors"] for each in found["files"] if each["pid"] is None and each["errors"]}
    assert (
        errors.items()
        >= {
            f"tcp → 127.0.0.1:{port}": 1,
            "tcp → 127.0.0.1:1": 1,
            "tcp → [::1]:1": 1,
            f"tcp 127.0.0.1:{port}": 1,
            "unix @denet-nobody": 1,
        }.items()
    )
