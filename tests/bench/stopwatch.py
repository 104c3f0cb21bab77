"""Runs a command and writes into a file what it took, in s: wall time, and CPU time of it and its children.

Run by `python -I stopwatch.py FILE COMMAND...` below each tracer, so that the tracer's own start is not measured. Of a
client that runs for a fixed time and says how many requests that were, it is what 10,000 of them took.
"""

import re
import resource
import subprocess
import sys
import time
from pathlib import Path

before = time.perf_counter()
done = subprocess.run(sys.argv[2:], check=True, stdin=subprocess.DEVNULL, capture_output=True)
wall = time.perf_counter() - before
used = resource.getrusage(resource.RUSAGE_CHILDREN)
requests = re.search(rb"(\d+) requests in", done.stdout)
each = 10_000 / int(requests[1]) if requests else 1
Path(sys.argv[1]).write_text(f"{wall * each} {(used.ru_utime + used.ru_stime) * each}")
