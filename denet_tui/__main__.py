"""`python -m denet_tui` is the same as `denet-tui`, which starts Python so from the first: see `launcher`."""

import os
import sys

if not (sys.flags.isolated and sys.flags.dont_write_bytecode):
    os.execv(sys.executable, [sys.executable, "-IB", "-m", "denet_tui", *sys.argv[1:]])  # noqa: S606 - argv, no shell

from denet_tui.cli import main

main()
