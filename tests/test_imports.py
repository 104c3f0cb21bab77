"""What each way of starting loads: screens cost a fifth of a second, and the privileged loader trusts nobody."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.real import environment

LOOK = """
import atexit, json, sys
known = set(sys.modules)
report = lambda: print("LOADED", json.dumps(sorted(set(sys.modules) - known)), file=sys.stderr)
atexit.register(report)
"""

WITH_ARGUMENTS = """
sys.argv = ["denet-tui", *sys.argv[1:]]
from denet_tui.cli import main
main()
"""


NOT_FOR_A_RUN = {"dataclasses", "subprocess", "shutil", "bz2", "hashlib", "tempfile"}
"""What takes a millisecond or two each, and none of it is needed to watch a command."""


def loaded(script: str, *words: str) -> set[str]:
    """Top-level names and our own modules that a script has imported when it ends."""
    import json

    done = subprocess.run(
        [sys.executable, "-c", LOOK + script, *words], env=environment(), capture_output=True, text=True, timeout=60
    )
    line = next(line for line in done.stderr.splitlines() if line.startswith("LOADED "))
    assert "Traceback" not in done.stderr
    names = set(json.loads(line.removeprefix("LOADED ")))
    return {name for name in names if name.startswith("denet_tui")} | {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["run", "--help"], ["run"], ["run", "--interval", "x"]])
def test_help_and_complaints_load_next_to_nothing(words: list[str]) -> None:
    assert not loaded(WITH_ARGUMENTS, *words) & {
        "textual",
        "rich",
        "plotext",
        "psutil",
        "bcc",
        "denet_tui.commands.run",
        "denet_tui.model",
        *NOT_FOR_A_RUN,
    } - ({"shutil", "bz2"} if "--help" in words else set())


@pytest.mark.root
@pytest.mark.parametrize("words", [["selftest"], ["run", "--no-tui", "--", "true"], ["run", "--json", "--", "true"]])
def test_without_a_screen_no_screen_is_loaded(words: list[str]) -> None:
    found = loaded(WITH_ARGUMENTS, *words)
    assert "denet_tui.watch.supervisor" in found
    assert not found & {"textual", "rich", "plotext", "bcc", "denet_tui.screens.live.app", "denet_tui.bpf.loader"}
    assert "denet_tui.bpf.causes" not in found


@pytest.mark.root
def test_a_run_imports_little_and_what_watches_only_once_a_loader_is_at_work() -> None:
    prepared = "from denet_tui.bpf.process import prepare\nprepare()\n" + WITH_ARGUMENTS
    assert not loaded(prepared, "run", "--no-tui", "--", "true") & NOT_FOR_A_RUN
    before = loaded("import denet_tui.commands.run")
    assert "denet_tui.watch.launch" in before
    assert not before & {f"denet_tui.{name}" for name in ("bpf.tracer", "watch.sampler", "findings.rules")}


def test_the_loader_loads_the_standard_library_and_bcc_only() -> None:
    allowed = {"bcc", "denet_tui"} | {f"denet_tui.{name}" for name in ("bpf", "system", "system.uname")}
    own = (
        "btf compiled confine facts failure file_calls loader macros maps privilege programs request symbols toolchain"
    )
    allowed |= {f"denet_tui.bpf.{name}" for name in (*own.split(), "tracepoints")}
    load = "from denet_tui.bpf import loader, toolchain\n"
    load += "try: toolchain.load(toolchain.find())\nexcept toolchain.ToolchainError: pass\n"
    found = {name for name in loaded(load) if name not in sys.stdlib_module_names}
    assert found <= allowed | {"sitecustomize"}
    assert "denet_tui.bpf.loader" in found
    assert not loaded("import denet_tui.bpf.loader") & {"dataclasses", "inspect", "subprocess", "shutil"}
