"""Runs lines of shell one after the other, each to the end of all that it started; notes the pid of each."""

from __future__ import annotations

import ctypes
import json
import os
import sys
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36


def main() -> None:
    lines, noted, environment = json.loads(Path(sys.argv[1]).read_text())
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    pids = []
    for line in lines:
        pid = os.fork()
        if pid == 0:
            os.execve("/bin/sh", ["sh", "-c", line], environment)
        pids.append(pid)
        try:
            while True:
                os.wait()
        except ChildProcessError:
            pass
    Path(noted).write_text(json.dumps(pids))


main()
