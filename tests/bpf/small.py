"""The loader with other sizes than SIZES: `python -m tests.bpf.small ERRNOS=8,TASKS=4 ...` goes on as the loader."""

from __future__ import annotations

import sys

from denet_tui.bpf import loader
from denet_tui.bpf.request import SIZES

if __name__ == "__main__":
    for each in sys.argv.pop(1).split(","):
        name, _, number = each.partition("=")
        SIZES[name] = int(number)
    loader.main()
