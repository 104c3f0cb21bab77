"""denet-tui: exact, live syscall counts of a running command and all its descendants."""

__version__ = "0.2.0"
