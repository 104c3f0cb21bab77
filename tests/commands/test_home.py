"""Plain `denet-tui`, and `denet-tui setup` at a terminal: on this machine as it is, and made wrong for one shell."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from denet_tui.bpf import toolchain
from denet_tui.checks.model import BOTH, Finding, Fix, SetValue, State
from denet_tui.commands import home
from denet_tui.helper import sudo
from denet_tui.helper.jobs import Ended
from denet_tui.repair.preview import preview
from denet_tui.screens.setup.state import SetupState
from denet_tui.system import called
from tests.checks.fake import FakeHost
from tests.checks.states import without
from tests.person import Person
from tests.screens.setup.recorded import Recorded, fine
from tests.watch.helpers import DENET, Tmux, children, command_line, denets, eventually, run, status, tmux

SETS = ("CapEff", "CapPrm", "CapInh", "CapAmb")
NO_TRACEFS = "umount -a -t tracefs; mount -t tmpfs -o mode=755 tmpfs /var/lib;"


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Tmux]:
    with tmux(tmp_path) as made:
        yield made


def type_into(terminal: Tmux, who: Person, script: str, prepare: str = "", more: tuple[str, ...] = ()) -> None:
    """Have a user run a script, in a mount namespace of its own that `prepare` makes, and say its status."""
    argv = [*more, *who.argv(script, TERM="screen-256color", LANG="C.UTF-8")]
    words = ["unshare", "--mount", "sh", "-c", f'{prepare} exec "$@"', "sh", *argv]
    path = who.home / "typed"
    path.write_text(f'clear; {shlex.join(words)}\necho "left with $?"\n')
    terminal.line(f". {path}")


def shows(terminal: Tmux, *texts: str) -> None:
    seen = ""

    def all_there() -> bool:
        nonlocal seen
        seen = terminal.screen()
        return all(text in seen for text in texts)

    try:
        eventually(all_there, f"on the screen: {texts}")
    finally:
        print(seen)  # shown where the test fails


def ours(terminal: Tmux) -> list[int]:
    """The processes of denet-tui in this terminal that are Python's."""
    return denets(terminal.shell)


def privileged(terminal: Tmux) -> list[int]:
    found = []
    for pid in ours(terminal):
        of = status(pid)
        if of and any(int(of[name], 16) for name in SETS):
            found.append(pid)
    return found


@pytest.mark.root
def test_while_the_setup_is_up_only_the_helper_has_privilege_and_then_nobody(
    terminal: Tmux,
    person: Person,
) -> None:
    type_into(terminal, person, "sudo $denet setup")
    shows(terminal, "with one helper as root", "enter goes on")
    eventually(lambda: len(privileged(terminal)) == 1, "the proof, which the helper has had made, is over")
    mine = [pid for pid in ours(terminal) if status(pid)["Uid"].split() == [str(person.uid)] * 4]
    holding = privileged(terminal)
    assert len(mine) == 2, "the screen, and the supervisor of a command"
    assert len(holding) == 1, [command_line(pid) for pid in holding]
    (helper,) = holding
    assert status(helper)["Uid"].split() == ["0"] * 4
    assert os.getsid(helper) == helper
    assert not set(holding) & set(mine)
    terminal.type("Enter")
    shows(terminal, "What do you want to watch?")
    terminal.line("ls /")
    shows(terminal, "exited 0", "ls /")
    assert helper not in ours(terminal)
    assert privileged(terminal) == []
    terminal.type("q")
    shows(terminal, "left with 0", "exact: no call lost")
    eventually(lambda: not children(terminal.shell), "nobody is left")


@pytest.mark.root
def test_where_all_is_right_plain_denet_tui_watches_the_machine_at_once(
    terminal: Tmux,
    person: Person,
) -> None:
    type_into(terminal, person, "sudo $denet")
    shows(terminal, "whole machine", "calls/s", "exact")
    assert privileged(terminal) == []
    assert len(ours(terminal)) == 1, "neither a helper nor a supervisor"
    terminal.type("q")
    shows(terminal, "watched: whole machine", "left with 0")


@pytest.mark.root
def test_where_only_root_is_missing_the_start_comes_first_and_sudo_loads(terminal: Tmux, person: Person) -> None:
    type_into(terminal, person, "$denet")
    shows(terminal, "What do you want to watch?")
    terminal.line("ls /")
    shows(terminal, "exited 0", "exact")
    assert privileged(terminal) == []
    terminal.type("q")
    shows(terminal, "exact: no call lost", "left with 0")
    assert "using sudo for the moment" in terminal.history()


@pytest.mark.root
def test_without_root_the_setup_says_what_is_left(terminal: Tmux, person: Person) -> None:
    type_into(terminal, person, "$denet setup")
    shows(terminal, f"denet-tui setup as {person.name} ", "It needs root for a moment")
    terminal.type("q")
    shows(terminal, "denet-tui: Watching works here. It needs root for a moment each time you start it.", "left with 1")
    eventually(lambda: not children(terminal.shell), "nobody is left")


def hidden_bcc() -> str:
    try:
        return f"mount -t tmpfs tmpfs {toolchain.find().folder};"
    except toolchain.ToolchainError:
        return ""


BROKEN: dict[str, tuple[Callable[[], str], tuple[str, ...], str, str]] = {
    "bcc hidden, tracefs not mounted": (lambda: NO_TRACEFS + hidden_bcc(), (), "BCC-001", "bcc is not installed"),
    "capabilities cut": (
        lambda: "",
        tuple(without("bpf", "perfmon", "sys_admin")),
        "PRIV-002",
        "the bounding set of",
    ),
}


@pytest.mark.root
@pytest.mark.parametrize("name", BROKEN)
def test_where_something_required_is_not_right_the_setup_comes_first(
    terminal: Tmux,
    person: Person,
    name: str,
) -> None:
    prepare, more, wrong, words = BROKEN[name]
    type_into(terminal, person, "sudo $denet", prepare(), more)
    shows(terminal, "denet-tui setup as", words)
    terminal.type("q")
    shows(terminal, "denet-tui: not ready yet; left to do:", wrong, "left with 1")


@pytest.mark.root
@pytest.mark.early
@pytest.mark.usefixtures("steady_tracefs")
def test_what_was_applied_before_is_taken_back_through_sudo_which_may_be_refused(
    terminal: Tmux,
    person: Person,
) -> None:
    """The helper is root, and leaves it to sudo, which asks for a password here; ctrl+c goes back to the screen."""
    rule = Path("/etc/sudoers.d") / person.name
    free = rule.read_text()
    type_into(
        terminal, person, "sudo $denet setup --only FS-001 --yes; echo press; read go; sudo $denet setup", NO_TRACEFS
    )
    shows(terminal, "FS-001.mount: mount tracefs", "press")
    terminal.type("Enter")
    shows(terminal, "with one helper as root", "enter goes on")
    terminal.type("v", "g", *["j"] * 14)
    shows(terminal, "▸ ✓ pass      FS-001", "FS-001.mount was applied. u takes that back, as root, through")
    try:
        rule.write_text(free.replace("NOPASSWD", "PASSWD"))
        terminal.type("u")
        shows(terminal, "as root: /usr/bin/sudo", "setup --undo --only FS-001.mount", f"password for {person.name}:")
        terminal.type("C-c")
        shows(terminal, "▸ ✓ pass      FS-001", "✗ sudo exited with status 1: it got no password")
    finally:
        rule.write_text(free)
    terminal.type("u")
    shows(terminal, "▸ ○ optional  FS-001", "✓ FS-001.mount taken back")
    terminal.type("q")
    shows(terminal, "left with 0")


@pytest.mark.root
@pytest.mark.parametrize("free", [True, False])
def test_a_password_is_asked_only_where_what_is_run_needs_one(person: Person, *, free: bool) -> None:
    """Others of this user's rules want one."""
    script = 'from denet_tui.helper import sudo; print(sudo.password(sudo.as_root("setup")))'
    rule = Path("/etc/sudoers.d") / person.name
    before = rule.read_text()
    without = f"{person.name} ALL=(ALL) NOPASSWD: {Path(sys.executable).absolute()}\n" if free else ""
    try:
        rule.write_text(f"{before.replace('NOPASSWD: ', '')}{without}")
        (person.home / "script.py").write_text(script)
        done = person.shell(f"setsid {sys.executable} {person.home}/script.py")
    finally:
        rule.write_text(before)
    assert done.stdout == ("\n" if free else "sudo exited with status 1: it got no password; nothing was started\n")
    assert ("sudo: a terminal is required" in done.stderr) is not free, done.stderr


@pytest.mark.root
@pytest.mark.usefixtures("steady_tracefs")
@pytest.mark.slow
def test_one_fix_through_sudo_is_told_as_the_helper_tells_it(person: Person) -> None:
    """As an ordinary user, with a real sudo; in a mount namespace, which is gone afterwards."""
    script = """
from denet_tui.helper import sudo
print(sudo.run(sudo.apply("FS-001.mount")).ended("apply", "FS-001.mount"))
print(sudo.run(sudo.undo("FS-001.mount")).ended("undo", "FS-001.mount"))
print(sudo.run(sudo.undo("FS-001.mount")).ended("undo", "FS-001.mount"))
print(sudo.run(("/nowhere/sudo",)))
"""
    (person.home / "script.py").write_text(script)
    argv = person.argv(f"{sys.executable} {person.home}/script.py")
    done = run("unshare", "--mount", "sh", "-c", f'{NO_TRACEFS} exec "$@"', "sh", *argv, cwd=person.home)
    usual = "cancelled=False, text='', left=()"
    lines = done.stdout.splitlines()
    assert lines[0] == f"Ended(kind='apply', fix='FS-001.mount', good=True, changed=True, {usual})", done.stderr
    assert lines[1] == f"Ended(kind='undo', fix='FS-001.mount', good=True, changed=True, {usual})", done.stderr
    assert lines[2].startswith("Ended(kind='undo', fix='FS-001.mount', good=False, changed=False"), done.stderr
    assert lines[3] == "Answer(status=127, output='/nowhere/sudo: No such file or directory', said={})"
    assert "FS-001.mount: mount tracefs" in done.stderr, "what a person reads is on the terminal"


def test_no_sudo_and_no_new_privileges_give_no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(called, "_FOLDERS", ("/nowhere",))
    assert sudo.as_root("setup", "--only", "FS-001.mount") == ()
    look = "from denet_tui.helper import sudo; print(sudo.way_up() == '')"
    done = run("setpriv", "--no-new-privs", sys.executable, "-c", look)
    assert done.stdout == "True\n", done.stderr


def test_an_administrator_is_given_commands_and_what_they_change() -> None:
    fix = Fix("KERN-006.lower", "allow it", (SetValue("/proc/sys/a", "2"),), "until-reboot", "set it back", "opens x")
    advice = Fix("PRIV-002.outside", "outside", (), "permanent", "", advice="run it outside the container")
    found = Finding("KERN-006", State.FAIL, "too strict", fixes=(fix,), required_for=BOTH)
    text = sudo.for_administrator(
        [(found, fix), (found, advice)], {fix.id: preview(fix, FakeHost({"/proc/sys/a": "3"}))}
    )
    assert "# KERN-006: too strict\n# allow it (until-reboot)\n# opens: opens x\n" in text
    assert "denet-tui setup --only KERN-006.lower --yes\n#   set    /proc/sys/a: 3 -> 2\n" in text
    assert "setup --undo --only KERN-006.lower\n" in text
    assert "# run it outside the container\n" in text


@pytest.mark.root
def test_root_is_given_no_copy_that_others_can_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A virtual environment of the user's is told from the copy that root has."""
    (copy := tmp_path / "venv").mkdir()
    fix = Fix("KERN-006.lower", "allow it", (SetValue("/proc/sys/a", "2"),), "until-reboot", "set it back")
    found = [(Finding("KERN-006", State.FAIL, "too strict", fixes=(fix,), required_for=BOTH), fix)]
    monkeypatch.setattr(sys, "prefix", str(copy))
    monkeypatch.setattr(called, "program", lambda: f"{copy}/bin/denet-tui")
    assert f"{copy}/bin/denet-tui setup --only KERN-006.lower --yes\n" in sudo.for_administrator(found, {})
    os.chown(copy, 65534, 65534)
    text = sudo.for_administrator(found, {})
    assert f"# Root does not run {copy}, which others can change.\n" in text
    assert "\n/opt/denet-tui/bin/denet-tui setup --only KERN-006.lower --yes\n" in text
    assert f"{copy}/bin" not in text


def farewell(*done: Ended, working: str = "", state: State = State.FAIL) -> home.Left:
    """The last words where this has happened, and something is at work still."""
    fix = Fix("A-001.set", "set it", (SetValue("/proc/sys/a", "2"),), "until-reboot", "set it back")
    engine = Recorded(fine())
    found = {
        "A-001": Finding("A-001", state, "a", required_for=BOTH, fixes=(fix,)),
        "E2E-001": Finding("E2E-001", state, "proof", required_for=BOTH),
    }
    setup = SetupState(engine, order=tuple(found), findings=found, working=working, done=list(done))
    return home.farewell(setup)


def test_leaving_says_what_is_in_force_and_how_to_take_it_back() -> None:
    applied = Ended("apply", "A-001.set", good=True, changed=True)
    there = Ended("apply", "B-001.set", good=True, changed=False)
    failed = Ended("apply", "C-001.set", good=False, text="no")
    left = farewell(applied, there, failed, state=State.PASS)
    assert left.status == 0
    (line,) = left.words
    assert line.startswith("applied and in force: A-001.set; to take it back: `sudo ")
    assert line.endswith("setup --undo --only A-001.set`")


def test_leaving_in_the_middle_says_what_is_left() -> None:
    applied = Ended("apply", "B-001.set", good=True, changed=True)
    left = farewell(applied, Ended("undo", "B-001.set", good=True, changed=True), working="A-001")
    assert left.status == 1
    assert left.words == (
        "what was at work is being cancelled and taken back; `denet-tui setup` tells how it is",
        "not ready yet; left to do: a (A-001); go on with `denet-tui setup`",
    )


def test_what_could_not_be_taken_back_is_said() -> None:
    partly = Ended("undo", "B-001.set", good=False, changed=True, left=("/x was changed since",))
    left = farewell(Ended("apply", "B-001.set", good=True, changed=True), partly, state=State.PASS)
    assert left.words[0].startswith("applied and in force: B-001.set")
    assert left.words[1] == "taken back only in part: B-001.set: /x was changed since"


def test_with_nothing_done_and_all_right_nothing_is_said() -> None:
    assert farewell(state=State.PASS) == home.Left((), 0)


def test_without_a_terminal_it_is_the_help_and_no_screen_is_loaded() -> None:
    look = "import sys; sys.argv = ['denet-tui']\nfrom denet_tui.cli import main\n"
    look += "try: main()\nfinally: print(sorted(set(sys.modules) & {'textual', 'rich', 'bcc'}), file=sys.stderr)"
    done = run(sys.executable, "-c", look)
    assert done.stderr.strip() == "[]"
    assert "sudo denet-tui" in done.stdout
    assert subprocess.run([*DENET], stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0
