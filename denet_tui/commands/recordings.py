"""How report, view and diff come to what they read: opened with root's rights under sudo, read without."""

from __future__ import annotations

from collections.abc import Sequence

from denet_tui.bpf.privilege import become, invoking_user
from denet_tui.record.lines import open_file
from denet_tui.record.track import Track


def tracks(paths: Sequence[str]) -> list[Track]:
    """The recordings at some paths, `-` for standard input; root is given away. Raises UnreadableError."""
    opened = [open_file(path) for path in paths]
    become(invoking_user())
    return [Track(file, "standard input" if path == "-" else path) for file, path in zip(opened, paths, strict=True)]
