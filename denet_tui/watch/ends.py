"""What becomes of a command that still runs when denet-tui ends, in the words of help, dialog and docs."""

GRACE_SECONDS = 2.0
"""Between SIGTERM and SIGKILL when the command is to be ended."""


def what_kill_ends() -> str:
    """A sentence."""
    return (
        f"kill ends the command (SIGTERM, after {GRACE_SECONDS:.0f} s SIGKILL), and its process group where that is "
        "its own (on the screen, with --user); what it has started beyond that goes on."
    )
