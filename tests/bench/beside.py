"""Runs a command while a tracer of the whole machine counts: `python -I beside.py "TRACER..." COMMAND...`.

For a tracer that starts no command itself: the command begins with its first line, and it is interrupted at the end.
"""

import shlex
import signal
import subprocess
import sys

signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it else
tracing = shlex.split(f"setpriv --pdeathsig KILL {sys.argv[1]}")  # one that goes on would take all others' events
with subprocess.Popen(tracing, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as tracer:
    try:
        told = tracer.stdout.readline()
        while told and not told.startswith("Tracing "):
            told = tracer.stdout.readline() or sys.exit("it ended before it counted")
        status = subprocess.run(sys.argv[2:], check=False).returncode
        tracer.send_signal(signal.SIGINT)
        tracer.communicate(timeout=60)
    finally:
        tracer.kill()
sys.exit(status)
