"""A loader that hangs, dies, lies or fails is reported in time, with what it printed; and it never outlives us."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from denet_tui.bpf import burst, process
from denet_tui.bpf.errors import LoadError
from denet_tui.bpf.handover import Loading
from denet_tui.bpf.request import Request
from denet_tui.bpf.tracer import Tracer
from denet_tui.syscalls import numbers
from tests.real import REPOSITORY

ANSWER = """
import json, os, socket, struct, sys
channel = socket.socket(fileno=int(sys.argv[2]))
request = json.loads(channel.makefile("rb").readline())
def answer(reply, descriptors=()):
    body = json.dumps(reply).encode()
    socket.send_fds(channel, [struct.pack("<I", len(body))], list(descriptors))
    channel.sendall(body)
"""


def loading(body: str) -> Loading:
    """A loader that has read its request and then runs these lines."""
    return Loading(program=("-c", ANSWER + body))


def failure(body: str, timeout: float = 20) -> LoadError:
    with pytest.raises(LoadError) as caught:
        loading(body).receive(timeout)
    return caught.value


def test_one_that_hangs_is_ended_and_reported() -> None:
    hanging = loading("print('compiling', flush=True)\nimport time; time.sleep(1000)")
    while not hanging.output():
        time.sleep(0.01)
    with pytest.raises(LoadError) as caught:
        hanging.receive(0.5)
    assert caught.value.stage == "loader"
    assert caught.value.text.startswith("the loader did not answer within ")
    assert caught.value.output == "compiling\n"
    assert hanging.process.wait(0) == -signal.SIGKILL


def test_one_that_hangs_in_the_middle_of_its_answer_is_reported() -> None:
    error = failure("channel.sendall(struct.pack('<I', 1000) + b'{')\nimport time; time.sleep(1000)", 1.5)
    assert error.text.startswith("the loader did not answer within ")


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_one_that_dies_by_a_signal_is_reported_with_what_it_printed(number: signal.Signals) -> None:
    error = failure(f"os.write(2, b'LLVM ERROR: out of memory'); os.kill(os.getpid(), {int(number)})")
    assert error.text == f"the loader was killed by {number.name} before it was done"
    assert error.output == "LLVM ERROR: out of memory"


def test_one_that_raises_is_reported_with_its_traceback() -> None:
    error = failure("raise RuntimeError('no such luck')")
    assert error.text == "the loader exited with status 1 before it was done"
    assert "RuntimeError: no such luck" in error.output


@pytest.mark.parametrize(
    "sent", ["b'garbage, and much of it'", "struct.pack('<I', 4) + b'gar{'", "struct.pack('<I', 9) + b'{'", "b'xy'"]
)
def test_one_that_answers_garbage_is_reported(sent: str) -> None:
    error = failure(f"print('before'); sys.stdout.flush(); channel.sendall({sent}); channel.close(); os._exit(0)")
    assert error.text == "the loader exited with status 0 before it was done"
    assert error.output == "before\n"


def test_garbage_on_its_output_is_kept_and_does_no_harm() -> None:
    kernel = loading(
        "os.write(1, b'\\xff\\x00 warning'); a, b = os.pipe()\n"
        "answer({'method': 'raw', 'bcc': '0', 'notes': ['a note'], 'failures': [],"
        " 'verified': {}, 'names': [['maps', 'one'], ['links', 'two']]}, [a, b])"
    ).receive()
    assert kernel.output == "\N{REPLACEMENT CHARACTER}\0 warning"
    assert (list(kernel.maps), list(kernel.links)) == (["one"], ["two"])
    for descriptor in (*kernel.maps.values(), *kernel.links.values()):
        assert not os.get_inheritable(descriptor)
        os.close(descriptor)


def test_failures_of_both_ways_are_told_together() -> None:
    error = failure(
        "answer({'failures': [{'method': 'raw', 'stage': 'btf', 'text': 'no BTF', 'errno': None},"
        " {'method': 'tracefs', 'stage': 'attach', 'text': 'not permitted', 'errno': 1}]})"
    )
    assert (error.stage, error.number) == ("btf", None)
    assert error.text == "raw tracepoints: no BTF; tracefs tracepoints: not permitted"


def test_its_environment_and_folder_are_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/tmp")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/tmp")
    error = failure("print(*sorted(os.environ), os.getcwd(), sys.flags.isolated)")
    assert error.output == "LC_ALL PATH / 1\n"


FORKED = """
import os, sys
from denet_tui.bpf import loader, process
def main(words):
    os.listdir("/proc/self/fd")
    held = sorted(int(name) for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}"))
    leads, comm = os.getpgid(0) == os.getpid(), open("/proc/self/comm").read().strip()
    print(*sorted(os.environ), os.getcwd(), held == [0, 1, 2, int(words[1])], os.read(0, 1), leads, comm, "\N{SNOWMAN}")
    raise ValueError("at the end")
loader.main = main
process.prepare()
forked = process.waiting.pop()
sys.stdout.reconfigure(encoding="utf-8")
print(forked.wait(20), os.pread(forked.output, 9999, 0).decode(), end="")
"""


def test_neither_are_they_where_it_was_forked_nor_is_anything_that_is_open(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "LC_ALL": "POSIX", "LD_LIBRARY_PATH": "/tmp"}
    with (tmp_path / "held").open("w") as held:
        done = subprocess.run(
            [sys.executable, "-c", FORKED], env=environment, capture_output=True, pass_fds=[held.fileno()], timeout=60
        )
    *traceback, last = done.stdout.decode().splitlines()
    assert (traceback[0], traceback[-1]) == ("1 Traceback (most recent call last):", "ValueError: at the end")
    assert last == "LC_ALL PATH / True b'' True denet-loader \N{SNOWMAN}"


def test_it_dies_with_its_parent(tmp_path: Path) -> None:
    script = (
        "import time; from denet_tui.bpf.handover import Loading\n"
        "loading = Loading(program=('-c', 'import time; time.sleep(1000)'))\n"
        "print(loading.process.pid, flush=True); time.sleep(1000)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=REPOSITORY) as parent:
        assert parent.stdout is not None
        loader = os.pidfd_open(int(parent.stdout.readline()))
        parent.send_signal(signal.SIGKILL)
    try:
        assert _ended(loader)
    finally:
        os.close(loader)


@pytest.mark.root
@pytest.mark.parametrize(("uid", "counted"), [(None, 1000), (54321, 0)])
def test_one_that_waits_is_asked_by_the_next_and_counts_whose_calls_that_says(uid: int | None, counted: int) -> None:
    process.prepare()
    waiting = process.waiting[0].pid
    loading = Loading(Request("raw"), only_uid=uid)
    assert loading.process.pid == waiting
    tracer = Tracer(loading.receive(), uid)
    try:
        assert burst.count(tracer, numbers()["getppid"]).counted == counted
    finally:
        tracer.close()
    assert not process.waiting


def test_one_that_nobody_asks_ends_by_itself() -> None:
    process.prepare()
    waiting = process.waiting.pop()
    assert waiting.wait(0) is None
    waiting.channel.close()
    assert waiting.wait(20) == 1


def _ended(pidfd: int) -> bool:
    """Within ten seconds: what is awaited comes at once, or never."""
    import select

    return bool(select.select([pidfd], [], [], 10)[0])


@pytest.mark.root
def test_the_real_loader_reports_what_the_kernel_refuses_with_what_libbcc_printed() -> None:
    script = "from denet_tui.bpf import loader, request; request.SIZES['ROWS'] = 0; loader.main()"
    with pytest.raises(LoadError) as caught:
        Loading(Request("raw"), program=("-c", script)).receive()
    assert caught.value.stage == "compile"
    assert "\n" not in caught.value.text
    assert "pid_syscall_map" in caught.value.output
