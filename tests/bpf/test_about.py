"""What calls are about that have not ended, or not well, or not soon."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from denet_tui.bpf.handover import Loading
from denet_tui.bpf.request import Request
from denet_tui.bpf.tracer import Tracer
from denet_tui.syscalls import syscall
from denet_tui.system import uname
from tests.real import denet, run, run_summary

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
        ("connect", f"unix @denet-full-{watched.pid}"),
        ("recvfrom", f"udp 127.0.0.1:{udp}"),
        ("read", f"pipe:[{pipe}]"),
        ("openat", f"{tmp_path}/fifo"),
        ("sendto", f"unix @denet-datagrams-{watched.pid}"),
        ("sendmsg", f"unix @denet-datagrams-{watched.pid}"),
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
fails(socket.socket(socket.AF_INET6).connect, ("::ffff:127.0.0.1", 1))
fails(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).send, b"")
fails(socket.socket(socket.AF_VSOCK).connect, (2, 1))
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
            "tcp → [::1]:1": 1,
            "tcp → 127.0.0.1:1": 2,  # mapped into IPv6, too
            f"tcp 127.0.0.1:{port}": 1,
            "unix @denet-nobody": 1,
        }.items()
    )
    families = {each["path"].partition(" [")[0] for each in found["files"] if each["kind"] == "socket"}
    assert families == {"netlink", "vsock"}


def test_what_is_made_from_nothing_is_opened(tmp_path: Path) -> None:
    summary = tmp_path / "summary"
    making = [PYTHON, "-S", "-I", str(Path(__file__).with_name("making.py"))]
    done = run(denet("run", "--no-tui", "--detail", "files", "--summary", str(summary), "--", *making))
    pipe, *pair = done.stdout.split()
    found = json.loads(summary.read_text())
    opens = Counter[str]()
    for each in found["files"]:
        if each["pid"] is None and each["kind"] not in ("file", "directory", "device"):
            opens[each["path"]] += each["opens"]
    assert opens[f"pipe:[{pipe}]"] == 2
    assert [opens[f"unix [{inode}]"] for inode in pair] == [1, 1]
    assert opens["unix @denet-making"] == 3, "made to listen, to connect, and accepted"
    assert opens["/memfd:denet-memory"] == 1
    names = {
        "[eventpoll]": 2,
        "[eventfd]": 1,
        "[timerfd]": 1,
        "inotify": 1,
        "[fanotify]": 1,
    }  # Python's selectors try epoll
    assert {name: opens[f"anon_inode:{name}"] for name in names} == names
    assert opens["tcp 0.0.0.0:0"] == opens["udp [::]:0"] == 1


DEEP = """
import os, sys
path = sys.argv[1]
for at in range(24):
    path += f"/d{at}"
os.makedirs(path)
open(path + "/file", "w").write("x")
"""


def test_a_file_deep_below_folders_has_its_whole_name(tmp_path: Path) -> None:
    start = tmp_path.resolve()
    _, found = run_summary([PYTHON, "-S", "-c", DEEP, str(start)], tmp_path, "--detail", "files")
    paths = [each["path"] for each in found["files"] if each["pid"] is None and each["write_bytes"] == 1]
    assert paths == [f"{start}/{'/'.join(f'd{at}' for at in range(24))}/file"]


CALLS = Path(__file__).with_name("narrow.c")


@pytest.mark.skipif(uname.machine() != "x86_64", reason="needs calls of another ABI (int 0x80)")
def test_calls_of_another_abi_are_said_to_be_missing(tmp_path: Path) -> None:
    program = tmp_path / "narrow"
    subprocess.run(["gcc", "-O2", "-o", program, CALLS], check=True)
    _, found = run_summary([str(program)], tmp_path, "--detail", "files")
    assert found["syscalls"]["ia32:getpid"]["calls"] == 7
    assert found["turned_away"] == {"32-bit calls": 7}


NAPS = """
import os, time
for length in (150, 30, 270, 60, 240, 90, 180, 120):
    if not os.fork():
        time.sleep(length / 1000)
        os._exit(0)
for _ in range(8):
    os.wait()
"""


def test_the_slowest_are_those_that_strace_finds(tmp_path: Path) -> None:
    if not shutil.which("strace"):
        pytest.skip("needs strace, which this is compared with")
    log = tmp_path / "log"
    traced = ["strace", "-f", "-qq", "-T", "-e", "trace=clock_nanosleep", "-o", str(log)]
    _, found = run_summary([*traced, PYTHON, "-S", "-c", NAPS], tmp_path, "--detail", "files")
    calls = re.findall(r"^(\d+) .*clock_nanosleep.* <([\d.]+)>$", log.read_text(), re.MULTILINE)
    theirs = sorted(((float(seconds), int(pid)) for pid, seconds in calls), reverse=True)
    assert len(theirs) == 8
    ours = [each for each in found["slowest"] if each["syscall"] == "clock_nanosleep"]
    assert [each["pid"] for each in ours] == [pid for _, pid in theirs[:5]]
    for each, (seconds, _) in zip(ours, theirs, strict=False):
        assert each["time_ns"] <= seconds * 1e9 + 1000, "strace sees its begin earlier, and its end later"
