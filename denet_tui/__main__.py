#!/usr/bin/python3 -IBS
"""`denet-tui` and `python -m denet_tui`: start over with Python isolated, before anything of the caller's is imported.

Under sudo this is root, while Python's variables and the current folder are still the caller's (-I), and so may be the
folders where a __pycache__ would be written (-B). As a script this begins with the distribution's Python and goes on
with the one beside it: pip writes no options into a first line, and a shell would lose variables of the caller's.
Without pathlib, which takes longer to import than all else that is done before the second start.
"""

import gc
import os
import sys


def _environment() -> dict[bytes, bytes]:
    """As it came: in the C locale os.environ has an LC_CTYPE of Python's own (PEP 538)."""
    try:
        with open("/proc/self/environ", "rb") as file:
            entries = file.read().split(b"\0")
    except OSError:
        return dict(os.environb)
    pairs = (entry.partition(b"=") for entry in entries)
    return {name: value for name, has_value, value in pairs if name and has_value}


if sys.flags.no_site or not (sys.flags.isolated and sys.flags.dont_write_bytecode):
    beside = os.path.join(os.path.dirname(os.path.realpath(__file__)), "python")
    python = beside if os.path.exists(beside) else sys.executable
    program = ["-m", __package__, *sys.argv[1:]] if __package__ else sys.argv
    os.execve(python, [python, "-IB", *program], _environment())  # noqa: S606 - an argv, not a shell

import signal  # noqa: E402 - not before the second start

gc.set_threshold(50_000)  # what is imported stays: looking through it again and again takes a tenth of the start
if signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL:  # asked for the table before there is one: that ends nothing
    signal.signal(signal.SIGUSR1, lambda *_: None)  # not SIG_IGN, which the command would inherit
interrupted = signal.getsignal(signal.SIGINT)
if interrupted is signal.default_int_handler:  # ctrl+c ends what has not begun yet, without Python's traceback
    signal.signal(signal.SIGINT, signal.SIG_DFL)
try:
    # Where one of the streams is closed, what is opened now would be in its place.
    streams = sys.stdin and sys.stdout and sys.stderr
    if sys.argv[1:2] in (["run"], ["attach"], ["machine"]) and os.geteuid() == 0 and streams:
        from denet_tui.bpf.process import prepare

        prepare()
    from denet_tui.cli import main
except (MemoryError, OSError, ImportError) as error:  # before anything of ours could say it
    why = f"{type(error).__name__}: {error}".rstrip(": ")
    limits = "raise the limits (`ulimit -n 1024; ulimit -v unlimited`), or install denet-tui again"
    sys.stderr.write(f"denet-tui: it cannot be loaded ({why}); {limits}\n")
    sys.exit(125)

try:
    signal.signal(signal.SIGINT, interrupted)
    main()
finally:
    gc.freeze()  # or Python would look through all that there is once more, to give back what the end gives back anyway
