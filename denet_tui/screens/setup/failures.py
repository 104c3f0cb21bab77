"""What the output of a failed fix means, and what to do next."""

from __future__ import annotations

import re

_RENEW = "renew the list (apt-get update, pacman -Sy)"
_CAUSES = {
    "Could not resolve|Temporary failure resolving|Unable to fetch|Failed to fetch|Cannot download|failed retrieving": (
        f"The package could not be fetched: there is no network here, or the list of packages is old: {_RENEW}, or "
        "bring the package here as a file; r looks again."
    ),
    "Unable to locate package|No match for argument|target not found": (
        f"The list of packages here does not have it: {_RENEW}, then apply this again."
    ),
    "Could not get lock|lock-frontend|another copy is running|unable to lock database": (
        "Another package manager is at work: wait until it has ended, then apply this again."
    ),
    "No space left on device|not enough free": "The disk is full: make room, then apply this again.",
    "dpkg was interrupted": "An installation before this one was cut off: `sudo dpkg --configure -a` ends it.",
    "Read-only file system": "This system is read-only (an image, a container): change it where it is made.",
}


def cause_of(output: str) -> str:
    """The cause and what to do, empty where that is not known."""
    return next((text for pattern, text in _CAUSES.items() if re.search(pattern, output, re.IGNORECASE)), "")
