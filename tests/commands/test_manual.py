"""The manual page and what shells complete come from the commands themselves."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from denet_tui.cli import main


@pytest.fixture(scope="module")
def page() -> str:
    return CliRunner().invoke(main, ["help", "--man"], prog_name="denet-tui").output


def test_man_finds_no_fault_with_the_page_and_shows_each_option_of_each_command(page: str) -> None:
    if not shutil.which("groff"):
        pytest.skip("needs groff, which sets manual pages")
    set_ = ["groff", "-man", "-ww", "-Tutf8", "-Kutf8", "-P-cbou", "-rLL=500n"]
    done = subprocess.run(set_, input=page, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    for name, command in main.commands.items():
        part = done.stdout.partition(f"\ndenet-tui {name}\n")[2].partition("\ndenet-tui ")[0]
        assert (command.help or "").split("\n")[0] in part
        options = [each for each in command.params if isinstance(each, click.Option) and not each.hidden]
        assert [each.opts for each in options if each.opts[-1] not in part] == []
        assert "   Examples\n" in part
    assert "denet-tui diff a b --fail-on 'openat.errors > +10%'" in done.stdout, "to be copied as it stands"


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("denet-tui re", ["plain,report"]),
        ("denet-tui run --on-quit le", ["plain,leave"]),
        ("denet-tui view b", ["file,b"]),
        ("denet-tui make --debug b", ["file,b"]),
        ("denet-tui explain fs-001", ["plain,FS-001"]),
        ("denet-tui diag --only FS-001", ["plain,FS-001"]),
        ("denet-tui help exp", ["plain,explain", "plain,export"]),
        ("denet-tui no-such-program b", []),
    ],
)
def test_a_shell_is_offered_commands_options_and_files(typed: str, offered: list[str]) -> None:
    asked = {"_DENET_TUI_COMPLETE": "bash_complete", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    done = CliRunner().invoke(main, [], prog_name="denet-tui", env=asked)
    assert (done.exit_code, done.output.split()) == (0, offered)


def test_attach_is_offered_what_runs_by_name(tmp_path: Path) -> None:
    program = tmp_path / "an-odd-name"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([program, "60"]) as running:
        try:
            asked = {"_DENET_TUI_COMPLETE": "bash_complete", "COMP_WORDS": "denet-tui attach an-odd", "COMP_CWORD": "2"}
            done = CliRunner().invoke(main, [], prog_name="denet-tui", env=asked)
        finally:
            running.kill()
    assert done.output == "plain,an-odd-name\n"


def test_bash_takes_what_is_installed_for_it(tmp_path: Path) -> None:
    script = CliRunner().invoke(main, [], prog_name="denet-tui", env={"_DENET_TUI_COMPLETE": "bash_source"}).output
    program = tmp_path / "denet-tui"
    program.write_text(f"#!/bin/sh\nexec {sys.executable} -m denet_tui\n")
    program.chmod(0o755)
    asked = f"COMP_WORDS=(denet-tui ex); COMP_CWORD=1; _denet_tui_completion {program}; echo ${{COMPREPLY[@]}}"
    done = subprocess.run(["bash", "-c", f"{script}\n{asked}"], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("explain export\n", "")
