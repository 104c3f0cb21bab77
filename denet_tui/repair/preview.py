"""What a fix would change, before anything happens: line by line, or as an object. All else only formats these."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from denet_tui.checks.host import Host
from denet_tui.checks.model import Change, Fix, RunCommand, SetValue, WriteFile

Kind = Literal["run", "set", "write", "delete", "text", "added", "removed"]
_PLAIN = {
    "run": "run    {0.text}",
    "set": "set    {0.text}: {0.old} -> {0.new}",
    "write": "write  {0.text} (root, mode {0.mode})",
    "delete": "delete {0.text}",
}


@dataclass(frozen=True, slots=True)
class PreviewLine:
    """A change, or below the change of a file a line of it; `str` is how a terminal shows it."""

    kind: Kind
    text: str
    """The command, the path, or the line of the file."""
    words: tuple[str, ...] = ()
    """The command's words, each as a shell takes it."""
    old: str = ""
    """The value that is set now; the error, in brackets, where it cannot be read."""
    new: str = ""
    mode: str = ""
    """Of a file to write, as `0644`."""

    def __str__(self) -> str:
        return _PLAIN.get(self.kind, "{0.text}").format(self)


def preview(fix: Fix, host: Host | None = None) -> tuple[PreviewLine, ...]:
    """The lines of a fix; without a host whole files, with one what differs from what it has. Never raises OSError."""
    return tuple(line for change in fix.changes for line in _lines(change, host))


def _lines(change: Change, host: Host | None) -> Iterator[PreviewLine]:
    if isinstance(change, RunCommand):
        yield PreviewLine("run", shlex.join(change.argv), tuple(map(shlex.quote, change.argv)))
    elif isinstance(change, SetValue):
        yield PreviewLine("set", change.path, old=_value(host, change.path) if host else "", new=change.value)
    else:
        kind: Kind = "delete" if change.text is None else "write"
        yield PreviewLine(kind, change.path, mode=f"{change.mode:04o}")
        for line in _difference(host, change) if host else (change.text or "").splitlines():
            sign = line[:1] if host else ""
            yield PreviewLine("added" if sign == "+" else "removed" if sign == "-" else "text", line)


def _value(host: Host, path: str) -> str:
    try:
        return " ".join(host.read(path).split())
    except OSError as error:
        return f"({error.strerror})"


def _difference(host: Host, change: WriteFile) -> list[str]:
    """Unified difference between a file as it is and as it would be."""
    try:
        old: str | None = host.read(change.path)
    except FileNotFoundError:
        old = None
    except OSError as error:
        return [f"  (cannot be read: {error.strerror})"]
    before, after = ("/dev/null" if each is None else change.path for each in (old, change.text))
    return list(
        difflib.unified_diff((old or "").splitlines(), (change.text or "").splitlines(), before, after, lineterm="")
    )


def shell(fix: Fix) -> str:
    """What does the same when root pastes it into a shell; empty where the fix changes nothing."""
    lines = []
    for change in fix.changes:
        match change:
            case RunCommand(argv):
                lines.append(shlex.join(argv))
            case SetValue(path, value):
                lines.append(f"echo {shlex.quote(value)} > {path}")
            case WriteFile(path, None):
                lines.append(f"rm {path}")
            case WriteFile(path, text, mode):
                lines += [f"install -D -m {mode:04o} /dev/stdin {path} <<'EOF'", (text or "").rstrip("\n"), "EOF"]
    return "\n".join(lines)


def as_object(fix: Fix, host: Host | None = None) -> dict[str, Any]:
    """A fix as it stands in JSON: argv lists, whole files (`text` null deletes one) and values of the kernel.

    With a host it also has what is there now: each file's `diff`, and `old` and `new` in place of a `value`.
    """
    found: dict[str, list[Any]] = {"commands": [], "files": [], "values": []}
    for change in fix.changes:
        match change:
            case RunCommand(argv):
                found["commands"].append(list(argv))
            case SetValue(path, value):
                now = {"old": _value(host, path), "new": value} if host else {"value": value}
                found["values"].append({"path": path, **now})
            case WriteFile(path, text, mode):
                diff = {"diff": _difference(host, change)} if host else {}
                found["files"].append({"path": path, "text": text, "mode": f"{mode:04o}", **diff})
    words = {name: getattr(fix, name) for name in ("scope", "undo", "weakens", "advice")}
    return {"id": fix.id, "title": fix.title, **found, **words}
