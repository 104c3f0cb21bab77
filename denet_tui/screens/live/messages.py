"""The messages that travel from workers to screens."""

from __future__ import annotations

from textual.message import Message


class SnapshotReady(Message):
    """At least one new Snapshot lies in the screen's slot; carries none, so that a burst of them merges."""

    def can_replace(self, message: Message) -> bool:
        """Whether `message` says the same as this one."""
        return isinstance(message, SnapshotReady)


class WatchFailed(Message):
    """The worker cannot go on; `error` says why."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        super().__init__()


class RunAgain(Message):
    """The command is held once more, in `session`; or `error` says why not."""

    def __init__(self, session: object | None, error: Exception | None = None) -> None:
        self.session = session
        self.error = error
        super().__init__()
