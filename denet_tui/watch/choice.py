"""What somebody chose to watch, and what the setup screen hands back."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Choice:
    """A command, a running process, or, where it is neither, the whole machine."""

    command: tuple[str, ...] = ()
    """Its argv, as a shell would split it."""
    pid: int = 0


@dataclass(frozen=True, slots=True)
class Restart:
    """Start denet-tui again through this argv (sudo …), in the place of this process: it cannot become root itself."""

    argv: tuple[str, ...]
