"""The loader's service without systemd: its socket, and an instance for each connection, as the unit has it.

Run as root by `python -m tests.attack.service GROUP -- ARGV…` in a mount namespace of its own (/run is hidden there):
listens, runs ARGV beside, and ends with its status.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

from denet_tui.bpf.request import SOCKET

CAPABILITIES = "-all,+bpf,+perfmon"
INSTANCE = (
    *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"),
    *(f"--{kind}={CAPABILITIES}" for kind in ("inh-caps", "ambient-caps", "bounding-set")),
    *("--", sys.executable, "-I", "-m", "denet_tui.bpf.loader", "serve"),
)
"""What denet-tui-loader@.service starts: somebody who is nobody, with two capabilities."""


def serve(listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        instance = subprocess.Popen(INSTANCE, stdin=connection, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        connection.close()
        threading.Thread(target=instance.wait, daemon=True).start()


def main() -> None:
    separator = sys.argv.index("--")
    gid, argv = int(sys.argv[1]), sys.argv[separator + 1 :]
    folder = Path(SOCKET).parent
    folder.mkdir(mode=0o755)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(SOCKET)
    os.chown(SOCKET, 0, gid)
    os.chmod(SOCKET, 0o660)  # noqa: PTH101
    listener.listen(128)
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(subprocess.run(argv).returncode)


if __name__ == "__main__":
    main()
