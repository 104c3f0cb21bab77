"""What `denet-tui diag` does: looks as whoever started it, gives its privilege away, and only then writes."""

from __future__ import annotations

import logging
import os
import sys
import time
from dataclasses import dataclass
from logging.handlers import MemoryHandler
from pathlib import Path
from typing import NoReturn

from denet_tui.bpf import privilege
from denet_tui.checks import catalogue, verdict
from denet_tui.checks.host import Host
from denet_tui.helper import check_runner
from denet_tui.repair.next_step import next_step
from denet_tui.report import redact, report, text
from denet_tui.system import debug, files
from denet_tui.system.visible import ReaderLeftError, complain, is_dumb, visible, write

log = logging.getLogger("denet_tui")


@dataclass(frozen=True, slots=True)
class DiagRequest:
    """The options of diag, as the command line has them."""

    as_json: bool = False
    report_file: Path | None = None
    only: tuple[str, ...] = ()
    strict: bool = False
    no_redact: bool = False
    debug: bool = False
    log_file: Path | None = None


class DiagError(Exception):
    """What was asked for cannot be done; the text says why."""


def diag(request: DiagRequest) -> NoReturn:
    """Run the checks and exit: 0 ready, 1 blocked, 2 warnings under --strict, 64 usage, 70 crash."""
    handler = _log(request)
    try:
        status = _diag(request, handler)
    except (DiagError, debug.LogError) as error:
        status = complain(str(error), verdict.USAGE)
    except ReaderLeftError as left:
        status = left.STATUS
    except Exception as error:
        log.debug("traceback", exc_info=True)
        status = complain(
            f"diag itself broke ({type(error).__name__}: {error}); please report it with `denet-tui diag --debug`",
            verdict.CRASHED,
        )
    logging.shutdown()
    sys.exit(status)


def _diag(request: DiagRequest, handler: MemoryHandler | None) -> int:
    if request.as_json and request.report_file == Path("-"):
        raise DiagError("--json and --report - are two forms on standard output: choose one")
    host = check_runner.logged(Host())
    invoker = privilege.invoking_user()
    started = time.monotonic()
    uid = host.uid
    try:
        findings = verdict.settled(check_runner.run(host, request.only or None))
        found = verdict.methods(findings, whole=not request.only)
        result = report.Report(
            tuple(findings),
            found,
            next_step(host, findings, found),
            uid,
            invoker.name,
            ("denet-tui", *sys.argv[1:]),
            redact.secrets_of(host, [(invoker.name, invoker.home)]),
        )
        complete = report.as_markdown(result, host, redacted=not request.no_redact) if request.report_file else ""
    except KeyError as error:
        raise DiagError(f"there is no check {error.args[0]}; the checks are: {' '.join(catalogue.by_id)}") from None
    finally:
        privilege.become(invoker)
        if handler:
            handler.setTarget(debug.Handler(request.log_file))
    log.debug("%d checks took %.3f s", len(findings), time.monotonic() - started)
    if request.report_file:
        _write(request.report_file, complete)
    _show(request, result)
    return verdict.status(findings, found, strict=request.strict)


def _show(request: DiagRequest, result: report.Report) -> None:
    if request.as_json:
        write(report.as_json(result), sys.stdout)
    elif request.report_file != Path("-"):
        ascii_only = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
        colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and not is_dumb()
        who = f"as root, for {result.user}" if result.uid == 0 and result.user != "root" else f"as {result.user}"
        write(f"denet-tui diag: {len(result.findings)} checks {visible(who)}\n\n", sys.stdout)
        shown = text.render(result.findings, result.methods, result.step, colour=colour, ascii_only=ascii_only)
        write(shown, sys.stdout, keep="\n\x1b" if colour else "\n")
        if request.report_file:
            write(f"report  {visible(str(request.report_file))}: read it before you share it\n", sys.stdout)


def _write(path: Path, complete: str) -> None:
    """Write the report as the invoking user; raises DiagError."""
    if path == Path("-"):
        write(complete, sys.stdout)
        return
    try:
        with os.fdopen(files.create(path), "w", encoding="utf-8") as file:
            file.write(complete)
    except OSError as error:
        raise DiagError(f"cannot write the report to {path}: {files.explain(error)}") from None


def _log(request: DiagRequest) -> MemoryHandler | None:
    """To stderr at once; to a file only when that can be opened as the user who asked."""
    if not debug.wanted(debug=request.debug, log_file=request.log_file):
        return None
    waiting = MemoryHandler(1_000_000, logging.CRITICAL + 1) if request.log_file else None
    debug.start(waiting or debug.Handler())
    return waiting
