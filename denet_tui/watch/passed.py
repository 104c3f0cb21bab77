"""What the command of another user gets of the caller's environment; for the help, too, so nothing is imported here."""

PASSED = ("TERM", "COLORTERM", "LANG", "LANGUAGE", "LC_*", "TZ")
"""What the terminal can do, language and time."""
