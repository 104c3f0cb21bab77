"""The report that the setup screen writes: the same as `denet-tui diag --report`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from denet_tui.bpf import privilege
from denet_tui.checks import verdict
from denet_tui.checks.host import Host
from denet_tui.checks.model import Finding
from denet_tui.repair.next_step import next_step
from denet_tui.report import redact, report
from denet_tui.system import files


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
    return files.write_beside(folder, "denet-tui-report.md", report.as_markdown(found, host))


def told(findings: Sequence[Finding], folder: Path, host: Host, *, uid: int) -> str:
    """Write it, and say where, or why that was not possible."""
    try:
        return f"✓ written: {write(findings, folder, host, uid=uid)}; read it before you share it"
    except OSError as error:
        return f"✗ the report cannot be written to {folder}: {files.explain(error, files.ELSEWHERE)}"
