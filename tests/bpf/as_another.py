"""What a user is told of a setuid program it has started: `python -m tests.bpf.as_another UID PROGRAM [OPTION]..`.

Run as root; PROGRAM is a setuid cat; OPTIONs are of setpriv(1), or `mapped INSIDE` (tests/bpf/mapped.py in its place).
Prints one JSON object: names of files, failing paths, and what was turned away.
"""

from __future__ import annotations

import json
import subprocess
import sys

from denet_tui.bpf import loader
from denet_tui.bpf.handover import Kernel
from denet_tui.bpf.request import Request
from denet_tui.bpf.tracer import Tracer

SCRIPT = 'echo $$; read go; "$0" /etc/shadow /root/secret > /dev/null; cat /etc/hostname /own-missing; exit 0'


def main() -> None:
    uid, program, *options = sys.argv[1:]
    loaded = loader.load(Request("raw", detail="files"), int(uid))
    loaded["after"]()
    tracer = Tracer(Kernel(loaded["maps"], loaded["links"], "raw", (), "", "", {}), int(uid))
    become = ["setpriv", "--reuid", uid, "--regid", uid, "--clear-groups", *options]
    if options[:1] == ["mapped"]:
        become = [sys.executable, "-m", "tests.bpf.mapped", uid, *options[1:]]
    argv = [*become, "sh", "-c", SCRIPT, program]
    watched = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert watched.stdout
    tracer.attach(int(watched.stdout.readline()))
    watched.communicate(b"\n", timeout=30)
    about = tracer.read().about
    assert about
    print(
        json.dumps(
            {
                "files": [file.path for _, file, _ in about.used],
                "failed": [path.path for path, _ in about.failed],
                "slowest": [slow.about for slow in about.slow],
                "turned_away": dict(about.turned_away),
            }
        )
    )


if __name__ == "__main__":
    main()
