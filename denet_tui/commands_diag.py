"""What `denet-tui diag` does: looks as whoever started it, gives its privilege away, and only then writes."""

from __future__ import annotations

import logging
import os
import stat
import sys
import time
from dataclasses import dataclass
from logging.handlers import MemoryHandler
from pathlib import Path
from typing import NoReturn

from denet_tui.bpf import handover
from denet_tui.checks import catalogue, redact, report, text, verdict
from denet_tui.checks.host import Host
from denet_tui.checks.looking import logged

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
    except DiagError as error:
        status = _complain(str(error), verdict.USAGE)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or Python complains once more when it flushes stdout
        status = verdict.CRASHED
    except Exception as error:
        log.debug("traceback", exc_info=True)
        status = _complain(
            f"diag itself broke ({type(error).__name__}: {error}); please report it with `denet-tui diag --debug`",
            verdict.CRASHED,
        )
    logging.shutdown()
    sys.exit(status)


def _diag(request: DiagRequest, handler: MemoryHandler | None) -> int:
    host = Host() if not log.isEnabledFor(logging.DEBUG) else logged(Host())
    invoker = handover.invoking_user()
    started = time.monotonic()
    uid = host.uid
    try:
        findings = catalogue.run(host, request.only or None)
        found = verdict.ways(findings, whole=not request.only)
        result = report.Report(
            tuple(findings),
            found,
            verdict.next_step(host, findings, found, _command(invoker.uid)),
            uid,
            invoker.name,
            ("denet-tui", *sys.argv[1:]),
            redact.secrets_of(host, [(invoker.name, invoker.home)]),
        )
        complete = report.as_markdown(result, host, redacted=not request.no_redact) if request.report_file else ""
    except KeyError as error:
        raise DiagError(f"there is no check {error.args[0]}; the checks are: {' '.join(catalogue.by_id)}") from None
    finally:
        handover.become(invoker)
        _open_log(request, handler)
    log.debug("%d checks took %.3f s", len(findings), time.monotonic() - started)
    if request.report_file:
        _write(request.report_file, complete)
    _show(request, result)
    return verdict.status(findings, found, strict=request.strict)


def _show(request: DiagRequest, result: report.Report) -> None:
    if request.as_json:
        sys.stdout.write(report.as_json(result))
    elif request.report_file != Path("-"):
        ascii_only = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
        colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        who = f"as root, for {result.user}" if result.uid == 0 and result.user != "root" else f"as {result.user}"
        sys.stdout.write(f"denet-tui diag: {len(result.findings)} checks {who}\n\n")
        shown = text.render(result.findings, result.ways, result.step, colour=colour, ascii_only=ascii_only)
        sys.stdout.write(shown.encode(sys.stdout.encoding or "ascii", "backslashreplace").decode(sys.stdout.encoding))
        if request.report_file:
            sys.stdout.write(f"report  {request.report_file}: read it before you share it\n")
    sys.stdout.flush()


def _write(path: Path, complete: str) -> None:
    """Write the report as the invoking user; never through a link, never over a file that is not that user's.

    Raises DiagError. It is opened without truncating, so that what turns out to be somebody else's stays as it was.
    """
    if path == Path("-"):
        sys.stdout.write(complete)
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_nlink != 1:
                raise DiagError(f"{path} is not a file of your own; name another one for the report")
            os.ftruncate(descriptor, 0)
            file.write(complete)
    except OSError as error:
        raise DiagError(f"cannot write the report to {path}: {error.strerror}") from None


def _command(uid: int) -> str:
    """How to call denet-tui so that sudo finds it, too: sudo looks in secure_path only (man sudoers)."""
    program = Path(sys.argv[0])
    found = str(program) if program.is_absolute() and program.name == "denet-tui" else "denet-tui"
    in_path = Path(found).parent in (Path("/usr/local/bin"), Path("/usr/bin"), Path("/bin"))
    return "denet-tui" if in_path or not Path(found).is_absolute() or uid == 0 else found


def _log(request: DiagRequest) -> MemoryHandler | None:
    """To stderr at once; to a file only when that can be opened as the user who asked."""
    if not (request.debug or request.log_file or os.environ.get("DENET_LOG") == "debug"):
        return None
    log.setLevel(logging.DEBUG)
    handler: logging.Handler = (
        MemoryHandler(1_000_000, logging.CRITICAL + 1) if request.log_file else (logging.StreamHandler())
    )
    handler.setFormatter(_FORMAT)
    log.addHandler(handler)
    return handler if isinstance(handler, MemoryHandler) else None


_FORMAT = logging.Formatter("%(asctime)s %(levelname)s %(message)s")


def _open_log(request: DiagRequest, handler: MemoryHandler | None) -> None:
    if handler and request.log_file:
        try:
            target = logging.FileHandler(request.log_file)
        except OSError as error:
            raise DiagError(f"cannot write the log to {request.log_file}: {error.strerror}") from None
        target.setFormatter(_FORMAT)
        handler.setTarget(target)


def _complain(line: str, status: int) -> int:
    print(f"denet-tui: {line}", file=sys.stderr, flush=True)
    return status
