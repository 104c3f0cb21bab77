"""The setup wizard at a real terminal, on a machine that is really broken: every key that a person presses."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.person import Person
from tests.screens.setup.broken import NOTHING_TO_BE_HAD, REPOSITORY, on_broken
from tests.watch.helpers import Tmux, children, eventually, tmux

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("steady_tracefs")]
PATIENCE_S = 40.0


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Tmux]:
    with tmux(tmp_path) as made:
        yield made


def shows(terminal: Tmux, *texts: str) -> None:
    """Wait until all of these are on the screen; the end of a line does not count."""
    due = time.monotonic() + PATIENCE_S
    while True:
        seen = terminal.screen()
        left, right = zip(*(line.partition("▕")[::2] for line in seen.splitlines()), strict=True)
        flat = [" ".join(" ".join(each).split()) for each in (left, right)]
        if all(text in seen or any(text in each for each in flat) for text in texts):
            return
        if "status 97" in seen:
            pytest.skip("needs overlays, in which a package can be removed")
        if time.monotonic() > due:
            pytest.fail(f"never on the screen: {[text for text in texts if text not in seen]}\n{seen}")
        time.sleep(0.1)


def start(terminal: Tmux, who: Person, words: str, repository: str = REPOSITORY) -> None:
    """Have a user start denet-tui on the broken machine."""
    argv = who.argv(f"cd; {words}", TERM="screen-256color", LANG="C.UTF-8")
    path = who.home / "typed"
    path.write_text(f'clear; {on_broken(argv, repository)}; echo "status $?"\n')
    terminal.line(f". {path}")


@pytest.mark.early
def test_from_a_broken_machine_to_a_watched_command(terminal: Tmux, person: Person) -> None:
    """An ordinary user with sudo, bcc removed, tracefs not mounted: chosen, applied, proven, watched."""
    start(terminal, person, "$denet")
    shows(terminal, f"denet-tui setup as {person.name}", "2 of 2 left")
    shows(terminal, "Watching does not work yet: bcc is not installed", "▸ a", "$ /usr/bin/apt-get install -y")
    terminal.type("d", "g", "j", "j")
    shows(terminal, "✗ fail PRIV-001", "(•) 1 sudo, for each run")
    terminal.type("a")  # starts again through sudo
    shows(terminal, "with one helper as root", "1 thing left", "Watching does not work yet: bcc is not installed")
    terminal.type("d")
    shows(terminal, "✗ fail BCC-001: bcc is not installed")
    shows(terminal, "$ /usr/bin/apt-get install -y --no-install-recommends")
    terminal.type("d")
    shows(terminal, "the check took")
    terminal.type("d", "w")
    shows(terminal, "✓ written:")
    assert "BCC-001 fail" in (person.home / "denet-tui-report.md").read_text()
    assert (person.home / "denet-tui-report.md").owner() == person.name
    terminal.type("a")
    shows(terminal, "Setting up python3-bpfcc")
    shows(terminal, "✓ repaired BCC-001", "✓ exact: 1,000 known calls, 1,000 counted by raw tracepoints")
    shows(terminal, "everything works", "nothing missing, nothing too much", "enter goes on")
    terminal.type("v")
    shows(terminal, "○ optional FS-001", "✓ pass KERN-002")
    terminal.type("g", *["j"] * 14)
    shows(terminal, "▸ ○ optional FS-001", "Not needed: raw tracepoints work here without it")
    terminal.type("a")
    shows(terminal, "FS-001.mount applied", "✓ repaired FS-001", "both attach methods")
    terminal.type("Enter")
    shows(terminal, "What do you want to watch?", "[Run a command]")
    terminal.line("ls 'a file that is not there'")
    shows(terminal, "exited 2", "exact", "openat")
    terminal.type("q")
    shows(terminal, "status 2")
    eventually(lambda: not children(terminal.shell), "no process of denet-tui is left")
    kept = (person.home / ".local/state/denet-tui/commands").read_text()
    assert kept.splitlines()[-1] == "ls 'a file that is not there'"


def test_a_failing_installation_is_explained_and_quitting_in_the_middle_undoes(terminal: Tmux, person: Person) -> None:
    start(terminal, person, "sudo $denet setup", NOTHING_TO_BE_HAD)
    shows(terminal, "Watching does not work yet: bcc is not installed")
    terminal.type("d", "a")
    shows(terminal, "✗ BCC-001.install:", "exited with status 100", "what it had done was taken back")
    shows(terminal, "1 thing left", "✗ The package could not be fetched: there is no network here")
    terminal.type("s")
    shows(terminal, "» left BCC-001", "not proven yet")
    terminal.type("v", "g", *["j"] * 14)
    shows(terminal, "▸ ○ optional FS-001")
    terminal.type("a")
    shows(terminal, "✓ repaired FS-001")
    terminal.resize(80, 24)
    terminal.type("q")
    shows(terminal, "Leave the setup?", "✓ FS-001.mount", "u undo and leave")
    terminal.type("u")
    shows(terminal, "status 1", "not ready yet; left to do: ", "BCC-001")
    assert "in force" not in terminal.history()
    eventually(lambda: not children(terminal.shell), "no process of denet-tui is left")


def test_without_root_one_fix_goes_through_sudo_on_the_terminal(terminal: Tmux, person: Person) -> None:
    start(terminal, person, "$denet setup")
    shows(terminal, "Watching does not work yet: bcc is not installed", "as root, through sudo")
    terminal.type("a")
    shows(terminal, "Watching works here. It needs root for a moment", "only root is missing")
    assert "as root: /usr/bin/sudo" in terminal.history()
    terminal.type("q")
    shows(terminal, "Leave the setup?", "✓ BCC-001.install")
    terminal.type("l")
    shows(terminal, "status", "applied and in force: BCC-001.install")
