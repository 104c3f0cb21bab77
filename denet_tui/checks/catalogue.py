"""All checks in the order in which a person would go through them, and running one so that it takes nothing down."""

from __future__ import annotations

import dataclasses
import errno
import logging
import subprocess  # noqa: F401 - for Host.run
import time
import traceback

from denet_tui.checks import drift, kernel, leftovers, limits, privileges, probe, toolchain, tracefs
from denet_tui.checks.host import Host
from denet_tui.checks.model import Check, Evidence, Finding, State

log = logging.getLogger("denet_tui")

AREAS = ("permissions", "capabilities", "tracefs", "kernel", "bcc", "proof")
"""The steps of the setup screen, in order."""
_SLOW_S = 1.0


_MODULES = (privileges, limits, leftovers, tracefs, kernel, toolchain, drift, probe)
ALL: tuple[Check, ...] = tuple(
    sorted((check for module in _MODULES for check in module.CHECKS), key=lambda check: AREAS.index(check.area))
)
by_id: dict[str, Check] = {check.id: check for check in ALL}


def run_one(check: Check, host: Host) -> Finding:
    """The finding of one check, whatever happens inside of it."""
    started = time.monotonic()
    try:
        finding = check.run(host)
    except MemoryError:
        finding = Finding(check.id, State.UNKNOWN, f"{check.title}: there was not enough memory to look (LIM-001)")
    except Exception as error:  # noqa: BLE001 - one broken check must not hide what the others found
        if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
            finding = Finding(check.id, State.UNKNOWN, f"{check.title}: no descriptor was left to look with (LIM-001)")
        else:
            finding = _crashed(check, error)
    seconds = time.monotonic() - started
    log.debug("%s: %s: %s (%.3f s)", check.id, finding.state, finding.title, seconds)
    title = finding.title + (f" (took {seconds:.1f} s)" if seconds > _SLOW_S else "")
    return dataclasses.replace(finding, id=check.id, title=title, seconds=seconds)


def _crashed(check: Check, error: Exception) -> Finding:
    log.debug("%s crashed", check.id, exc_info=error)
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{frames[-1].name}, line {frames[-1].lineno}" if frames else "unknown place"
    return Finding(
        check.id,
        State.CRASH,
        f"{check.title}: the check itself broke ({type(error).__name__})",
        (Evidence(where, f"{type(error).__name__}: {error}"),),
        "This is a mistake in denet-tui, not in this machine. Please report it with `denet-tui diag --report FILE`.",
    )
