"""What has to be known from before privilege was given away: the machine's state, and who asked."""

from __future__ import annotations

import logging

from denet_tui.bpf.facts import gather
from denet_tui.bpf.failure import Explanation, LoadError
from denet_tui.bpf.privilege import invoking_user
from denet_tui.watch.caller import environment_of

log = logging.getLogger("denet_tui")


class Before:
    """The machine as it was before privilege was given away, to be compared with what the last good run had.

    `environment` is that of who asked.
    """

    def __init__(self) -> None:
        from denet_tui.checks.host import Host

        asker = invoking_user()
        self.environment = environment_of(asker, asker=asker)
        self._host = Host()
        status = self._host.status()
        self._host.status = lambda: status  # type: ignore[method-assign]

    def remember(self) -> None:
        """After a good run: write the record, as the invoking user; the run does not fail because of it."""
        from denet_tui.checks import last_good

        try:
            last_good.remember(self._host, last_good.where(self._host))
        except OSError as error:
            log.debug("this good run is not remembered: %s", error)

    def with_remedy(self, explanation: Explanation) -> Explanation:
        """A failure to import bcc with what BCC-001 says where it is installed, and damaged."""
        from denet_tui.checks.toolchain import remedy

        title, fix = remedy(self._host, explanation.cause)
        cause = title if "is not installed" in explanation.cause and title else explanation.cause
        return explanation._replace(cause=cause, fix=fix or explanation.fix)

    def changes(self) -> str:
        """After a bad one: what is not as it was in the last good run (DRIFT-001), in brackets."""
        from denet_tui.checks.drift import check_last_good
        from denet_tui.checks.model import State

        try:
            finding = check_last_good(self._host)
        except Exception:  # it only adds to a failure, and must not hide it
            log.debug("what changed since the last good run cannot be told", exc_info=True)
            return ""
        if finding.state is not State.WARN:
            return ""
        changed = ", ".join(f"{each.source} ({each.value})" for each in finding.evidence[:3])
        more = f" and {len(finding.evidence) - 3} more" if len(finding.evidence) > 3 else ""
        return f" (changed since the last good run: {changed}{more})"


def explained(error: LoadError, before: Before) -> Explanation:
    """The cause of a failure; by the loader's own facts, or this process's where the loader did not live to tell."""
    from denet_tui.bpf.errors import explain  # takes a moment, which a run that succeeds does not need

    found = error.facts or gather()
    log.debug("loading failed at %s (errno %s): %s", error.stage, error.number, error.text)
    log.debug("what the process may do: %s", found)
    explanation = explain(error, found)
    if explanation.check_id == "BCC-001":
        explanation = before.with_remedy(explanation)
    return explanation._replace(cause=explanation.cause + before.changes())
