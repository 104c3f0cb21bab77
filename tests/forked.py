"""Many commands from one start of Python, each whole and in its own process.

Python's start and imports are half of what a short command takes. What a start does is tested where Python is started.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from tests.real import REPOSITORY, environment

_SERVE = """
import gc, importlib, json, os, runpy, socket, sys
import denet_tui.cli
for name in ("commands.run", "commands.diag", "commands.setup", "commands.diff", "record.writer", "watch.hold"):
    importlib.import_module("denet_tui." + name)
gc.freeze()
channel = socket.socket(fileno=int(sys.argv[1]))
while True:
    text, descriptors, _, _ = socket.recv_fds(channel, 1 << 20, 3)
    if not text:
        break
    pid = os.fork()
    if not pid:
        channel.close()
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number)
            os.close(descriptor)
        asked = json.loads(text)
        os.chdir(asked["cwd"])
        os.environ.clear()
        os.environ.update(asked["env"])
        program, *words = asked["argv"]
        sys.argv = [program, *words]
        if program == "-m":
            sys.argv = words
            runpy.run_module(words[0], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(program, run_name="__main__")
        sys.exit()
    for descriptor in descriptors:
        os.close(descriptor)
    channel.send(str(pid).encode())
    channel.send(str(os.waitpid(pid, 0)[1]).encode())
"""

_EACH = """
import gc, importlib, json, os, sys, tempfile
from denet_tui.cli import main
for name in ("commands.run", "commands.diag", "commands.setup", "commands.diff", "record.writer"):
    importlib.import_module("denet_tui." + name)
gc.freeze()
for words in json.load(sys.stdin):
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        pid = os.fork()
        if not pid:
            for file, number in ((out, 1), (err, 2)):
                os.dup2(file.fileno(), number)
            sys.argv = ["denet-tui", *words]
            try:
                main()
            finally:
                gc.freeze()  # as __main__ does
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        said = [(file.seek(0), os.fsdecode(file.read()))[1] for file in (out, err)]
    print(json.dumps([status, *said]), flush=True)
"""


def each(commands: Iterable[Sequence[str | bytes]], cwd: Path = REPOSITORY) -> list[subprocess.CompletedProcess[str]]:
    """Run denet-tui with each of these words to its end: all but `__main__`, without a terminal."""
    asked = [[os.fsdecode(word) for word in words] for words in commands]
    done = subprocess.run(
        [sys.executable, "-B", "-c", _EACH],
        input=json.dumps(asked), env=environment() | {"PYTHONPATH": str(REPOSITORY)}, cwd=cwd, capture_output=True,
        text=True, timeout=120,
    )  # fmt: skip
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(said) == len(asked), done.stderr
    return [subprocess.CompletedProcess(words, *rest) for words, rest in zip(asked, said, strict=True)]


@cache
def _server() -> socket.socket:
    """Of this worker; it ends with it, as then its socket has no other end."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        subprocess.Popen(
            [sys.executable, "-IB", "-c", _SERVE, str(theirs.fileno())],
            stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], cwd=REPOSITORY, env=environment(),
        )  # fmt: skip
    return ours


def run(
    argv: Sequence[str], env: Mapping[str, str], cwd: str | Path, timeout: float, errors: str
) -> subprocess.CompletedProcess[str]:
    """What subprocess.run gives of `python -IB -m MODULE WORD...` or `python -IB SCRIPT WORD...`, without a terminal.

    As that does, it waits for all who have its output open, too; raises TimeoutExpired.
    """
    asked = json.dumps({"argv": list(argv), "env": dict(env), "cwd": os.fspath(cwd)}).encode()
    out, err = os.pipe(), os.pipe()
    with Path(os.devnull).open("rb") as nothing:
        socket.send_fds(_server(), [asked], [nothing.fileno(), out[1], err[1]])
    for _, written in (out, err):
        os.close(written)
    pid = int(_server().recv(100))
    try:
        said = _read_all((out[0], err[0]), time.monotonic() + timeout)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        raise subprocess.TimeoutExpired(list(argv), timeout) from None
    finally:
        status = int(_server().recv(100))
    texts = (each.decode(errors=errors).replace("\r\n", "\n").replace("\r", "\n") for each in said)
    return subprocess.CompletedProcess(list(argv), os.waitstatus_to_exitcode(status), *texts)


def _read_all(descriptors: tuple[int, int], until: float) -> tuple[bytes, bytes]:
    said = {descriptor: bytearray() for descriptor in descriptors}
    with selectors.DefaultSelector() as selector:
        for descriptor in descriptors:
            selector.register(descriptor, selectors.EVENT_READ)
        while selector.get_map():
            if not (ready := selector.select(max(until - time.monotonic(), 0))) and time.monotonic() >= until:
                raise TimeoutError
            for key, _ in ready:
                if piece := os.read(key.fd, 1 << 16):
                    said[key.fd] += piece
                else:
                    selector.unregister(key.fd)
                    os.close(key.fd)
    out, err = (bytes(said[descriptor]) for descriptor in descriptors)
    return out, err
