"""Many commands from one start of Python, each whole and in its own process: for what is refused at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.real import REPOSITORY, environment

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
