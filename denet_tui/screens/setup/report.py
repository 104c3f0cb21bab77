"""The report that the setup screen writes: the same as `denet-tui diag --report`."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

from denet_tui.bpf import privilege
from denet_tui.checks import verdict
from denet_tui.checks.host import Host
from denet_tui.checks.model import Finding
from denet_tui.repair.next_step import next_step
from denet_tui.report import redact, report

_MOST = 100


def write(findings: Sequence[Finding], folder: Path, host: Host, *, uid: int) -> Path:
    """Write the redacted report beside what is there, never over it; raises OSError. `uid` is who looked."""
    invoker = privilege.invoking_user()
    methods = verdict.methods(findings)
    found = report.Report(
        tuple(findings),
        methods,
        next_step(host, findings, methods),
        uid,
        invoker.name,
        ("denet-tui", "setup"),
        redact.secrets_of(host, [(invoker.name, invoker.home)]),
    )
    return write_beside(folder, "denet-tui-report.md", report.as_markdown(found, host))


def write_beside(folder: Path, name: str, text: str) -> Path:
    """Write a file under this name, or under one with a number where it is there already; raises OSError."""
    for number in range(_MOST):
        path = folder / (name.replace(".", f"-{number}.") if number else name)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            continue
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        return path
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(folder / name))
