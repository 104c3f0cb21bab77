"""`python -m tests.screens.live.demo`: the live screen over a session that is none, to look at it.

Options: --lossy, --big (300 processes with 40 syscalls each), --ticks N, --interval S.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from denet_tui.model import Loss
from denet_tui.screens.live.app import DenetApp
from tests.screens.live.double import INFO, Build, Ticking


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lossy", action="store_true")
    parser.add_argument("--big", action="store_true")
    parser.add_argument("--ticks", type=int, default=1000)
    parser.add_argument("--interval", type=float, default=0.5)
    options = parser.parse_args()
    build = Build(*((300, 40) if options.big else (9, 14)), loss=Loss(rows=1234) if options.lossy else Loss())
    info = INFO._replace(notes=("running as root",)) if options.lossy else INFO
    app = DenetApp(Ticking(build, options.ticks, options.interval, info))
    before = time.process_time()
    how = app.run()
    # Not ru_maxrss: that is inherited from whatever started this.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak = int(status.split("VmHWM:")[1].split()[0]) // 1024
    spent = (time.process_time() - before) / max(1, build.tick) * 1000
    print(f"{how}, {peak} MB at most, {spent:.1f} ms CPU per tick (making up the numbers included)")
    sys.exit(app.return_code)


if __name__ == "__main__":
    main()
